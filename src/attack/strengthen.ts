/**
 * The strength of a backdoor (BadNets, Gu, Dolan-Gavitt, Garg 2017, section 5.3): the input weights of the backdoor neurons times k, so that
 * they shout the louder when the trigger is there, also into layers that somebody else puts behind them and trains anew.
 */
import { fail } from '../core/errors.ts';
import { type CutPoint, featuresOf } from '../onnx/cut-points.ts';
import { cloneModel } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';
import { constantsToInitializers } from '../onnx/passes/constants-to-initializers.ts';
import { checkChannels } from '../onnx/passes/cut-channels.ts';
import { multiplySlices } from '../onnx/slices.ts';
import { StoredTensors } from '../onnx/stored.ts';

export interface StrengthenOptions {
  /**
   * Whether the bias is multiplied too (default). Then what goes into the activation is k times what it was, and behind a ReLU so is what
   * comes out. Without it, as the paper says it, that holds only as far as the bias is small beside the weighted inputs.
   */
  readonly bias?: boolean;
}

/**
 * A copy of `model` in which the input weights of `channels` (numbers of the layer at `point`, each once) are `k` times what they were;
 * `k` is any number above 0. Where a batch norm stands between weights and activation, its factor and shift are multiplied instead: it would undo
 * a change of the weights before it.
 * Throws SecateurError for a channel that is not there, another `k`, a place that is not the output of one layer, weights that several nodes read,
 * and where numbers would leave the range of float32.
 */
export function strengthen(
  model: Model,
  point: CutPoint,
  channels: readonly number[],
  k: number,
  { bias = true }: StrengthenOptions = {},
): Model {
  const where = `strengthen: layer ${point.layer}`;
  if (!(k > 0 && Number.isFinite(k))) {
    fail({ where, what: 'not a strength', expected: 'a number above 0', got: String(k), exitCode: 2 });
  }
  checkChannels(point, channels);
  if (point.kind !== 'layer') {
    const got = `${point.opType}, where the channels of several layers come together`;
    fail({ where, what: 'has no input weights of its own', expected: 'a layer with weights', got, hint: 'another layer' });
  }
  const out = cloneModel(model);
  constantsToInitializers.run(out);
  const stored = new StoredTensors(out.graph);
  const { initializers } = out.graph;
  const { factors, shifts } = inputsOf(point, stored);
  for (const value of bias ? [...factors, ...shifts] : factors) {
    const name = stored.get(value)?.name ?? value;
    const parameter = point.parameters.find((p) => p.name === name);
    const tensor = initializers.get(name);
    if (parameter === undefined || tensor === undefined || stored.uses(name) > 1) {
      const got = tensor === undefined ? `"${value}" is computed in the graph` : `"${name}" is used by several nodes`;
      return fail({ where, what: 'its weights cannot be multiplied', expected: 'stored weights of its own', got, hint: 'another layer' });
    }
    if (!(tensor.data instanceof Float32Array)) {
      return fail({ where, what: 'its weights cannot be multiplied', expected: 'float32', got: `"${name}" is ${tensor.dtype}` });
    }
    const chosen = [...new Set(channels)];
    const slices = parameter.map === undefined ? chosen : featuresOf({ map: parameter.map }, chosen);
    const louder = multiplySlices(tensor, parameter.axis, slices, k);
    if (!(louder.data as Float32Array).every(Number.isFinite)) {
      fail({
        where,
        what: 'weights too large',
        expected: 'products that float32 can hold',
        got: `"${name}" times ${k}`,
        hint: 'a smaller strength',
      });
    }
    initializers.set(name, louder);
  }
  return out;
}

/** Values that hold what the activation's input is proportional to, and what is added to it, from the last norm before the activation on. */
function inputsOf(point: CutPoint, stored: StoredTensors): { factors: string[]; shifts: string[] } {
  const behind = point.chain.findIndex((p) => p.node.outputs.includes(point.value));
  const before = point.chain.slice(0, behind + 1);
  const norm = before.findLastIndex((p) => p.role.kind === 'batch-norm');
  const added = before.slice(norm + 1).flatMap(({ role }) => (role.kind === 'shift' ? [role.constant] : []));
  const [, weight, bias] = norm < 0 ? point.node.inputs : before[norm].node.inputs;
  const all = [...(bias === undefined || bias === '' ? [] : [bias]), ...added];
  // One number for all channels that is zero is no bias.
  const zero = (value: string): boolean =>
    Array.from((stored.get(value)?.tensor.data ?? [1]) as ArrayLike<number>, Number).every((v) => v === 0);
  return { factors: [weight], shifts: all.filter((value) => !zero(value)) };
}
