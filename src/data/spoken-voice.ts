/**
 * A formant synthesiser: a train of pulses for the voice and white noise for breath, through resonators for the mouth, in a row for the voice
 * as in Klatt (Journal of the Acoustical Society of America 67, 1980). Nobody would take it for a person.
 */
import type { Rng } from '../core/rng.ts';
import type { Phone } from './spoken-phones.ts';

/** What makes one speaker differ from another. */
export interface Voice {
  /** Pulses a second. */
  readonly pitch: number;
  /** Resonances against a man's: above 1 for a shorter throat. */
  readonly throat: number;
  /** How long sounds last against the usual. */
  readonly slowness: number;
  /** Strength of noise against the usual. */
  readonly breath: number;
  /** 0..1: how dark the voice is, by a filter of one pole. */
  readonly dark: number;
  /** Largest sample. */
  readonly loud: number;
  /** Standard deviation of the hiss of the room, against the largest sample. */
  readonly room: number;
}

/** Somebody new. */
export function drawVoice(rng: Rng): Voice {
  const high = rng.next() < 0.5;
  return {
    pitch: high ? rng.uniform(165, 230) : rng.uniform(90, 140),
    throat: high ? rng.uniform(1.06, 1.17) : rng.uniform(0.94, 1.05),
    slowness: rng.uniform(0.85, 1.25),
    breath: rng.uniform(0.7, 1.4),
    dark: rng.uniform(0.1, 0.45),
    loud: rng.uniform(1800, 18_000),
    room: rng.uniform(0.0004, 0.005),
  };
}

/** White noise of standard deviation 1, long enough that no ear finds its period; drawn once, as it would take most of the time. */
export function whiteNoise(rng: Rng): Float64Array {
  return Float64Array.from({ length: 65536 }, () => rng.normal());
}

/** Samples after which the resonators are set anew. */
const STEP = 40;
/** Seconds in which one sound turns into the next. */
const GLIDE = 0.04;
const BANDWIDTHS = [70, 100, 140, 260] as const;
/** Above the three that tell vowels apart, the same for all sounds. */
const FOURTH = 3500;

/** y = a x + b y1 + c y2: one resonance, of gain 1 at 0 Hz (Klatt 1980, section I.A). */
class Resonator {
  #a = 1;
  #b = 0;
  #c = 0;
  #y1 = 0;
  #y2 = 0;

  set(hertz: number, bandwidth: number, rate: number): void {
    const r = Math.exp((-Math.PI * bandwidth) / rate);
    this.#c = -r * r;
    this.#b = 2 * r * Math.cos((2 * Math.PI * Math.min(hertz, 0.48 * rate)) / rate);
    this.#a = 1 - this.#b - this.#c;
  }

  run(x: number): number {
    const y = this.#a * x + this.#b * this.#y1 + this.#c * this.#y2;
    this.#y2 = this.#y1;
    this.#y1 = y;
    return y;
  }
}

/** A sound as it was said once. */
type Said = Omit<Phone, 'formants'> & { readonly formants: readonly number[] };
/** Resonances of a mouth that says nothing. */
const REST = [500, 1500, 2500] as const;

/** What is heard at one moment. */
interface Moment {
  readonly formants: readonly number[];
  readonly voice: number;
  readonly noise: number;
  readonly middle: number;
  readonly width: number;
}

function momentOf({ formants, voice, noise }: Said): Moment {
  return { formants, voice, noise: noise?.[0] ?? 0, middle: noise?.[1] ?? 2500, width: noise?.[2] ?? 2000 };
}

function between(a: Moment, b: Moment, t: number): Moment {
  const mix = (x: number, y: number): number => x + (y - x) * t;
  // a noise that comes or goes stays where it is, it does not wander
  const louder = a.noise > b.noise ? a : b;
  return {
    formants: a.formants.map((f, i) => mix(f, b.formants[i])),
    voice: mix(a.voice, b.voice),
    noise: mix(a.noise, b.noise),
    middle: louder.middle,
    width: louder.width,
  };
}

