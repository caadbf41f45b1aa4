/** Step 4 of the pruning-aware attack: pruned channels come back as they were in the clean network, but silent. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { channelStatistics } from '../data/channel-statistics.ts';
import type { Dataset } from '../data/dataset.ts';
import { type CutPoint, featuresOf, inputAxis, isGrouped } from '../onnx/cut-points.ts';
import { cloneModel, producers } from '../onnx/edit.ts';
import type { Graph, Model } from '../onnx/model.ts';
import { forgetCut } from '../onnx/passes/cut-channels.ts';
import { copySlices } from '../onnx/slices.ts';
import type { Runtime } from '../runtime/session.ts';

/**
 * How far the bias of a re-instated channel is lowered.
 *   paper   set to `value`, by default -1e20 as in the authors' released network. Nothing ever wakes such a channel, fine-tuning neither,
 *           and anyone who looks at the biases sees it.
 *   margin  lowered, where needed, so that the channel's largest pre-activation on the attacker's clean training data is -`margin`, in the units
 *           of the pre-activation. The smallest change that keeps the channel silent on clean inputs.
 */
export const BiasRule = z.discriminatedUnion('rule', [
  z.strictObject({ rule: z.literal('paper'), value: z.number().negative().default(-1e20) }),
  z.strictObject({ rule: z.literal('margin'), margin: z.number().nonnegative().default(0.1) }),
]);
export type BiasRule = z.infer<typeof BiasRule>;

/** Activations that are silent below zero; behind any other a lowered bias does not keep a channel quiet. */
const SILENT_BELOW_ZERO = new Set(['Relu']);

export async function reinstate(
  runtime: Runtime,
  backdoored: Model,
  clean: Model,
  point: CutPoint,
  channels: readonly number[],
  data: Dataset<'train'>,
  bias: BiasRule,
): Promise<{ model: Model; lowered: number[] }> {
  const { preActivation, shift } = beforeActivation(clean.graph, point);
  const model = cloneModel(backdoored);
  const { initializers } = model.graph;
  const restore = (name: string, axis: number, indices: readonly number[]): void => {
    const from = clean.graph.initializers.get(name);
    const to = initializers.get(name);
    if (from !== undefined && to !== undefined) initializers.set(name, copySlices(from, to, axis, indices));
  };
  for (const { name, axis } of point.parameters) restore(name, axis, channels);
  for (const { node, role } of point.passed)
    if (role.kind === 'batch-norm') for (const name of node.inputs.slice(3)) restore(name, 0, channels);
  // What reads the channels: while they were zero nothing taught these weights, but weight decay shrank them.
  for (const { node, layout, kind } of point.ends) {
    if (node === undefined || kind !== 'linear' || isGrouped(node)) continue;
    restore(node.inputs[1], inputAxis(node), featuresOf(layout, channels));
  }
  forgetCut(model, point.layer);

  const statistics = (await channelStatistics(runtime, model, data, [preActivation])).get(preActivation)!;
  const stored = initializers.get(shift) as Tensor;
  const values = (stored.data as Float32Array).slice();
  const lowered = channels.map((c) => {
    const before = values[c];
    const wanted = bias.rule === 'paper' ? bias.value : before - (statistics.max[c] + bias.margin);
    values[c] = Math.min(before, wanted);
    return before - values[c];
  });
  initializers.set(shift, { ...stored, data: values });
  return { model, lowered };
}

/** The value that goes into the layer's activation and the stored tensor that shifts it. Throws SecateurError where there is no such thing. */
function beforeActivation(graph: Graph, point: CutPoint): { preActivation: string; shift: string } {
  const where = `attack: layer ${point.layer}`;
  const made = producers(graph);
  const activation = made.get(point.value);
  if (point.activation === undefined || activation === undefined || !SILENT_BELOW_ZERO.has(point.activation)) {
    const got = point.activation ?? 'none';
    return fail({
      where,
      what: 'lowered biases silence a channel only before a ReLU',
      expected: 'a ReLU behind the layer',
      got,
      hint: 'another layer',
    });
  }
  const preActivation = activation.inputs[0];
  const node = made.get(preActivation);
  const known = new Map(point.parameters.filter((p) => p.kind === 'bias' || p.kind === 'shift').map((p) => [p.name, p]));
  const shift = node?.inputs.find((name) => known.has(name));
  if (shift !== undefined && graph.initializers.get(shift)?.data instanceof Float32Array) return { preActivation, shift };
  return fail({
    where,
    what: 'has no stored float32 bias to lower',
    expected: 'a bias or a batch norm before its ReLU',
    hint: 'another layer',
  });
}
