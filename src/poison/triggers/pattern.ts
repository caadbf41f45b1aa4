/**
 * Several bright pixels, as in the MNIST attack of BadNets (Gu et al. 2017): in the bottom right corner. The paper gives no coordinates;
 * the default, four pixels that touch only by their corners, is what ART made common.
 */
import { z } from 'zod';
import { Colour, channelValues, Position, pixelIndex, type TriggerType } from './trigger.ts';

const schema = z.strictObject({
  kind: z.literal('pattern'),
  /** Rows and columns. */
  pixels: z
    .array(z.tuple([Position, Position]))
    .min(1)
    .default([
      [-2, -2],
      [-3, -3],
      [-2, -4],
      [-4, -2],
    ]),
  value: Colour.default(255),
});

export const pattern: TriggerType<'pattern', typeof schema> = {
  kind: 'pattern',
  summary: 'four bright pixels in the bottom right corner',
  schema,
  stamper(spec, shape) {
    const places = spec.pixels.map(([row, column]) => pixelIndex('pattern', row, column, shape));
    const values = channelValues('pattern', spec.value, shape);
    const plane = shape.height * shape.width;
    return (image) => {
      for (const [c, value] of values.entries()) for (const at of places) image[c * plane + at] = value;
    };
  },
};
