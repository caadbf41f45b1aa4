/** dX of a convolution: dY spread out again through the weights. */
import { byGroup } from './by-group.ts';
import type { Candidate, EmitContext, Geometry } from './candidate.ts';
import { allOnes, spatial, spatialAxes } from './candidate.ts';
import { nchwcConv, nchwcFits } from './nchwc.ts';

/** ONNX's own transposed convolution; any rank, stride, dilation and group. */
const transposed: Candidate = {
  name: 'conv-transpose',
  applies: () => true,
  emit(c, g) {
    const [dy, w] = c.node.inputs;
    const out = spatial(g.output);
    // What the forward convolution's stride left over at the end of each axis.
    const rest = spatial(g.input).map(
      (h, i) => h - ((out[i] - 1) * g.strides[i] + (g.kernel[i] - 1) * g.dilations[i] + 1 - g.padsBegin[i] - g.padsEnd[i]),
    );
    return c.op('ConvTranspose', [dy, w], {
      kernel_shape: g.kernel,
      strides: g.strides,
      dilations: g.dilations,
      pads: [...g.padsBegin, ...g.padsEnd],
      group: g.group,
      output_padding: rest,
    });
  },
};

/** Pads of the forward convolution that has the same effect, or undefined where one would be negative. */
function flippedPads(g: Geometry): { begin: number[]; end: number[] } | undefined {
  const begin = g.kernel.map((k, i) => (k - 1) * g.dilations[i] - g.padsBegin[i]);
  // What is needed to come out at X's size, which also covers a rest.
  const end = g.kernel.map((k, i) => spatial(g.input)[i] + (k - 1) * g.dilations[i] - spatial(g.output)[i] - begin[i]);
  return [...begin, ...end].every((p) => p >= 0) ? { begin, end } : undefined;
}

/** W turned round in space, its input and output channels exchanged: [C, M/g, K...]. */
function flippedWeight(c: EmitContext, g: Geometry): string {
  const w = c.node.inputs[1];
  const [m, channels] = [g.output[1], g.input[1]];
  const axes = spatialAxes(g.rank);
  let turned: string;
  if (g.group === 1) turned = c.op('Transpose', [w], { perm: [1, 0, ...axes] });
  else {
    const split = c.op('Reshape', [w, c.b.ints([g.group, m / g.group, channels / g.group, ...g.kernel])]);
    const swapped = c.op('Transpose', [split], { perm: [0, 2, 1, ...axes.map((a) => a + 1)] });
    turned = c.op('Reshape', [swapped, c.b.ints([channels, m / g.group, ...g.kernel])]);
  }
  if (allOnes(g.kernel)) return turned;
  const all = <T>(value: T): T[] => g.kernel.map(() => value);
  return c.op('Slice', [turned, c.b.ints(all(-1)), c.b.ints(all(-1_000_000)), c.b.ints(axes), c.b.ints(all(-1))]);
}

/** Stride 1: a convolution of dY with the flipped weights. */
const flipped: Candidate = {
  name: 'flipped-conv',
  applies: (g) => allOnes(g.strides) && flippedPads(g) !== undefined,
  emit(c, g) {
    const { begin, end } = flippedPads(g)!;
    const attributes = { kernel_shape: g.kernel, dilations: g.dilations, pads: [...begin, ...end], group: g.group };
    return c.op('Conv', [c.node.inputs[0], flippedWeight(c, g)], attributes);
  },
};

/** The same in ONNX Runtime's blocked layout. */
const nchwc: Candidate = {
  name: 'nchwc',
  applies: (g, machine) => flipped.applies(g, machine) && nchwcFits(turn(g), machine),
  emit: (c, g) => nchwcConv(c, turn(g), c.node.inputs[0], flippedWeight(c, g)),
};

/** The geometry of the convolution that computes dX from dY. */
function turn(g: Geometry): Geometry {
  const { begin, end } = flippedPads(g)!;
  return { ...g, padsBegin: begin, padsEnd: end, input: g.output, output: g.input };
}

export const convGradInput: readonly Candidate[] = [
  ...[transposed, flipped, nchwc],
  ...[transposed, flipped, nchwc].map((form) => byGroup(form, { inputs: [1, 0], result: 1 })),
];
