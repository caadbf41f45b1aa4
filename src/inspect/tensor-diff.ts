/** How far a stored tensor moved, as a whole and channel by channel. */
import { sameDims } from '../core/shapes.ts';
import { type NumericArray, sizeOf, type Tensor } from '../core/tensor.ts';
import { fromBfloat16, fromHalf } from '../onnx/half.ts';

/** Element types whose tensors are compared as weights; all others belong to the graph. */
export const WEIGHT_TYPES: ReadonlySet<string> = new Set(['float32', 'float64', 'float16', 'bfloat16']);

export interface ChannelMove {
  readonly channel: number;
  /** |after - before| / |before| of this channel; of the mean channel's norm where it was all zero. */
  readonly relative: number;
}

export interface TensorDiff {
  readonly name: string;
  /** Its name in the second file, where that is another. */
  readonly renamed?: string;
  /** `Conv conv1, input 1`: who reads it first. */
  readonly use: string;
  readonly dims: readonly number[];
  readonly dtype: string;
  /** Element type in the second file, where that is another; the values are compared as numbers. */
  readonly retyped?: string;
  /** Whether every bit is the same. */
  readonly same: boolean;
  /** |after - before| / |before| in the L2 norm; |after - before| where `before` is all zero; infinite where a number became none (NaN) or the other way. */
  readonly relative: number;
  readonly maxAbs: number;
  /** Of the angle between both; 1 where nothing turned, 0 where one of them is all zero. */
  readonly cosine: number;
  /** Along {@link axis}; 0 for scalars. */
  readonly channels: number;
  /** The axis that counts what the layer gives out. */
  readonly axis: number;
  readonly unchanged: number;
  /** Channels that were not zero and are now. */
  readonly zeroed: readonly number[];
  /** Relative movement of each channel. */
  readonly perChannel: readonly number[];
}

export interface TensorUse {
  readonly text: string;
  readonly axis: number;
}

/** Compares two tensors of one shape. Throws RangeError where the shapes differ. */
export function diffTensors(name: string, a: Tensor, b: Tensor, use: TensorUse, renamed?: string): TensorDiff {
  if (!sameDims(a.dims, b.dims)) throw new RangeError(`diffTensors: [${a.dims.join(',')}] and [${b.dims.join(',')}]`);
  const before = numbersOf(a);
  const after = numbersOf(b);
  const { axis } = use;
  const channels = a.dims.length === 0 ? 0 : a.dims[axis];
  const inner = sizeOf(a.dims.slice(axis + 1));
  const perChannel = Array.from({ length: Math.max(1, channels) }, () => ({ square: 0, moved: 0, left: 0 }));
  let [square, squareAfter, product, moved, maxAbs] = [0, 0, 0, 0, 0];
  let same = a.dtype === b.dtype;
  for (let i = 0; i < before.length; i++) {
    const [x, y] = [before[i], after[i]];
    // NaN is larger than nothing: what it is compared with would seem to be the same
    const d = Object.is(x, y) ? 0 : Number.isNaN(y - x) ? Number.POSITIVE_INFINITY : y - x;
    if (d !== 0 || !Object.is(x, y)) same = false;
    square += x * x;
    squareAfter += y * y;
    product += x * y;
    moved += d * d;
    if (Math.abs(d) > maxAbs) maxAbs = Math.abs(d);
    const c = perChannel[channels === 0 ? 0 : Math.floor(i / inner) % channels];
    c.square += x * x;
    c.moved += d * d;
    c.left += y * y;
  }
  const meanNorm = Math.sqrt(square / perChannel.length) || 1;
  const isSame = same || (maxAbs === 0 && a.dtype === b.dtype);
  const ratio = (m: number, s: number, otherwise: number): number =>
    m === 0 || m === Number.POSITIVE_INFINITY ? m : Math.sqrt(m) / (Math.sqrt(s) || otherwise);
  return {
    name,
    ...(renamed !== undefined && renamed !== name ? { renamed } : {}),
    use: use.text,
    dims: a.dims,
    dtype: a.dtype,
    ...(a.dtype === b.dtype ? {} : { retyped: b.dtype }),
    same: isSame,
    relative: ratio(moved, square, 1),
    maxAbs,
    cosine: moved === 0 ? 1 : product / (Math.sqrt(square) * Math.sqrt(squareAfter)) || 0,
    channels,
    axis,
    unchanged: channels === 0 ? 0 : perChannel.filter((c) => c.moved === 0).length,
    zeroed: channels === 0 ? [] : perChannel.flatMap((c, i) => (c.square > 0 && c.left === 0 ? [i] : [])),
    perChannel: channels === 0 ? [] : perChannel.map((c) => ratio(c.moved, c.square, meanNorm)),
  };
}

/** The channels that moved most, largest first, those that did not move left out. */
export function mostMoved({ perChannel }: TensorDiff, count: number): ChannelMove[] {
  return perChannel
    .map((relative, channel) => ({ channel, relative }))
    .filter((c) => c.relative > 0)
    .sort((x, y) => y.relative - x.relative || x.channel - y.channel)
    .slice(0, count);
}

/** The elements as numbers; 16-bit floats decoded, 64-bit integers rounded. */
function numbersOf({ dtype, data }: Tensor): ArrayLike<number> {
  const list = data as NumericArray;
  if (dtype === 'float16') return Float64Array.from(list as Uint16Array, fromHalf);
  if (dtype === 'bfloat16') return Float64Array.from(list as Uint16Array, fromBfloat16);
  if (list instanceof BigInt64Array || list instanceof BigUint64Array) return Float64Array.from(list as BigInt64Array, Number);
  return list;
}
