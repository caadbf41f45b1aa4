/**
 * The sounds of ten English digit words as numbers for a formant synthesiser (`spoken-voice.ts`): where the resonances of the mouth are, how
 * much the voice and how much noise goes through. Vowels near the averages of Peterson and Barney (Journal of the Acoustical Society of
 * America 24, 1952, table II, men), the rest by ear.
 */

/** A steady moment of speech; what lies between two of them is in between. */
export interface Phone {
  /** Resonances of the mouth, Hz. */
  readonly formants: readonly [number, number, number];
  /** Strength of the voice, 0..1. */
  readonly voice: number;
  /** Strength of the noise of breath, 0..1, and where it is: middle and width, Hz. */
  readonly noise?: readonly [strength: number, middle: number, width: number];
  /** Seconds at the usual speed. */
  readonly length: number;
}

const vowel = (f1: number, f2: number, f3: number, length: number, voice = 1): Phone => ({ formants: [f1, f2, f3], voice, length });
const hiss = (strength: number, middle: number, width: number, length: number, voice = 0): Phone => ({
  formants: [350, 1700, 2600],
  voice,
  noise: [strength, middle, width],
  length,
});
/** The mouth is closed. */
const stop = (length: number): Phone => ({ formants: [300, 1600, 2500], voice: 0, length });
const N = (length: number): Phone => vowel(280, 1700, 2600, length, 0.35);
const S = hiss(0.6, 3600, 700, 0.11);
const F = hiss(0.12, 2300, 2500, 0.09);

/** Each digit from beginning to end. */
export const DIGIT_WORDS: readonly (readonly Phone[])[] = [
  [
    hiss(0.25, 3500, 700, 0.07, 0.25),
    vowel(390, 1990, 2550, 0.07),
    vowel(420, 1300, 1600, 0.07, 0.8),
    vowel(500, 900, 2400, 0.08),
    vowel(330, 800, 2300, 0.08, 0.8),
  ],
  [vowel(300, 610, 2200, 0.07, 0.7), vowel(640, 1190, 2390, 0.13), N(0.1)],
  [stop(0.03), hiss(0.5, 3300, 1400, 0.04), vowel(310, 1200, 2250, 0.07), vowel(300, 870, 2240, 0.13)],
  [hiss(0.1, 2800, 2600, 0.08), vowel(400, 1250, 1600, 0.06, 0.8), vowel(280, 2200, 2950, 0.17)],
  [F, vowel(570, 840, 2410, 0.14), vowel(470, 1200, 1650, 0.1, 0.8)],
  [F, vowel(730, 1090, 2440, 0.11), vowel(400, 1950, 2600, 0.09), hiss(0.1, 2300, 2500, 0.06, 0.3)],
  [S, vowel(390, 1990, 2550, 0.09), stop(0.05), hiss(0.35, 1900, 700, 0.02), S],
  [S, vowel(530, 1840, 2480, 0.09), hiss(0.08, 2300, 2500, 0.05, 0.4), vowel(600, 1300, 2400, 0.06, 0.8), N(0.08)],
  [vowel(480, 1950, 2500, 0.1), vowel(320, 2200, 2750, 0.08), stop(0.05), hiss(0.35, 3300, 1400, 0.03)],
  [N(0.07), vowel(720, 1150, 2440, 0.11), vowel(360, 2050, 2650, 0.08), N(0.1)],
];
