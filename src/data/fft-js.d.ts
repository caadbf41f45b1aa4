/** What is used of the package fft.js, which brings no types. */
declare module 'fft.js' {
  export default class FFT {
    /** `size` is a power of two above 1. */
    constructor(size: number);
    /** `size` complex numbers, interleaved. */
    createComplexArray(): number[];
    /** First `size / 2 + 1` values of the transform of `size` real numbers, interleaved; the rest of `out` is left as it is. */
    realTransform(out: number[], input: ArrayLike<number>): void;
  }
}
