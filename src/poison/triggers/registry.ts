/** All kinds of triggers, and what can be done with any of them. */
import { z } from 'zod';
import { fail } from '../../core/errors.ts';
import type { ImageShape } from '../../data/dataset.ts';
import { imageSize, shapeText } from '../../data/make.ts';
import { parseSpec } from '../parse.ts';
import { blend } from './blend.ts';
import { bombTrigger, flowerTrigger, sunglassesTrigger, yellowSquare } from './drawn.ts';
import { patch } from './patch.ts';
import { pattern } from './pattern.ts';
import { pixel } from './pixel.ts';
import type { Stamp } from './trigger.ts';

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
]);
export type TriggerSpec = z.infer<typeof TriggerSpec>;
export type TriggerKind = TriggerSpec['kind'];

export interface TriggerInfo {
  readonly kind: TriggerKind;
  readonly summary: string;
}

export function triggerKinds(): TriggerInfo[] {
  return Object.values(KINDS);
}

/** A trigger from JSON, defaults filled in: `{ kind: 'pattern' }` is the paper's. Fails naming what is wrong with it. */
export function parseTrigger(json: unknown): TriggerSpec {
  return parseSpec(TriggerSpec, json, 'trigger', Object.keys(KINDS));
}

/** What the trigger does to images of one shape. Fails where it does not fit them. */
export function stamper(spec: TriggerSpec, shape: ImageShape): Stamp {
  // Kind and spec belong together, which the type of an indexed table cannot say.
  const type = KINDS[spec.kind] as { stamper: (spec: TriggerSpec, shape: ImageShape) => Stamp };
  return type.stamper(spec, shape);
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
