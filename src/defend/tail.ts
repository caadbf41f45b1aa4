/** The pruning curve from cached activations: what comes before the cut once, what comes after it once a step. */
import { fail } from '../core/errors.ts';
import { f32, sizeOf, type Tensor } from '../core/tensor.ts';
import { toFeed } from '../data/feed.ts';
import { forward } from '../data/forward.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import { cloneModel, removeDead, replaceInput } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';
import { maskDims } from '../onnx/passes/cut-channels.ts';
import type { Feeds } from '../runtime/session.ts';
import { type CurveJob, downstream } from './curve-job.ts';

const MASK = 'curve/mask';

export async function runTail(job: CurveJob): Promise<void> {
  const { runtime, model, spec, point, order, images, labels } = job;
  const { values, frontier } = downstream(model.graph, spec.input, point.cutValue);
  if (!values.has(spec.logits)) fail({ where: `layer ${point.layer}`, what: 'the logits do not depend on it' });
  const cached = [point.cutValue, ...frontier.filter((name) => name !== spec.input)];
  const tail = tailModel(job, [point.cutValue, ...frontier]);
  const batch = model.graph.inputs.find((i) => i.name === spec.input)?.dims?.[0];
  const session = await runtime.open(tail.model, { label: 'pruning curve' });
  try {
    for await (const { start, count, values: got } of forward(runtime, model, images, {
      outputs: cached,
      batchSize: job.batchSize,
      spec,
    })) {
      // A batch size that is written into the graph holds for the tail too.
      const fill = (value: Tensor): Tensor => (typeof batch === 'number' ? padded(value, batch) : value);
      const feeds: Record<string, Tensor> = Object.fromEntries(cached.map((name) => [name, fill(got[name])]));
      if (frontier.includes(spec.input))
        feeds[spec.input] = toFeed(
          images,
          Array.from({ length: count }, (_, i) => start + i),
          spec,
        );
      await allSteps(session, tail.output, feeds, start, count);
    }
  } finally {
    await session.close();
  }

  async function allSteps(s: typeof session, output: string, feeds: Feeds, start: number, count: number): Promise<void> {
    const mask = new Float32Array(point.channels).fill(1);
    const silent = silentChannels(feeds[point.cutValue], point.cutAxis);
    let predicted: Int32Array | undefined;
    for (let step = 0; step <= order.length; step++) {
      if (step > 0) mask[order[step - 1]] = 0;
      // Cutting a channel that no image of this batch makes fire changes nothing.
      if (predicted === undefined || !silent[order[step - 1]]) {
        predicted = (await s.run({ ...feeds, [MASK]: f32(mask.slice(), maskDims(point)) }))[output].data as Int32Array;
      }
      labels.set(predicted.subarray(0, count), step * images.count + start);
    }
  }
}

/** The rest of the network: cached values and a mask in, predictions out. */
function tailModel({ model, spec, point }: CurveJob, inputs: readonly string[]): { model: Model; output: string } {
  const cut = cloneModel(model);
  const { graph } = cut;
  const given = new Set(inputs);
  graph.nodes = graph.nodes.filter((node) => !node.outputs.some((name) => given.has(name)));
  graph.inputs = inputs.map((name) => ({ name, dtype: 'float32' as const, dims: undefined }));
  graph.inputs.push({ name: MASK, dtype: 'float32', dims: maskDims(point) });
  const masked = `${MASK}ed`;
  replaceInput(graph, point.cutValue, masked);
  graph.nodes.unshift({ name: '', opType: 'Mul', domain: '', inputs: [point.cutValue, MASK], outputs: [masked], attributes: new Map() });
  const logits = spec.logits === point.cutValue ? masked : spec.logits;
  graph.outputs = [{ name: logits, dtype: 'float32', dims: undefined }];
  removeDead(graph);
  graph.outputs = [];
  const b = GraphBuilder.from(cut);
  const output = b.op('Cast', [b.op('ArgMax', [logits], { axis: 1, keepdims: 0 })], { to: 6 });
  b.output(output, 'int32', [null]);
  return { model: b.build(), output };
}

/** Which channels, counted by `axis`, are zero everywhere. */
function silentChannels(value: Tensor, axis: number): boolean[] {
  const data = value.data as Float32Array;
  const channels = value.dims[axis];
  const space = sizeOf(value.dims.slice(axis + 1));
  const silent = new Array<boolean>(channels).fill(true);
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) silent[Math.floor(i / space) % channels] = false;
  return silent;
}

/** `[n,...]` with zero images added up to `batch`. */
function padded(value: Tensor, batch: number): Tensor {
  const data = value.data as Float32Array;
  if (value.dims[0] >= batch) return value;
  const out = new Float32Array((data.length / value.dims[0]) * batch);
  out.set(data);
  return f32(out, [batch, ...value.dims.slice(1)]);
}
