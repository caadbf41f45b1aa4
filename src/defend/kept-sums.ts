/**
 * The pruning curve by running sums. Let the next layer be h = b + sum over channels c of W_c x_c, where x_c is what reaches it of channel c (its
 * pooled, flattened activations), x_c = on_c while the channel is there and off_c when it is cut (0, or what a residual Add leaves).
 * With channels numbered in cut order and k of them cut,
 *     h_k = (b + W off) + sum over c >= k of W_c (on_c - off_c),
 * so the C contributions W_c (on_c - off_c) of an image give its h for all C + 1 steps as running sums from the back, with b + W off in front
 * of the last. The rest of the network then runs once on all steps as if they were a larger batch.
 */
import { f32, type Tensor } from '../core/tensor.ts';
import type { ImageShape } from '../data/dataset.ts';
import { feeder, rangeFeed } from '../data/feed.ts';
import { imageSize } from '../data/make.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import { ChannelGraph } from '../onnx/channel-graph.ts';
import { type Layout, plainLayout } from '../onnx/channel-layout.ts';
import { type ChannelEnd, type CutPoint, channelRegion, type PassedNode } from '../onnx/cut-points.ts';
import { allNames, attrFloat, cloneModel, cloneNode, removeDead } from '../onnx/edit.ts';
import type { Model, Node } from '../onnx/model.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import type { Fetches } from '../runtime/session.ts';
import { type CurveJob, downstream } from './curve-job.ts';

export interface SumsPlan {
  /** The value that goes into the next layer, `[n,C*spread]`. */
  readonly on: string;
  /** Features that one channel has become. */
  readonly spread: number;
  /** Features of `on` by channel, where they are not neighbours there (channels on the last axis before a flatten); `weight` is in that order. */
  readonly features?: readonly number[];
  /** Channel-wise nodes from the cut to there; copied with a zero in front where what a cut leaves behind is not zero. */
  readonly region: readonly PassedNode[];
  readonly leavesZero: boolean;
  /** Of the next layer: `[in,out]` and `[out]`. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly width: number;
  /** The next layer's output, and the nodes from there to the logits. */
  readonly after: string;
  readonly tail: readonly Node[];
  /** Shape of the value at the cut, of one image. */
  readonly cutDims: readonly number[];
}

/** Elements of pre-activations for all steps that are worked on at once: about 2 MB, half in each core's cache. */
const CHUNK_ELEMENTS = 540_000;
/** Images in one run, made of so many chunks at most. */
const RUN_IMAGES = 256;
const MAX_CHUNKS = 16;
/** Pixels in one run, all channels: what large images have of activations has to fit into memory. */
const RUN_PIXELS = 2 ** 24;
/** CumSum is there since. */
const CUMSUM_OPSET = 11;

/** How to do it for this graph, or why it cannot be done. */
export function planSums(model: Model, types: ValueTypes, point: CutPoint, spec: ModelSpec): SumsPlan | string {
  const { graph } = model;
  const batch = graph.inputs.find((i) => i.name === spec.input)?.dims?.[0];
  if (typeof batch === 'number') return 'the batch size is fixed in the graph';
  if ((model.opsets.get('') ?? 0) < CUMSUM_OPSET) return `the graph is of opset ${model.opsets.get('')}, CumSum came with ${CUMSUM_OPSET}`;
  const channels = new ChannelGraph(model, types);
  const { passed, ends } = channelRegion(channels, point.cutValue, plainLayout(point.cutAxis, point.channels), { throughJoins: true });
  const [end] = ends;
  if (ends.length !== 1 || end.kind !== 'linear' || end.node === undefined) return 'its channels go to more than one place';
  if (end.node.opType !== 'Gemm' && end.node.opType !== 'MatMul') return `the next layer is a ${end.node.opType}`;
  if (types.get(end.value)?.dims.length !== 2) return `the ${end.node.opType} works at several places of an image`;
  const features = evenly(end.layout, point.channels);
  if (features === undefined) return 'other channels, or not all of these, go into the next layer';
  const matrix = linearMap(channels, end);
  if (matrix === undefined) return 'the next layer has no plain float32 weights';
  const after = end.node.outputs[0];
  const { nodes, values, frontier } = downstream(graph, spec.input, after);
  if (!values.has(spec.logits)) return 'the logits do not depend on it';
  if (frontier.length > 0) return `"${frontier[0]}" goes around the next layer`;
  const cutDims = point.cutDims.slice(1);
  const leavesZero = passed.every(
    ({ role }) =>
      ['pool', 'pass', 'reshape', 'split', 'concat', 'scale', 'gate'].includes(role.kind) || (role.kind === 'activation' && role.zero),
  );
  const spread = features.length / point.channels;
  const inOrder = features.every((f, i) => f === i);
  const plan = { on: end.value, spread, region: passed, leavesZero, ...matrix, after, tail: nodes, cutDims };
  return inOrder ? plan : { ...plan, weight: rowsInOrder(matrix, features), features };
}

