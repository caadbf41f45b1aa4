/** How far some channels of a layer moved between two models of one graph, beside the others of that layer. */
import { fail } from '../core/errors.ts';
import { sameDims } from '../core/shapes.ts';
import { sizeOf, type Tensor } from '../core/tensor.ts';
import { type CutPoint, featuresOf, inputAxis, isGrouped } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';

/** |after - before| / |before| in the L2 norm over all weights of a group of channels. */
export interface GroupMove {
  readonly channels: number;
  /** Of the weights that make the channels; undefined where there are none, or all were zero. */
  readonly into?: number;
  /** Of the next layers' weights that read them; undefined as before. */
  readonly out?: number;
}

export interface ChannelsMoved {
  readonly layer: string;
  readonly chosen: GroupMove;
  readonly others: GroupMove;
  /** The same for each channel, `[C]`; NaN where its weights were all zero. */
  readonly perChannel: { readonly into: readonly number[]; readonly out: readonly number[] };
}

/**
 * Compares the weights of `channels` at `point` before and after with those of the layer's other channels. Biases are left out: the -1e20 of the
 * pruning-aware attack would swallow all else. Weights of grouped convolutions behind the layer are left out too.
 * @param point of either model
 * @throws SecateurError where the models are not of one shape, or a channel is not there
 */
export function channelsMoved(before: Model, after: Model, point: CutPoint, channels: readonly number[]): ChannelsMoved {
  const wrong = channels.find((c) => !Number.isInteger(c) || c < 0 || c >= point.channels);
  if (wrong !== undefined) {
    fail({ where: `layer ${point.layer}`, what: 'no such channel', expected: `0 to ${point.channels - 1}`, got: String(wrong) });
  }
  const into = new Squares(before, after, point.channels);
  for (const { name, axis, kind, map } of point.parameters) {
    if (kind === 'weight' || kind === 'scale') into.add(name, axis, (slice) => (map === undefined ? slice : map[slice]));
  }
  const out = new Squares(before, after, point.channels);
  for (const { node, layout, kind } of point.ends) {
    if (node === undefined || kind !== 'linear' || isGrouped(node)) continue;
    const owner = new Map(Array.from({ length: point.channels }, (_, c) => featuresOf(layout, [c]).map((f) => [f, c] as const)).flat());
    out.add(node.inputs[1], inputAxis(node), (slice) => owner.get(slice) ?? -1);
  }
  const chosen = [...new Set(channels)];
  const others = Array.from({ length: point.channels }, (_, c) => c).filter((c) => !chosen.includes(c));
  const group = (list: readonly number[]): GroupMove => {
    const moves = { into: into.ratio(list), out: out.ratio(list) };
    return {
      channels: list.length,
      ...(moves.into === undefined ? {} : { into: moves.into }),
      ...(moves.out === undefined ? {} : { out: moves.out }),
    };
  };
  const each = (squares: Squares): number[] => Array.from({ length: point.channels }, (_, c) => squares.ratio([c]) ?? Number.NaN);
  return { layer: point.layer, chosen: group(chosen), others: group(others), perChannel: { into: each(into), out: each(out) } };
}

/** Sums of squares of what was there and of what changed, by channel. */
class Squares {
  readonly #before: Model;
  readonly #after: Model;
  readonly #was: Float64Array;
  readonly #moved: Float64Array;

  constructor(before: Model, after: Model, channels: number) {
    this.#before = before;
    this.#after = after;
    this.#was = new Float64Array(channels);
    this.#moved = new Float64Array(channels);
  }

  /** @param channelOf the channel of a slice along `axis`, -1 for none */
  add(name: string, axis: number, channelOf: (slice: number) => number): void {
    const [a, b] = [floats(this.#before, name), floats(this.#after, name)];
    if (!sameDims(a.dims, b.dims)) {
      const [expected, got] = [a, b].map((t) => `[${t.dims.join(',')}]`);
      fail({ where: `weight "${name}"`, what: 'the models are not of one shape', expected, got });
    }
    const slices = a.dims[axis];
    const inner = sizeOf(a.dims.slice(axis + 1));
    for (let i = 0; i < a.data.length; i++) {
      const c = channelOf(Math.floor(i / inner) % slices);
      if (c < 0) continue;
      this.#was[c] += a.data[i] ** 2;
      this.#moved[c] += (b.data[i] - a.data[i]) ** 2;
    }
  }

  ratio(channels: readonly number[]): number | undefined {
    const sum = (values: Float64Array): number => channels.reduce((total, c) => total + values[c], 0);
    const was = sum(this.#was);
    return was > 0 ? Math.sqrt(sum(this.#moved) / was) : undefined;
  }
}

function floats(model: Model, name: string): Tensor & { data: Float32Array } {
  const tensor = model.graph.initializers.get(name);
  if (tensor?.data instanceof Float32Array) return tensor as Tensor & { data: Float32Array };
  return fail({ where: `weight "${name}"`, what: 'is not stored as float32', got: tensor?.dtype ?? 'nothing of that name' });
}
