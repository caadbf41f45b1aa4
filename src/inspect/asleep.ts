/**
 * The dead-channel check: ReLU channels whose bias lies so far below all that clean images bring that nothing wakes them. Training that succeeds
 * leaves channels behind that are silent on clean images, but only just; the pruning-aware attack (Liu et al. 2018, section 4.1, step 4) silences
 * them by lowering a bias, in the authors' released network to -1e20.
 *
 * Every channel is measured on its own scale, because neither the layer's biases nor the network's say what is usual: in that network 50 of 60 are
 * -1e20, so the median is -1e20 too and a test for outliers finds none (facts/papers.md 5.1, item 9). The scale is what the channel's weights make
 * of clean images before the bias is added (after it, float32 has rounded all of that away). Its root mean square, not its standard deviation: a
 * channel may be silent because its weights are negative where its inputs are not, with little spread; on this scale that counts for 1 at most,
 * and only a bias goes beyond. A channel that reads next to nothing is measured on the layer's median scale instead: there any bias is large.
 */
import { fail } from '../core/errors.ts';
import { f32, sizeOf, type Tensor } from '../core/tensor.ts';
import type { Dataset } from '../data/dataset.ts';
import { type ForwardOptions, forward } from '../data/forward.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import { type CutPoint, cutPoints } from '../onnx/cut-points.ts';
import { attrFloat, cloneModel, producers } from '../onnx/edit.ts';
import type { Model, Node } from '../onnx/model.ts';
import { constantsToInitializers } from '../onnx/passes/constants-to-initializers.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';

/**
 * The gap from which on a channel is told. Without a bias no silent channel is beyond 1: where all values are below zero, the largest is no farther
 * from it than their root mean square. Twice that is above every clean network measured that had learnt its task, pruned or not
 * (docs/dead-channels.md). No attacked network had a part in it.
 */
export const ASLEEP_THRESHOLD = 2;

/**
 *   awake      above zero somewhere on some clean image
 *   asleep     never, but by no more than the threshold: training does that
 *   beyond     never, and by more than the threshold
 *   empty      never, and its weights make nothing of any image: a channel that was cut, or that reads only such channels
 */
export type ChannelState = 'awake' | 'asleep' | 'beyond' | 'empty';

export interface SleepingChannel {
  readonly channel: number;
  /**
   * By how much its bias would have to rise until one place of one clean image wakes it, in units of the root mean square of what it is added to
   * (of the layer's median channel, where its own is less). Not above 0 for a channel that is awake; NaN for an empty one.
   */
  readonly gap: number;
  readonly state: ChannelState;
}

export interface SleepingLayer {
  readonly layer: string;
  /** In their order. `[C]` */
  readonly channels: readonly SleepingChannel[];
}

export interface SleepReport {
  readonly layers: readonly SleepingLayer[];
  /** Channels beyond the threshold, the farthest first. */
  readonly beyond: readonly { readonly layer: string; readonly channel: number; readonly gap: number }[];
  /** Silent on all images, in all layers, those beyond included. */
  readonly asleep: number;
  /** Channels that were looked at. */
  readonly channels: number;
  readonly threshold: number;
  /** Images that they were looked at with. */
  readonly n: number;
  /** Layers that the check does not apply to, and why. */
  readonly leftOut: readonly { readonly layer: string; readonly why: string }[];
}

export interface SleepOptions extends Omit<ForwardOptions, 'outputs'> {
  /** Only this one. */
  readonly layer?: string;
  /** Of the gap; default {@link ASLEEP_THRESHOLD}. */
  readonly threshold?: number;
}

/**
 * Looks at every layer before a ReLU, in one pass over clean images. The given model stays as it is.
 * @throws SecateurError where `layer` is not one that the check applies to, and where data and model do not fit
 */