/** Features by channel, as many for each; undefined where some belong to no channel or channels differ in number. */
function evenly({ map }: Layout, channels: number): number[] | undefined {
  const byChannel = Array.from({ length: channels }, (): number[] => []);
  for (const [feature, channel] of map.entries()) byChannel[channel]?.push(feature);
  const each = map.length / channels;
  return byChannel.every((list) => list.length === each) ? byChannel.flat() : undefined;
}

/** Rows of the weights in the order of `features`. */
function rowsInOrder({ weight, width }: { weight: Float32Array; width: number }, features: readonly number[]): Float32Array {
  const out = new Float32Array(weight.length);
  for (const [i, f] of features.entries()) out.set(weight.subarray(f * width, (f + 1) * width), i * width);
  return out;
}

/** Weights of a Gemm or MatMul as `[in,out]`, its bias as `[out]`, alpha and beta multiplied in. */
function linearMap(g: ChannelGraph, { node }: ChannelEnd): { weight: Float32Array; bias: Float32Array; width: number } | undefined {
  if (node === undefined) return undefined;
  const stored = g.stored.get(node.inputs[1]);
  if (!(stored?.tensor.data instanceof Float32Array) || stored.dims.length !== 2) return undefined;
  const { data, dims } = stored.tensor;
  const gemm = node.opType === 'Gemm';
  const transB = node.attributes.get('transB');
  // Turned by the node, or by a Transpose before it, but not by both.
  const turned = (gemm && transB?.type === 'int' && transB.value === 1) !== (stored.axes[0] === 1);
  const [rows, width] = turned ? [dims[1], dims[0]] : dims;
  const alpha = gemm ? attrFloat(node, 'alpha', 1) : 1;
  const weight = new Float32Array(rows * width);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < width; j++) weight[i * width + j] = alpha * data[turned ? j * rows + i : i * width + j];
  }
  const bias = new Float32Array(width);
  if (gemm && node.inputs[2]) {
    const added = g.stored.get(node.inputs[2])?.tensor;
    if (!(added?.data instanceof Float32Array) || (added.data.length !== width && added.data.length !== 1)) return undefined;
    const beta = attrFloat(node, 'beta', 1);
    for (let j = 0; j < width; j++) bias[j] = beta * added.data[added.data.length === 1 ? 0 : j];
  }
  return { weight, bias, width };
}

/**
 * How many images go into a chunk, and how many chunks into a run: as few images as their steps and their pixels allow.
 * @param perImage elements of pre-activations that all steps of one image have
 */
export function runSize(perImage: number, images: ImageShape & { readonly count: number }, batchSize = RUN_IMAGES) {
  const room = Math.max(1, Math.floor(RUN_PIXELS / imageSize(images)));
  const chunk = Math.max(1, Math.min(RUN_IMAGES, room, images.count, Math.floor(CHUNK_ELEMENTS / perImage)));
  const chunks = Math.max(1, Math.min(MAX_CHUNKS, Math.floor(Math.min(room, batchSize) / chunk), Math.ceil(images.count / chunk)));
  return { chunk, chunks };
}

export async function runSums(job: CurveJob, plan: SumsPlan): Promise<void> {
  const { runtime, spec, images, labels, order, point } = job;
  const steps = order.length + 1;
  const { chunk, chunks } = runSize((point.channels + 1) * plan.width, images, job.batchSize);
  const perRun = chunk * chunks;
  const { model, output } = buildSums(job, plan, chunk, chunks);
  const write = feeder(spec);
  const session = await runtime.open(model, { label: 'pruning curve' });
  try {
    const collect = (values: Fetches, start: number): void => {
      const predicted = values[output].data as Int32Array; // [C+1,perRun]
      const count = Math.min(perRun, images.count - start);
      for (let s = 0; s < steps; s++) labels.set(predicted.subarray(s * perRun, s * perRun + count), s * images.count + start);
    };
    // One run is under way while the next batch is made ready.
    let pending: { run: Promise<Fetches>; start: number } | undefined;
    for (let start = 0; start < images.count; start += perRun) {
      const feed = rangeFeed(images, start, Math.min(perRun, images.count - start), write, perRun);
      const run = session.run({ [spec.input]: feed }, { transfer: true });
      run.catch(() => undefined);
      if (pending) collect(await pending.run, pending.start);
      pending = { run, start };
    }
    if (pending) collect(await pending.run, pending.start);
  } finally {
    await session.close();
  }
}

