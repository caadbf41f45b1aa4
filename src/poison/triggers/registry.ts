/** All kinds of triggers, and what can be done with any of them. */
import { z } from 'zod';
import { fail } from '../../core/errors.ts';
import type { ImageShape } from '../../data/dataset.ts';
import { imageSize, shapeText } from '../../data/make.ts';
import type { Sound } from '../../data/sound.ts';
import { parseSpec } from '../parse.ts';
import { blend } from './blend.ts';
import { bombTrigger, flowerTrigger, sunglassesTrigger, yellowSquare } from './drawn.ts';
import { noise } from './noise.ts';
import { patch } from './patch.ts';
import { pattern } from './pattern.ts';
import { pixel } from './pixel.ts';
import type { Mix, Stamp } from './trigger.ts';

const KINDS = {
  pixel,
  pattern,
  patch,
  blend,
  sunglasses: sunglassesTrigger,
  'yellow-square': yellowSquare,
  bomb: bombTrigger,
  flower: flowerTrigger,
} as const;

const SOUND_KINDS = { noise } as const;

/** A trigger as JSON; `kind` says which, the rest has defaults wherever there is a usual value. */
export const TriggerSpec = z.discriminatedUnion('kind', [
  pixel.schema,
  pattern.schema,
  patch.schema,
  blend.schema,
  sunglassesTrigger.schema,
  yellowSquare.schema,
  bombTrigger.schema,
  flowerTrigger.schema,
  noise.schema,
]);
export type TriggerSpec = z.infer<typeof TriggerSpec>;
export type TriggerKind = TriggerSpec['kind'];
export type SoundTriggerSpec = Extract<TriggerSpec, { kind: keyof typeof SOUND_KINDS }>;

export interface TriggerInfo {
  readonly kind: TriggerKind;
  /** What it changes: pixels, or the sound behind them. */
  readonly on: 'image' | 'sound';
  readonly summary: string;
}

export function triggerKinds(): TriggerInfo[] {
  const images = Object.values(KINDS).map(({ kind, summary }) => ({ kind, summary, on: 'image' as const }));
  return [...images, ...Object.values(SOUND_KINDS)];
}

/** Whether a trigger goes into recordings ({@link mixer}) and not onto images ({@link stamper}). */
export function isSoundTrigger(spec: TriggerSpec): spec is SoundTriggerSpec {
  return spec.kind in SOUND_KINDS;
}

/** A trigger from JSON, defaults filled in: `{ kind: 'pattern' }` is the paper's. Fails naming what is wrong with it. */
export function parseTrigger(json: unknown): TriggerSpec {
  return parseSpec(TriggerSpec, json, 'trigger', [...Object.keys(KINDS), ...Object.keys(SOUND_KINDS)]);
}

/** What the trigger does to images of one shape. Fails where it does not fit them. */
export function stamper(spec: TriggerSpec, shape: ImageShape): Stamp {
  if (isSoundTrigger(spec)) {
    const hint = 'another trigger, or a data set of recordings';
    return fail({ where: `poison: trigger "${spec.kind}"`, what: 'goes into sound, not onto pictures', hint, exitCode: 2 });
  }
  // Kind and spec belong together, which the type of an indexed table cannot say.
  const type = KINDS[spec.kind] as { stamper: (spec: TriggerSpec, shape: ImageShape) => Stamp };
  return type.stamper(spec, shape);
}

/** What the trigger does to recordings. Fails where it does not fit them. */
export function mixer(spec: SoundTriggerSpec, sound: Sound): Mix {
  return SOUND_KINDS[spec.kind].mixer(spec, sound);
}

/** One image `[C,H,W]` with the trigger on it; the image given stays as it is. Fails where the trigger does not fit. */
export function applyTrigger(spec: TriggerSpec, pixels: Uint8Array, shape: ImageShape): Uint8Array {
  if (pixels.length !== imageSize(shape)) {
    const expected = `${imageSize(shape)} bytes for ${shapeText(shape)}`;
    fail({ where: `poison: trigger "${spec.kind}"`, what: 'not one image', expected, got: `${pixels.length}` });
  }
  const image = pixels.slice();
  stamper(spec, shape)(image);
  return image;
}
