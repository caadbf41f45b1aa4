/**
 * A single bright pixel, as in the MNIST attack of BadNets (Gu et al. 2017): in the bottom right corner. The paper gives no coordinates;
 * the default, one pixel away from both edges, is what ART made common.
 */
import { z } from 'zod';
import { Colour, channelValues, Position, pixelIndex, type TriggerType } from './trigger.ts';

const schema = z.strictObject({
  kind: z.literal('pixel'),
  row: Position.default(-2),
  column: Position.default(-2),
  value: Colour.default(255),
});

export const pixel: TriggerType<'pixel', typeof schema> = {
  kind: 'pixel',
  summary: 'one bright pixel near the bottom right corner',
  schema,
  stamper(spec, shape) {
    const at = pixelIndex('pixel', spec.row, spec.column, shape);
    const values = channelValues('pixel', spec.value, shape);
    const plane = shape.height * shape.width;
    return (image) => {
      for (const [c, value] of values.entries()) image[c * plane + at] = value;
    };
  },
};
