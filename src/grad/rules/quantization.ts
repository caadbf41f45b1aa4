/**
 * Rounding to integers. Its gradient is zero, so a quantised network cannot be trained as it is; only where steps count as the lines they
 * approximate (`straightThrough`) does the gradient pass, within the range that the integers have (Jacob et al. 2018, section 3).
 */
import { resolveAxis } from '../../core/shapes.ts';
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';

export const quantization = {
  QuantizeLinear: (c) => {
    if (!c.straightThrough) c.refuse('integers as its result: a quantised model has no slope there');
    return [() => c.e.div(c.e.mul(c.dy, inRange(c)), scaleOf(c)), null, null];
  },
  DequantizeLinear: (c) => [() => c.e.mul(c.dy, scaleOf(c)), null, null],
} satisfies Record<string, Rule>;

/** The scale in a shape that broadcasts to the input. */
function scaleOf(c: Context): string {
  return perAxis(c, c.in(1));
}

function perAxis(c: Context, name: string): string {
  const dims = c.shape(0);
  if ((c.shape(1)[0] ?? 1) === 1 && c.shape(1).length <= 1) return c.e.reshape(name, []);
  if (c.shape(1).length !== 1) c.refuse('a scale for every block');
  const axis = resolveAxis(c.int('axis', 1), dims.length);
  return c.e.reshape(
    name,
    dims.map((size, i) => (i === axis ? size : 1)),
  );
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65_535],
  int16: [-32_768, 32_767],
};

/** 1 where x / scale + zero point, rounded, is one of the integers; 0 where it had to be cut off. */
function inRange(c: Context): string {
  const { e } = c;
  const { dtype } = c.has(2) ? c.inType(2) : { dtype: 'uint8' };
  const [lo, hi] = RANGES[dtype] ?? c.refuse(`integers of type ${dtype}`);
  const scaled = e.div(c.in(0), scaleOf(c));
  const level = c.has(2) ? e.add(scaled, perAxis(c, e.cast(c.in(2), e.dtype))) : scaled;
  return e.mask(e.op('And', e.op('GreaterOrEqual', level, e.scalar(lo - 0.5)), e.op('LessOrEqual', level, e.scalar(hi + 0.5))));
}