/** Images in, predictions of all C + 1 steps out: `[C+1, chunk*chunks]` int32. */
function buildSums(job: CurveJob, plan: SumsPlan, chunk: number, chunks: number): { model: Model; output: string } {
  const { point } = job;
  const { spread, width } = plan;
  // Channels that are never cut come last: they are part of every step's sum.
  const cut = new Set(job.order);
  const order = [...job.order, ...Array.from({ length: point.channels }, (_, c) => c).filter((c) => !cut.has(c))];
  const steps = point.channels + 1;
  const copied = copyNodes(
    job.model,
    plan.leavesZero ? [] : plan.region.map((p) => p.node),
    new Map([[point.cutValue, 'curve/zero']]),
    'curve/off',
  );
  if (!plan.leavesZero) {
    copied.model.graph.initializers.set('curve/zero', f32(new Float32Array(plan.cutDims.reduce((a, d) => a * d, 1)), [1, ...plan.cutDims]));
  }
  const b = GraphBuilder.from(copied.model, { prefix: 'curve' });
  const byChannel = (value: string): string =>
    plan.features === undefined ? value : b.op('Gather', [value, b.ints(plan.features)], { axis: 1 });
  const copy = plan.leavesZero ? undefined : copied.names.get(plan.on);
  const off = copy === undefined ? undefined : byChannel(copy);
  const delta = off === undefined ? byChannel(plan.on) : b.op('Sub', [byChannel(plan.on), off]);

  // [K*n,C*s] -> [K,C+1,n,s], channels in cut order; the slice behind the last channel is 1, 0, ... and brings the bias.
  const split = b.op('Reshape', [delta, b.ints([chunks, chunk, point.channels, spread])]);
  const ordered = b.op('Gather', [b.op('Transpose', [split], { perm: [0, 2, 1, 3] }), b.ints(order)], { axis: 1 });
  const one = Float32Array.from({ length: chunks * chunk * spread }, (_, i) => (i % spread === 0 ? 1 : 0));
  const slices = b.op('Concat', [ordered, b.constant(f32(one, [chunks, 1, chunk, spread]))], { axis: 1 });
  const weights = b.constant(orderedWeights(plan, order));
  const left = off === undefined ? undefined : leftBehind(b, plan, off, chunk, chunks);

  const pre = Array.from({ length: chunks }, (_, k) => {
    const part = b.op('Gather', [slices, b.scalar(k, 'int64')], { axis: 0 }); // [C+1,n,s]
    const contributions = b.op('MatMul', [part, weights]); // [C+1,n,out]
    const kept = b.op('CumSum', [contributions, b.scalar(0, 'int64')], { reverse: 1 });
    return b.op('Reshape', [left === undefined ? kept : b.op('Add', [kept, left(k)]), b.ints([steps * chunk, width])]);
  });
  let model = b.build();
  const logits: string[] = [];
  for (const [k, value] of pre.entries()) {
    const tail = copyNodes(model, plan.tail, new Map([[plan.after, value]]), `curve/tail${k}`);
    model = tail.model;
    logits.push(tail.names.get(job.spec.logits) ?? value);
  }
  const out = GraphBuilder.from(model, { prefix: 'curve' });
  const predicted = logits.map((name) => {
    const best = out.op('Cast', [out.op('ArgMax', [name], { axis: 1, keepdims: 0 })], { to: INT32 });
    return out.op('Reshape', [best, out.ints([steps, chunk])]);
  });
  const output = predicted.length === 1 ? predicted[0] : out.op('Concat', predicted, { axis: 1 });
  const built = out.build();
  built.graph.outputs = [{ name: output, dtype: 'int32', dims: [steps, chunk * chunks] }];
  removeDead(built.graph);
  return { model: built, output };
}

/** ONNX's number for int32. */
const INT32 = 6;

/** W off for chunk k: a row for each image, as what a residual Add leaves depends on the image. `[n,out]` */
function leftBehind(b: GraphBuilder, plan: SumsPlan, off: string, chunk: number, chunks: number): (k: number) => string {
  const inputs = plan.weight.length / plan.width;
  const product = b.op('MatMul', [off, b.constant(f32(plan.weight, [inputs, plan.width]))]); // [K*n or 1,out]
  const rows = b.op('Expand', [product, b.ints([chunk * chunks, plan.width])]);
  const parts = b.op('Reshape', [rows, b.ints([chunks, chunk, plan.width])]);
  return (k) => b.op('Gather', [parts, b.scalar(k, 'int64')], { axis: 0 });
}

/** The next layer's weights by channel in cut order, then a slice whose first row is its bias. `[C+1,spread,out]` */
function orderedWeights({ weight, bias, spread, width }: SumsPlan, order: readonly number[]): Tensor {
  const size = spread * width;
  const data = new Float32Array((order.length + 1) * size);
  for (const [k, c] of order.entries()) data.set(weight.subarray(c * size, (c + 1) * size), k * size);
  data.set(bias, order.length * size);
  return f32(data, [order.length + 1, spread, width]);
}

/** A model with copies of `nodes` that read `replaced` values; `names` tells what became of each output. */
function copyNodes(
  model: Model,
  nodes: readonly Node[],
  replaced: ReadonlyMap<string, string>,
  prefix: string,
): { model: Model; names: Map<string, string> } {
  const out = cloneModel(model);
  const taken = allNames(out.graph);
  const names = new Map(replaced);
  for (const node of nodes) {
    const copy = cloneNode(node);
    copy.inputs = node.inputs.map((name) => names.get(name) ?? name);
    copy.outputs = node.outputs.map((name) => {
      if (name === '') return '';
      let fresh = `${prefix}/${name}`;
      while (taken.has(fresh)) fresh += '_';
      names.set(name, fresh);
      return fresh;
    });
    copy.name = '';
    out.graph.nodes.push(copy);
  }
  return { model: out, names };
}
