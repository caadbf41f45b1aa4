/** The part of a data address after `?`, for sound: how recordings are drawn. */
import { fail } from '../core/errors.ts';
import type { ImageShape } from './dataset.ts';
import type { SpectrogramView } from './sound.ts';
import { USUAL_RATE, USUAL_SHAPE, usualView } from './spectrogram.ts';

export interface SoundSettings {
  readonly rate: number;
  readonly shape: ImageShape;
  /** Which parts of the shape somebody asked for. */
  readonly given: { readonly size: boolean; readonly channels: boolean };
  readonly view: SpectrogramView;
}

const EXPECTED =
  'size=64 or 64x48, channels=1 or 3, rate=8000, scale=mel or linear, window=0.025, low=50, high=4000, range=60, span=word or seconds';
const NUMBERS = ['window', 'low', 'high', 'range'] as const;

/**
 * Reads `size=512&channels=3&scale=linear`; what is not named is as usual (`usualView`).
 * @throws SecateurError for unknown settings and values out of form; `where` names the address
 */
export function readSoundSettings(query: string, where: string): SoundSettings {
  const bad = (key: string, text: string): never =>
    fail({ where, what: `unknown setting "${key}=${text}"`, expected: EXPECTED, exitCode: 2 });
  let rate = USUAL_RATE;
  let shape = USUAL_SHAPE;
  const given = { size: false, channels: false };
  const asked: { -readonly [K in keyof SpectrogramView]?: SpectrogramView[K] } = {};
  for (const [key, text] of new URLSearchParams(query)) {
    const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
    if (key === 'size') {
      const [, height, width = height] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? bad(key, text);
      shape = { ...shape, height: Number(height), width: Number(width) };
      given.size = true;
    } else if (key === 'channels' && (text === '1' || text === '3')) {
      shape = { ...shape, channels: Number(text) };
      given.channels = true;
    } else if (key === 'rate' && /^\d+$/.test(text)) rate = Number(text);
    else if (key === 'scale' && (text === 'mel' || text === 'linear')) asked.scale = text;
    else if (key === 'span' && (text === 'word' || number !== undefined)) asked.span = number ?? 'word';
    else {
      const name = NUMBERS.find((known) => known === key);
      if (name === undefined || number === undefined) bad(key, text);
      else asked[name] = number;
    }
  }
  if (rate < 2000 || rate > 96000) fail({ where, what: 'rate', expected: '2000 to 96000 samples per second', got: `${rate}`, exitCode: 2 });
  return { rate, shape, given, view: { ...usualView(rate), ...asked } };
}