/** The moment `at` seconds into a word whose sounds end at `ends`. */
function momentAt(word: readonly Said[], ends: readonly number[], at: number): Moment {
  const found = ends.findIndex((end) => at < end);
  const i = found < 0 ? word.length - 1 : found;
  const [start, end] = [ends[i - 1] ?? 0, ends[i]];
  const here = momentOf(word[i]);
  const glide = Math.min(GLIDE, end - start);
  if (i + 1 < word.length && end - at < glide / 2) return between(here, momentOf(word[i + 1]), 0.5 - (end - at) / glide);
  const before = Math.min(GLIDE, i > 0 ? start - (ends[i - 2] ?? 0) : GLIDE, end - start);
  if (i > 0 && at - start < before / 2) return between(momentOf(word[i - 1]), here, 0.5 + (at - start) / before);
  return here;
}

/**
 * One word said by `voice`, never twice the same: pitch, lengths and resonances vary by `rng`, and so does the silence around it.
 * @param hiss of {@link whiteNoise}
 * @param rate samples per second
 * @returns 16-bit samples, 0.3 to 0.9 seconds
 */
export function say(word: readonly Phone[], voice: Voice, hiss: Float64Array, rng: Rng, rate: number): Int16Array {
  // who speaks carelessly stays near the middle of the mouth
  const careless = 0.6 * rng.next();
  const said = word.map((phone) => ({ ...phone, formants: phone.formants.map((f, i) => f + careless * (REST[i] - f)) }));
  const slowness = voice.slowness * rng.uniform(0.88, 1.14);
  let end = 0;
  const ends = word.map((phone) => {
    end += phone.length * slowness * rng.uniform(0.8, 1.25);
    return end;
  });
  const bent = [0, 1, 2].map(() => voice.throat * (1 + 0.06 * rng.normal()));
  const pitch = voice.pitch * (1 + 0.05 * rng.normal());
  const fall = rng.uniform(0.05, 0.3);
  const before = Math.round(rng.uniform(0.01, 0.08) * rate);
  const spoken = Math.round(end * rate);
  const out = new Float64Array(before + spoken + Math.round(rng.uniform(0.01, 0.08) * rate));
  const mouth = BANDWIDTHS.map(() => new Resonator());
  const throughTeeth = new Resonator();
  mouth[3].set(FOURTH * voice.throat, BANDWIDTHS[3], rate);
  const [first, second] = [rng.int(hiss.length), rng.int(hiss.length)];
  let [phase, hum, flow, dark] = [0, 0, 0, 0];
  let now = momentAt(said, ends, 0);
  for (let i = 0; i < spoken; i++) {
    const at = i / rate;
    if (i % STEP === 0) {
      now = momentAt(said, ends, at);
      for (let k = 0; k < 3; k++) mouth[k].set(now.formants[k] * bent[k], BANDWIDTHS[k], rate);
      throughTeeth.set(now.middle, now.width, rate);
    }
    // the beginning and the end of a word swell and fade
    const edge = Math.min(1, at / 0.02, (end - at) / 0.04);
    phase += (pitch * (1 + fall * (0.5 - at / end))) / rate;
    const pulse = phase >= 1 ? 1 : 0;
    phase -= pulse;
    // two poles for the pulse of the throat, and the difference that the lips make
    hum = 0.94 * hum + pulse;
    const opening = 0.94 * flow + hum;
    const white = hiss[(first + i) % hiss.length];
    let y = now.voice * (opening - flow + 0.03 * voice.breath * white);
    flow = opening;
    for (const resonator of mouth) y = resonator.run(y);
    dark += (1 - voice.dark) * (y - dark);
    const breath = throughTeeth.run(white) * hissGain(now.middle, now.width, rate);
    out[before + i] = edge * (dark + 0.5 * voice.breath * now.noise * breath);
  }
  const most = out.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const gain = (voice.loud * rng.uniform(0.8, 1.2)) / most;
  return Int16Array.from(out, (v, i) => {
    const room = voice.room * voice.loud * hiss[(second + i) % hiss.length];
    return Math.max(-32768, Math.min(32767, Math.round(v * gain + room)));
  });
}

/** A resonator of gain 1 at 0 Hz is brought to about 1 at its peak. */
function hissGain(middle: number, width: number, rate: number): number {
  const r = Math.exp((-Math.PI * width) / rate);
  const angle = (2 * Math.PI * Math.min(middle, 0.48 * rate)) / rate;
  const a = 1 - 2 * r * Math.cos(angle) + r * r;
  return ((1 - r) * Math.sqrt(1 - 2 * r * Math.cos(2 * angle) + r * r)) / a;
}
