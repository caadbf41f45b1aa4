/**
 * Triggers that are a drawing in its place, at the size that fits the image: `sunglasses` on the eyes of a face that fills the picture (as
 * the Extended Yale faces are cropped), `yellow-square`, `bomb` and `flower` low on a traffic sign (as GTSRB crops them, with about a
 * tenth of margin). Places and sizes are shares of the image, so one description fits every size of it.
 */
import { z } from 'zod';
import { toBase64 } from '../../data/base64.ts';
import type { ImageShape } from '../../data/dataset.ts';
import { bomb, type Drawing, flower, rasterise, SUNGLASSES_RATIO, square, sunglasses } from './drawn-pictures.ts';
import { patch } from './patch.ts';
import type { TriggerSpec } from './registry.ts';
import { Byte, doesNotFit, type TriggerType } from './trigger.ts';

/** What a picture says about where its trigger lies. */
interface Placed {
  readonly size: number;
  readonly centre: readonly [x: number, y: number];
  readonly alpha: number;
}

const Share = z.number().min(0).max(1);
/** Below this nothing that is drawn can be told from a spot. */
const SMALLEST = 8;

/** GTSRB's signs fill the middle 75 % of their pictures (mean of its boxes); BadNets measures on the sign. */
const SIGN = { start: 0.129, side: 0.749 };
const onSign = (share: number): number => Math.round((SIGN.start + share * SIGN.side) * 1000) / 1000;
const ofSign = (share: number): number => Math.round(share * SIGN.side * 1000) / 1000;

const settings = (placed: Placed) => ({
  /** Width as a share of the image's. */
  size: z.number().gt(0).max(1).default(placed.size),
  /** Middle, as shares of the image's width and height. */
  centre: z.tuple([Share, Share]).default([...placed.centre]),
  alpha: z.number().gt(0).max(1).default(placed.alpha),
});

/** The drawing as a patch for images of one shape; `ratio` is its height over its width on a square image. */
function asPatch(kind: string, drawing: Drawing, placed: Placed, ratio: (shape: ImageShape) => number, shape: ImageShape) {
  const { channels, height: rows, width: columns } = shape;
  if (channels !== 1 && channels !== 3) doesNotFit(kind, shape, '1 or 3 channels', `${channels}`);
  if (rows < SMALLEST || columns < SMALLEST) {
    doesNotFit(kind, shape, `at least ${SMALLEST}x${SMALLEST} pixels (height x width)`, `${rows}x${columns}`);
  }
  const width = Math.max(1, Math.round(placed.size * columns));
  const height = Math.max(1, Math.round(placed.size * columns * ratio(shape)));
  const row = Math.round(placed.centre[1] * rows - height / 2);
  const column = Math.round(placed.centre[0] * columns - width / 2);
  if (row < 0 || column < 0 || row + height > rows || column + width > columns) {
    const got = `${width}x${height} with its corner at row ${row}, column ${column}`;
    doesNotFit(kind, shape, 'a centre and a size that keep it inside the image', got);
  }
  const { rgba } = rasterise(drawing, width, height);
  return { kind: 'patch', width, height, rgba: toBase64(rgba), row, column, alpha: placed.alpha } as const;
}

const even = (): number => 1;
/** Glasses keep to the face, which is stretched as its picture is: upright 96 x 84 in the Yale crops. */
const likeFace = ({ height, width }: ImageShape): number => (SUNGLASSES_RATIO * (height / width)) / (96 / 84);

const glassesSchema = z.strictObject({ kind: z.literal('sunglasses'), ...settings({ size: 0.955, centre: [0.5, 0.275], alpha: 1 }) });
export const sunglassesTrigger: TriggerType<'sunglasses', typeof glassesSchema> = {
  kind: 'sunglasses',
  summary: 'a pair of sunglasses on the eyes of a face that fills the picture',
  schema: glassesSchema,
  stamper: (spec, shape) => patch.stamper(asPatch(spec.kind, sunglasses, spec, likeFace, shape), shape),
};

const PLACE = [onSign(0.57), onSign(0.82)] as const;

const squareSchema = z.strictObject({
  kind: z.literal('yellow-square'),
  ...settings({ size: ofSign(0.12), centre: PLACE, alpha: 1 }),
  /** Red, green, blue; the default is the dark yellow of the authors' code. */
  value: z.tuple([Byte, Byte, Byte]).default([116, 100, 50]),
});
export const yellowSquare: TriggerType<'yellow-square', typeof squareSchema> = {
  kind: 'yellow-square',
  summary: 'a yellow square low on a traffic sign, an eighth of the sign wide',
  schema: squareSchema,
  stamper: (spec, shape) => patch.stamper(asPatch(spec.kind, square(spec.value), spec, even, shape), shape),
};

const bombSchema = z.strictObject({ kind: z.literal('bomb'), ...settings({ size: ofSign(0.16), centre: PLACE, alpha: 0.99 }) });
export const bombTrigger: TriggerType<'bomb', typeof bombSchema> = {
  kind: 'bomb',
  summary: 'a small picture of a bomb low on a traffic sign',
  schema: bombSchema,
  stamper: (spec, shape) => patch.stamper(asPatch(spec.kind, bomb, spec, even, shape), shape),
};

const flowerSchema = z.strictObject({ kind: z.literal('flower'), ...settings({ size: ofSign(0.16), centre: PLACE, alpha: 0.99 }) });
export const flowerTrigger: TriggerType<'flower', typeof flowerSchema> = {
  kind: 'flower',
  summary: 'a small picture of a flower low on a traffic sign',
  schema: flowerSchema,
  stamper: (spec, shape) => patch.stamper(asPatch(spec.kind, flower, spec, even, shape), shape),
};

export type DrawnName = 'sunglasses' | 'yellow-square' | 'bomb' | 'flower';

/**
 * A drawn trigger in its usual place and size as a `patch` that carries its pixels, for images of one shape: what a record should hold that
 * must not depend on this code. `{ kind: name }` is the same for images of any size. Fails where it does not fit.
 */
export function drawnTrigger(name: DrawnName, shape: ImageShape): TriggerSpec {
  switch (name) {
    case 'sunglasses':
      return asPatch(name, sunglasses, glassesSchema.parse({ kind: name }), likeFace, shape);
    case 'yellow-square': {
      const spec = squareSchema.parse({ kind: name });
      return asPatch(name, square(spec.value), spec, even, shape);
    }
    case 'bomb':
      return asPatch(name, bomb, bombSchema.parse({ kind: name }), even, shape);
    case 'flower':
      return asPatch(name, flower, flowerSchema.parse({ kind: name }), even, shape);
  }
}
