/**
 * What a trigger is: a change of pixels, bytes 0..255 before any normalisation, or of recordings, described by plain JSON. A new kind is one file like its
 * neighbours and one line in `registry.ts`; the conformance test runs over all that stand there.
 */
import { z } from 'zod';
import { fail } from '../../core/errors.ts';
import type { ImageShape } from '../../data/dataset.ts';
import { shapeText } from '../../data/make.ts';
import type { Sound } from '../../data/sound.ts';

/** Changes one image `[C,H,W]` in place. */
export type Stamp = (image: Uint8Array) => void;
/** A recording with the trigger in it; the one given stays as it is. */
export type Mix = (recording: Int16Array) => Int16Array;

export interface TriggerType<K extends string, S extends z.ZodObject<{ kind: z.ZodLiteral<K> }>> {
  readonly kind: K;
  /** One line for `--help`. */
  readonly summary: string;
  readonly schema: S;
  /** Fails (by {@link doesNotFit}) where the trigger does not fit images of that shape; else what it does to each of them. */
  readonly stamper: (spec: z.infer<S>, shape: ImageShape) => Stamp;
}

/** A trigger that is heard: it changes recordings, and their pictures are drawn anew. */
export interface SoundTriggerType<K extends string, S extends z.ZodObject<{ kind: z.ZodLiteral<K> }>> {
  readonly kind: K;
  readonly on: 'sound';
  /** One line for `--help`. */
  readonly summary: string;
  readonly schema: S;
  /** Fails where the trigger does not fit sound of that rate; else what it does to each recording. */
  readonly mixer: (spec: z.infer<S>, sound: Sound) => Mix;
}

export const Byte = z.number().int().min(0).max(255);

/** Grey, or red, green and blue. */
export const Colour = z.union([Byte, z.tuple([Byte, Byte, Byte])]);
export type Colour = z.infer<typeof Colour>;

/** A row or column: from the top or left where 0 or more, from the bottom or right where negative, -1 being the last. */
export const Position = z.number().int();

/** For {@link TriggerType.stamper}. */
export function doesNotFit(kind: string, shape: ImageShape, expected: string, got: string): never {
  return fail({ where: `poison: trigger "${kind}"`, what: `does not fit images of ${shapeText(shape)}`, expected, got });
}

/** ITU-R BT.601 luma, 0..255. */
export function luma(r: number, g: number, b: number): number {
  return Math.round(0.299 * r + 0.587 * g + 0.114 * b);
}

/** The value of a colour in each channel; a colour of three parts becomes grey on one channel. */
export function channelValues(kind: string, colour: Colour, shape: ImageShape): number[] {
  if (typeof colour === 'number') return new Array<number>(shape.channels).fill(colour);
  if (shape.channels === 1) return [luma(...colour)];
  if (shape.channels === 3) return colour;
  return doesNotFit(kind, shape, 'a single value, or images of 1 or 3 channels', 'red, green and blue');
}

/** Index in a plane `[H,W]` of the pixel at `row`, `column`, which may count from the end. */
export function pixelIndex(kind: string, row: number, column: number, shape: ImageShape): number {
  const y = row < 0 ? shape.height + row : row;
  const x = column < 0 ? shape.width + column : column;
  if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) {
    const expected = `rows ${-shape.height} to ${shape.height - 1}, columns ${-shape.width} to ${shape.width - 1}`;
    doesNotFit(kind, shape, expected, `row ${row}, column ${column}`);
  }
  return y * shape.width + x;
}
