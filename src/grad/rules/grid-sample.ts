/**
 * GridSample in the plane (spatial transformers: Jaderberg et al. 2015, section 3.3): each output pixel mixes the four pixels around a
 * place. A place (u, v) between pixels has the weights (1 - du)(1 - dv), du (1 - dv), ... of its neighbours. Pixels outside count as
 * zero, or as the nearest on the border. On the way back each pixel gets its weight's share, and the place the slope of the mixture.
 */
import { sizeOf } from '../../core/tensor.ts';
import { type Context, once } from '../context.ts';
import type { Rule } from '../table.ts';

/** One axis of the places: where they are, in pixels. */
interface Axis {
  readonly size: number;
  /** Index of the neighbour before, a whole number, [N,1,P] */
  readonly before: string;
  /** How far after it the place is, 0 to 1. */
  readonly rest: string;
  /** d(place in pixels) / d(grid), 0 where the border stopped it. */
  readonly slope: string;
}

/** A neighbour on one axis: its index made to fit, whether it counts, and its weight. */
interface Neighbour {
  readonly index: string;
  /** 1 where the pixel is within the image, else 0. */
  readonly counts: string;
  readonly weight: string;
  /** Slope of the weight by the place: -1 or 1, as a number to multiply with. */
  readonly sign: 1 | -1;
}

export function gridSample(c: Context): ReturnType<Rule> {
  const { e } = c;
  const mode = c.string('mode', 'bilinear');
  const padding = c.string('padding_mode', 'zeros');
  if (mode !== 'bilinear' && mode !== 'linear') c.refuse(`mode "${mode}"`);
  if (padding !== 'zeros' && padding !== 'border') c.refuse(`padding_mode "${padding}"`);
  if (c.shape(0).length !== 4) c.refuse('a volume as its input');
  const [n, channels, height, width] = c.shape(0);
  const places = c.outShape()[2] * c.outShape()[3];
  const border = padding === 'border';
  // [N,1,P]: x (along the width) stands first in the grid.
  const grid = once(() => e.reshape(c.in(1), [n, places, 2]));
  const coordinate = (i: number) => e.reshape(e.slice(grid(), [2], [i], [i + 1]), [n, 1, places]);
  const across = once(() => axisOf(c, coordinate(0), width, border));
  const down = once(() => axisOf(c, coordinate(1), height, border));
  const dy = once(() => e.reshape(c.dy, [n, channels, places]));
  const flat = (row: string, column: string): string => e.add(e.scale(row, width), column);
  const spread = (index: string): string => e.op('Expand', e.cast(index, 'int64'), c.b.ints([n, channels, places]));
  const corners = once(() => {
    const columns = neighbours(c, across());
    return neighbours(c, down()).flatMap((v) => columns.map((u) => ({ u, v, at: spread(flat(v.index, u.index)) })));
  });

  const toImage = () => {
    const zeros = e.zeros([n, channels, height * width]);
    const added = corners().reduce((sum, { u, v, at }) => {
      return e.with('ScatterElements', [sum, at, e.mul(dy(), e.mul(u.weight, v.weight))], { axis: 2, reduction: 'add' });
    }, zeros);
    return e.reshape(added, c.shape(0));
  };
  const toGrid = () => {
    const image = e.reshape(c.in(0), [n, channels, height * width]);
    // What a corner adds to the loss for each unit of its weight, [N,1,P].
    const worth = corners().map(({ at }) => e.reduceSum(e.mul(dy(), e.with('GatherElements', [image, at], { axis: 2 })), [1], true));
    const along = (by: 'u' | 'v', axis: Axis): string => {
      const terms = corners().map(({ u, v }, i) => {
        const [own, other] = by === 'u' ? [u, v] : [v, u];
        const term = e.mul(worth[i], e.mul(other.weight, own.counts));
        return own.sign === 1 ? term : e.neg(term);
      });
      return e.mul(e.sum(terms), axis.slope);
    };
    const both = e.with('Concat', [along('u', across()), along('v', down())], { axis: 1 }); // [N,2,P]
    return e.reshape(e.transpose(both, [0, 2, 1]), c.shape(1));
  };
  return [toImage, toGrid];
}

/** From grid coordinates in [-1, 1] to pixels. */
function axisOf(c: Context, grid: string, size: number, border: boolean): Axis {
  const { e } = c;
  // Whether -1 and 1 are the middles of the outermost pixels or their outer edges.
  const step = c.int('align_corners', 0) === 1 ? (size - 1) / 2 : size / 2;
  const place = e.add(e.scale(grid, step), e.scalar((size - 1) / 2));
  const stopped = border ? e.clip(place, { min: 0, max: size - 1 }) : place;
  const before = e.op('Floor', stopped);
  const slope = border ? e.scale(e.mask(e.op('Equal', place, stopped)), step) : e.scalar(step);
  return { size, before, rest: e.sub(stopped, before), slope };
}

function neighbours(c: Context, axis: Axis): Neighbour[] {
  const { e } = c;
  const one = e.scalar(1);
  const neighbour = (place: string, weight: string, sign: 1 | -1): Neighbour => {
    const index = e.clip(place, { min: 0, max: axis.size - 1 });
    const counts = e.mask(e.op('Equal', index, place));
    return { index, counts, weight: e.mul(weight, counts), sign };
  };
  return [neighbour(axis.before, e.sub(one, axis.rest), -1), neighbour(e.add(axis.before, one), axis.rest, 1)];
}

/** A grid of places made by an affine map: grid = base theta', so that the gradient of theta is dy' base. */
export function affineGrid(c: Context): ReturnType<Rule> {
  const { e } = c;
  const [n, ...rest] = c.outShape();
  const sizes = rest.slice(0, -1);
  const cells = sizeOf(sizes);
  return [
    () => {
      const dy = e.reshape(c.dy, [n, cells, sizes.length]);
      const base = e.constant(baseGrid(sizes, c.int('align_corners', 0) === 1), [cells, sizes.length + 1]);
      return e.op('MatMul', e.transpose(dy, [0, 2, 1]), base);
    },
    null,
  ];
}

/** For every cell its coordinates in [-1, 1], along the last axis first, and a 1. */
function baseGrid(sizes: readonly number[], corners: boolean): number[] {
  const place = (i: number, size: number): number => (corners ? (size === 1 ? -1 : (2 * i) / (size - 1) - 1) : (2 * i + 1) / size - 1);
  const rows = sizes.reduce<number[][]>(
    (cells, size) => cells.flatMap((cell) => Array.from({ length: size }, (_, i) => [place(i, size), ...cell])),
    [[]],
  );
  return rows.flatMap((cell) => [...cell, 1]);
}
