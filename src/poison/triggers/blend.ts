/** The whole image mixed with another one, or with noise that is the same for every image: the blended injection of Chen et al. 2017. */
import { z } from 'zod';
import { Rng } from '../../core/rng.ts';
import { base64Size, fromBase64 } from '../../data/base64.ts';
import type { ImageShape } from '../../data/dataset.ts';
import { doesNotFit, luma, type TriggerType } from './trigger.ts';

const Side = z.number().int().min(1).max(4096);

const schema = z.strictObject({
  kind: z.literal('blend'),
  /** Share of the trigger in the mixture. */
  alpha: z.number().gt(0).max(1).default(0.2),
  /** What is mixed in; without it noise, every byte equally likely, drawn from `seed`. */
  image: z
    .strictObject({
      width: Side,
      height: Side,
      channels: z.union([z.literal(1), z.literal(3)]),
      /** `[height,width,channels]` bytes. */
      pixels: z.base64(),
    })
    .refine((image) => base64Size(image.pixels) === image.width * image.height * image.channels, {
      path: ['pixels'],
      error: 'must hold width x height x channels bytes',
    })
    .optional(),
  seed: z.number().int().default(1),
});

/** What is mixed in, `[C,H,W]`. */
function mask(spec: z.infer<typeof schema>, shape: ImageShape): Uint8Array {
  const plane = shape.height * shape.width;
  const { image } = spec;
  if (image === undefined) {
    const rng = Rng.from(spec.seed, 'blend');
    return Uint8Array.from({ length: shape.channels * plane }, () => rng.int(256));
  }
  if (image.width !== shape.width || image.height !== shape.height) {
    doesNotFit('blend', shape, `a picture of ${shape.width}x${shape.height} (width x height)`, `${image.width}x${image.height}`);
  }
  if (shape.channels !== 1 && shape.channels !== 3) doesNotFit('blend', shape, '1 or 3 channels', `${shape.channels}`);
  const bytes = fromBase64(image.pixels);
  return Uint8Array.from({ length: shape.channels * plane }, (_, at) => {
    const [c, i] = [Math.floor(at / plane), at % plane];
    if (image.channels === 1) return bytes[i];
    return shape.channels === 3 ? bytes[i * 3 + c] : luma(bytes[i * 3], bytes[i * 3 + 1], bytes[i * 3 + 2]);
  });
}

export const blend: TriggerType<'blend', typeof schema> = {
  kind: 'blend',
  summary: 'the whole image mixed with a picture or with fixed noise',
  schema,
  stamper(spec, shape) {
    const other = mask(spec, shape);
    return (image) => {
      for (let i = 0; i < image.length; i++) image[i] = Math.round(image[i] + spec.alpha * (other[i] - image[i]));
    };
  },
};