export async function asleep(runtime: Runtime, model: Model, clean: Dataset, options: SleepOptions = {}): Promise<SleepReport> {
  const { layer, threshold = ASLEEP_THRESHOLD, ...rest } = options;
  const stored = cloneModel(model);
  constantsToInitializers.run(stored);
  const types = await probe(runtime, stored, { batch: 2 });
  const { points, leftOut } = places(stored, types, layer);
  const apart = withoutShifts(stored, points);
  const b = GraphBuilder.from(apart.model, { prefix: 'asleep' });
  const sums = points.map((place, k) => new Moments(b, place, apart.values[k]));
  const outputs = sums.flatMap((s) => s.outputs);
  let n = 0;
  if (sums.length > 0) {
    for await (const { count, values } of forward(runtime, b.build(), clean, { ...rest, outputs })) {
      for (const s of sums)
        s.add(
          s.outputs.map((name) => values[name]),
          count,
        );
      n += count;
    }
  }
  const layers = sums.map((s): SleepingLayer => ({ layer: s.layer, channels: s.channels(threshold) }));
  const all = layers.flatMap((l) => l.channels.map((c) => ({ layer: l.layer, ...c })));
  return {
    layers,
    beyond: all
      .filter((c) => c.state === 'beyond')
      .sort((a, c) => c.gap - a.gap)
      .map(({ layer: of, channel, gap }) => ({ layer: of, channel, gap })),
    asleep: all.filter((c) => c.state === 'asleep' || c.state === 'beyond').length,
    channels: all.length,
    threshold,
    n,
    leftOut,
  };
}

/** Where a layer's channels get their bias, and which of the graph's values that makes. */
interface Place {
  readonly point: CutPoint;
  /** Gives the value that goes into the ReLU, but for max pooling between. */
  readonly node: Node;
  /** Index of the stored bias among its inputs; undefined where there is none. */
  readonly input: number | undefined;
  /** Per channel, as it is added. `[C]` */
  readonly shift: Float64Array;
  readonly axis: number;
  readonly rank: number;
}

/** What may stand between the place of the bias and the ReLU: the largest place of a channel stays the largest. */
const BETWEEN = new Set(['MaxPool', 'Identity', 'Dropout']);

function places(model: Model, types: ValueTypes, only: string | undefined): { points: Place[]; leftOut: SleepReport['leftOut'] } {
  const { layers } = cutPoints(model, types);
  const made = producers(model.graph);
  const points: Place[] = [];
  const leftOut: { layer: string; why: string }[] = [];
  for (const point of layers) {
    if (only !== undefined && point.layer !== only) continue;
    const found = placeOf(model, types, point, made);
    if (typeof found === 'string') leftOut.push({ layer: point.layer, why: found });
    else points.push(found);
  }
  if (only !== undefined && points.length === 0) {
    const why = leftOut[0]?.why ?? 'it is not in the model';
    fail({ where: `layer "${only}"`, what: `cannot be checked for dead channels: ${why}`, hint: 'another layer' });
  }
  return { points, leftOut };
}

function placeOf(model: Model, types: ValueTypes, point: CutPoint, made: ReadonlyMap<string, Node>): Place | string {
  if (point.activation !== 'Relu') return `behind it comes ${point.activation ?? 'no activation'}, not a ReLU`;
  if (point.kind !== 'layer' && point.kind !== 'norm') return 'its channels are those of several layers';
  let node = made.get(made.get(point.value)?.inputs[0] ?? '');
  while (node !== undefined && BETWEEN.has(node.opType)) node = made.get(node.inputs[0]);
  const dims = types.get(node?.outputs[0] ?? '')?.dims;
  if (node === undefined || dims === undefined) return 'what goes into its ReLU is not known';
  const biases = new Set(point.parameters.filter((p) => p.kind === 'bias' || p.kind === 'shift').map((p) => p.name));
  const owner = node;
  const input = owner.inputs.findIndex((name) => biases.has(name));
  const axis = dims.length === point.dims.length ? point.axis : 1;
  const common = { point, node: owner, axis, rank: dims.length };
  if (input < 0) {
    const own = owner === point.node || owner.opType === 'BatchNormalization';
    return own ? { ...common, input: undefined, shift: new Float64Array(point.channels) } : `${owner.opType} stands before its ReLU`;
  }
  const bias = model.graph.initializers.get(owner.inputs[input]);
  if (!(bias?.data instanceof Float32Array) || bias.data.length !== point.channels) return 'its bias is not one float32 number a channel';
  const factor = owner.opType === 'Gemm' ? (attrFloat(owner, 'beta', 1) ?? 1) : 1;
  return { ...common, input, shift: Float64Array.from(bias.data, (v) => v * factor) };
}

