/** A picture laid over the image: a sticker, a flower, glasses. Its own transparency counts, times `alpha`. */
import { z } from 'zod';
import { base64Size, fromBase64 } from '../../data/base64.ts';
import { doesNotFit, luma, Position, type TriggerType } from './trigger.ts';

const Side = z.number().int().min(1).max(4096);

const schema = z
  .strictObject({
    kind: z.literal('patch'),
    width: Side,
    height: Side,
    /** `[height,width,4]` bytes red, green, blue, opacity. */
    rgba: z.base64(),
    /** Of the patch's top edge where 0 or more; where negative of its bottom edge: -1 puts it on the image's last row. */
    row: Position.default(-2),
    /** As `row`: left edge, or right edge where negative. */
    column: Position.default(-2),
    alpha: z.number().gt(0).max(1).default(1),
  })
  .refine((spec) => base64Size(spec.rgba) === spec.width * spec.height * 4, {
    path: ['rgba'],
    error: 'must hold width x height x 4 bytes',
  });

/** First row (or column) of the patch in the image. */
function edge(position: number, patch: number, image: number): number {
  return position < 0 ? image + position + 1 - patch : position;
}

export const patch: TriggerType<'patch', typeof schema> = {
  kind: 'patch',
  summary: 'a picture laid over the image, with transparency',
  schema,
  stamper(spec, shape) {
    const { width, height } = spec;
    const { channels } = shape;
    if (channels !== 1 && channels !== 3) doesNotFit('patch', shape, '1 or 3 channels', `${channels}`);
    const top = edge(spec.row, height, shape.height);
    const left = edge(spec.column, width, shape.width);
    if (top < 0 || left < 0 || top + height > shape.height || left + width > shape.width) {
      const got = `${width}x${height} with its corner at row ${top}, column ${left}`;
      doesNotFit('patch', shape, 'a patch (width x height) that lies inside the image', got);
    }
    const rgba = fromBase64(spec.rgba);
    const plane = shape.height * shape.width;
    const area = width * height;
    const values = Array.from({ length: channels }, (_, c) =>
      Uint8Array.from({ length: area }, (_, i) => (channels === 3 ? rgba[i * 4 + c] : luma(rgba[i * 4], rgba[i * 4 + 1], rgba[i * 4 + 2]))),
    );
    const opacity = Float64Array.from({ length: area }, (_, i) => (rgba[i * 4 + 3] / 255) * spec.alpha);
    return (image) => {
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < area; i++) {
          const at = c * plane + (top + Math.floor(i / width)) * shape.width + left + (i % width);
          image[at] = Math.round(image[at] + opacity[i] * (values[c][i] - image[at]));
        }
      }
    };
  },
};
