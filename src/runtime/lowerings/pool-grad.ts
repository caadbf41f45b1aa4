/** Gradients of pooling. */
import { f32, sizeOf } from '../../core/tensor.ts';
import { attrInt } from '../../onnx/edit.ts';
import { float } from '../../onnx/model.ts';
import type { Candidate, EmitContext, Geometry } from './candidate.ts';
import { allOnes, allZeros, spatial } from './candidate.ts';

/** Windows that lie side by side and cover the input exactly. */
function tiles(g: Geometry): boolean {
  return (
    allZeros(g.padsBegin) &&
    allZeros(g.padsEnd) &&
    allOnes(g.dilations) &&
    g.kernel.every((k, i) => k === g.strides[i] && k * spatial(g.output)[i] === spatial(g.input)[i])
  );
}

/** Every gradient copied over its window by a nearest-neighbour Resize (some 15 times faster than Expand). */
const resize: Candidate = {
  name: 'resize',
  applies: (g) => g.rank === 2 && tiles(g),
  emit(c, g) {
    const share = c.op('Mul', [c.node.inputs[0], c.b.scalar(1 / sizeOf(g.kernel))]);
    const scales = c.b.constant(f32([1, 1, ...g.kernel], [2 + g.rank]));
    return c.op('Resize', [share, '', scales], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
      cubic_coeff_a: float(-0.75),
    });
  },
};

/** A transposed convolution with a window of ones; any stride, padding and overlap. */
const spread: Candidate = {
  name: 'conv-transpose',
  applies: () => true,
  emit(c, g) {
    const [n, channels] = g.output;
    const out = spatial(g.output);
    const shares = c.op('Mul', [c.node.inputs[0], c.b.constant(f32(reciprocals(c, g), [1, 1, ...out]))]);
    const single = c.op('Reshape', [shares, c.b.ints([n * channels, 1, ...out])]);
    const ones = c.b.constant(f32(new Float32Array(sizeOf(g.kernel)).fill(1), [1, 1, ...g.kernel]));
    // ceil_mode may let the last window hang over the end by more than the padding: that much more is cut off there.
    const full = out.map((o, i) => (o - 1) * g.strides[i] + g.kernel[i]);
    const missing = spatial(g.input).map((h, i) => h - (full[i] - g.padsBegin[i]));
    const spreadOut = c.op('ConvTranspose', [single, ones], {
      kernel_shape: g.kernel,
      strides: g.strides,
      pads: [...g.padsBegin, ...missing.map((v) => Math.max(0, -v))],
    });
    const grown = missing.some((v) => v > 0)
      ? c.op('Pad', [spreadOut, c.b.ints([0, 0, ...missing.map(() => 0), 0, 0, ...missing.map((v) => Math.max(0, v))])])
      : spreadOut;
    return c.op('Reshape', [grown, c.b.ints(g.input)]);
  },
};

/** 1 / number of pixels that each window averaged. */
function reciprocals(c: EmitContext, g: Geometry): Float32Array {
  const includePads = attrInt(c.node, 'count_include_pad', 0) === 1;
  let counts: number[] = [1];
  spatial(g.output).forEach((o, i) => {
    const size = spatial(g.input)[i];
    const along = Array.from({ length: o }, (_, at) => {
      const start = at * g.strides[i] - g.padsBegin[i];
      const [low, high] = includePads ? [-g.padsBegin[i], size + g.padsEnd[i]] : [0, size];
      return Math.min(start + g.kernel[i], high) - Math.max(start, low);
    });
    counts = counts.flatMap((n) => along.map((a) => n * a));
  });
  return Float32Array.from(counts, (n) => 1 / n);
}

/**
 * The forward MaxPool is asked for the indices of its maxima too, and the gradients are scattered there. Ties go to the first
 * maximum, as in the forward pass and in PyTorch.
 */
function scatter(
  name: string,
  applies: Candidate['applies'],
  put: (c: EmitContext, g: Geometry, dy: string, at: string) => string,
): Candidate {
  return {
    name,
    applies,
    emit(c, g) {
      const [, y, dy] = c.node.inputs;
      const at = c.producer(y)?.outputs[1];
      if (at === undefined) throw new Error(`MaxPoolGrad: no MaxPool makes "${y}"`);
      return put(c, g, dy, at);
    },
  };
}

/** Windows that do not overlap: every input pixel gets one gradient at most. */
const unpool = scatter(
  'max-unpool',
  (g) => g.kernel.every((k, i) => k <= g.strides[i]) && allOnes(g.dilations) && allZeros([...g.padsBegin, ...g.padsEnd]) && g.rank <= 3,
  (c, g, dy, at) => c.op('MaxUnpool', [dy, at, c.b.ints(g.input)], { kernel_shape: g.kernel, strides: g.strides }),
);

const scatterAdd = scatter(
  'scatter-add',
  () => true,
  (c, g, dy, at) => {
    const flat = c.b.ints([sizeOf(g.output)]);
    const zeros = c.op('ConstantOfShape', [c.b.ints([sizeOf(g.input)])]);
    const sums = c.op('ScatterElements', [zeros, c.op('Reshape', [at, flat]), c.op('Reshape', [dy, flat])], { axis: 0, reduction: 'add' });
    return c.op('Reshape', [sums, c.b.ints(g.input)]);
  },
);

export const averagePoolGrad: readonly Candidate[] = [resize, spread];
export const maxPoolGrad: readonly Candidate[] = [unpool, scatterAdd];