/** The same network with each bias added by a node of its own, and the values that the biases are added to. */
function withoutShifts(model: Model, points: readonly Place[]): { model: Model; values: string[] } {
  const out = cloneModel(model);
  const { graph } = out;
  const values = points.map(({ node, input, shift, axis, rank }, k): string => {
    const [value] = node.outputs;
    if (input === undefined) return value;
    const [zero, bias, before] = [`asleep/zero${k}`, `asleep/bias${k}`, `asleep/before${k}`];
    const at = graph.nodes.findIndex((n) => n.outputs[0] === value);
    const copy = graph.nodes[at];
    const { dims } = graph.initializers.get(copy.inputs[input]) as Tensor;
    graph.initializers.set(zero, f32(new Float32Array(sizeOf(dims)), dims));
    graph.initializers.set(bias, f32(Float32Array.from(shift), [shift.length, ...new Array<number>(rank - 1 - axis).fill(1)]));
    copy.inputs = copy.inputs.map((name, i) => (i === input ? zero : name));
    copy.outputs = [before, ...copy.outputs.slice(1)];
    graph.nodes.splice(at + 1, 0, {
      name: `asleep/add${k}`,
      opType: 'Add',
      domain: '',
      inputs: [before, bias],
      outputs: [value],
      attributes: new Map(),
    });
    return before;
  });
  return { model: out, values };
}

/** Mean square and largest value per channel of what the bias is added to, over images and space. */
class Moments {
  readonly layer: string;
  /** Two for each image and channel, `[n,C,1]`. */
  readonly outputs: readonly string[];
  readonly #shift: Float64Array;
  #n = 0;
  readonly #square: Float64Array;
  readonly #max: Float64Array;

  constructor(b: GraphBuilder, { point, axis, rank, shift }: Place, value: string) {
    this.layer = point.layer;
    this.#shift = shift;
    const space = Array.from({ length: rank }, (_, i) => i).slice(1);
    const perm = [0, axis, ...space.filter((i) => i !== axis)];
    const first = axis === 1 ? value : b.op('Transpose', [value], { perm });
    const flat = b.op('Reshape', [first, b.ints([0, shift.length, -1])]);
    this.outputs = [b.op('GlobalAveragePool', [b.op('Mul', [flat, flat])]), b.op('GlobalMaxPool', [flat])];
    this.#square = new Float64Array(shift.length);
    this.#max = new Float64Array(shift.length).fill(Number.NEGATIVE_INFINITY);
  }

  add(tensors: readonly Tensor[], count: number): void {
    const [square, max] = tensors.map((t) => t.data as Float32Array);
    const channels = this.#shift.length;
    for (let i = 0; i < count * channels; i++) {
      const c = i % channels;
      this.#square[c] += square[i];
      this.#max[c] = Math.max(this.#max[c], max[i]);
    }
    this.#n += count;
  }

  channels(threshold: number): SleepingChannel[] {
    const own = this.#square.map((sum) => Math.sqrt(sum / this.#n));
    const usual = median([...own].filter((scale) => scale > 0));
    return Array.from(this.#shift, (shift, channel): SleepingChannel => {
      const top = this.#max[channel] + shift;
      if (own[channel] === 0) return { channel, gap: Number.NaN, state: top > 0 ? 'awake' : 'empty' };
      const gap = -top / Math.max(own[channel], usual);
      return { channel, gap, state: top > 0 ? 'awake' : gap > threshold ? 'beyond' : 'asleep' };
    });
  }
}

/** The middle one, the lower of two; 0 of none. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}
