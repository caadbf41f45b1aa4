/**
 * A convolution of a few groups as that many without groups. Grouped kernels are ONNX Runtime's slowest, and most fast forms know no groups:
 * each of them is offered once more, on the channels of one group at a time.
 */
import { type Candidate, type EmitContext, type Geometry, isDepthwise } from './candidate.ts';

/** More groups than these would be many small operators. */
const MOST = 8;

/** The convolution of one group. */
function oneGroup(g: Geometry): Geometry {
  const [n, channels, ...inputSize] = g.input;
  const [, m, ...outputSize] = g.output;
  return { ...g, group: 1, input: [n, channels / g.group, ...inputSize], output: [n, m / g.group, ...outputSize] };
}

/** @param inputs axis of each of the operator's inputs along which its groups lie; `result` the same of its output */
export function byGroup(form: Candidate, { inputs, result }: { inputs: readonly number[]; result: number }): Candidate {
  return {
    name: `groups of ${form.name}`,
    applies: (g, machine) => g.group > 1 && g.group <= MOST && !isDepthwise(g) && form.applies(oneGroup(g), machine),
    emit(c, g) {
      const one = oneGroup(g);
      const parts = Array.from({ length: g.group }, (_, i) => form.emit(inGroup(c, g, inputs, i), one));
      return c.op('Concat', parts, { axis: result });
    },
  };
}

/** The same node reading the channels of group `i` only. */
function inGroup(c: EmitContext, g: Geometry, axes: readonly number[], i: number): EmitContext {
  const sizes = sizesOf(c, g);
  const inputs = c.node.inputs.map((name, k) => {
    if (name === '') return '';
    const size = sizes[k] / g.group;
    return c.op('Slice', [name, c.b.ints([i * size]), c.b.ints([(i + 1) * size]), c.b.ints([axes[k]])]);
  });
  return { ...c, node: { ...c.node, inputs } };
}

/** Channels of each input along the axis of its groups: only X has the input's, everything else is counted by output channels. */
function sizesOf(c: EmitContext, g: Geometry): number[] {
  const [channels, m] = [g.input[1], g.output[1]];
  const readsX = c.node.opType === 'Conv' || c.node.opType === 'ConvGradWeight';
  return c.node.inputs.map((_, k) => (k === 0 && readsX ? channels : m));
}
