/**
 * dW of a convolution: dW[m,c,k] = sum over n, o of dY[n,m,o] · X[n, c, o·stride + k·dilation − pad].
 * The bottleneck of training on a CPU, hence the most candidates.
 */
import { sizeOf } from '../../core/tensor.ts';
import { byGroup } from './by-group.ts';
import type { Candidate, EmitContext, Geometry } from './candidate.ts';
import { allOnes, allZeros, isDepthwise, kernelPositions, padSpatial, pixels, spatial, spatialAxes } from './candidate.ts';
import { NCHWC_DOMAIN } from './nchwc.ts';

/** Padding that the patches really touch: a padded border that no kernel position reaches is cut, so a negative end is possible. */
function reachedEnd(g: Geometry): number[] {
  return g.kernel.map(
    (k, i) => (spatial(g.output)[i] - 1) * g.strides[i] + (k - 1) * g.dilations[i] + 1 - spatial(g.input)[i] - g.padsBegin[i],
  );
}

/** X padded so that kernel position p reads rows p·dilation, p·dilation + stride, ...; same axes as X. */
function padded(c: EmitContext, g: Geometry, x: string): string {
  // Cutting is left to the slices: they only read what a kernel position reaches.
  return padSpatial(
    c,
    x,
    g.padsBegin,
    reachedEnd(g).map((v) => Math.max(0, v)),
  );
}

/** The part of padded X under one kernel position, [N,C,O...] (or with channels last: axes shifted by one to the left). */
function patch(c: EmitContext, g: Geometry, x: string, position: readonly number[], firstAxis: number): string {
  const out = spatial(g.output);
  const starts = position.map((p, i) => p * g.dilations[i]);
  const ends = starts.map((s, i) => s + (out[i] - 1) * g.strides[i] + 1);
  const whole = starts.every(
    (s, i) => s === 0 && g.strides[i] === 1 && ends[i] === spatial(g.input)[i] && g.padsBegin[i] === 0 && reachedEnd(g)[i] <= 0,
  );
  if (whole) return x;
  const axes = spatialAxes(g.rank).map((a) => a - 2 + firstAxis);
  const inputs = [x, c.b.ints(starts), c.b.ints(ends), c.b.ints(axes)];
  return c.op('Slice', allOnes(g.strides) ? inputs : [...inputs, c.b.ints(g.strides)]);
}

/** [M, K..., C/g] put into the weight's order [M, C/g, K...]. */
function toWeight(c: EmitContext, g: Geometry, value: string): string {
  const [perGroup, kernel] = [g.input[1] / g.group, sizeOf(g.kernel)];
  const m = g.output[1];
  const rows = c.op('Reshape', [value, c.b.ints([m, kernel, perGroup])]);
  const turned = kernel === 1 || perGroup === 1 ? rows : c.op('Transpose', [rows], { perm: [0, 2, 1] });
  return c.op('Reshape', [turned, c.b.ints([m, perGroup, ...g.kernel])]);
}

/** One convolution with the axes N and C swapped, stride and dilation exchanged; any rank, any group. Slow, always right. */
const swapped: Candidate = {
  name: 'swapped-conv',
  applies: () => true,
  emit(c, g) {
    const [x, dy] = c.node.inputs;
    const [n, channels] = g.input;
    const m = g.output[1];
    const perGroup = channels / g.group;
    const axes = spatialAxes(g.rank);
    // [N,C,...] -> [C/g, g·N, ...]
    const split = c.op('Reshape', [x, c.b.ints([n, g.group, perGroup, ...spatial(g.input)])]);
    const turned = c.op('Transpose', [split], { perm: [2, 1, 0, ...axes.map((a) => a + 1)] });
    const xs = c.op('Reshape', [turned, c.b.ints([perGroup, g.group * n, ...spatial(g.input)])]);
    const dys = c.op('Transpose', [dy], { perm: [1, 0, ...axes] }); // [M,N,O...]
    const raw = c.op('Conv', [xs, dys], {
      kernel_shape: spatial(g.output),
      strides: g.dilations,
      dilations: g.strides,
      pads: [...g.padsBegin, ...g.padsEnd],
      group: g.group,
    }); // [C/g, M, K' ...], K' >= K where the stride leaves a rest
    const cut = c.op('Slice', [raw, c.b.ints(g.kernel.map(() => 0)), c.b.ints(g.kernel), c.b.ints(axes)]);
    return c.op('Reshape', [c.op('Transpose', [cut], { perm: [1, 0, ...axes] }), c.b.ints([m, perGroup, ...g.kernel])]);
  },
};

/** Patches of each image beside each other, one matrix product an image and group, summed over the images. */
const im2col: Candidate = {
  name: 'im2col',
  applies: () => true,
  emit(c, g) {
    const [x, dy] = c.node.inputs;
    const [n, channels] = g.input;
    const [m, p] = [g.output[1], pixels(g.output)];
    const xp = padded(c, g, x);
    const grouped = (value: string, rows: number): string => c.op('Reshape', [value, c.b.ints([n, g.group, rows / g.group, p])]);
    const parts = kernelPositions(g.kernel).map((position) => patch(c, g, xp, position, 2)); // each [N,C,O...]
    const columns =
      g.group === 1
        ? grouped(parts.length === 1 ? parts[0] : c.op('Concat', parts, { axis: 1 }), parts.length * channels)
        : parts.length === 1
          ? grouped(parts[0], channels)
          : c.op(
              'Concat',
              parts.map((part) => grouped(part, channels)),
              { axis: 2 },
            ); // [N, g, K·C/g, P]
    const product = c.op('MatMul', [grouped(dy, m), c.op('Transpose', [columns], { perm: [0, 1, 3, 2] })]); // [N, g, M/g, K·C/g]
    return toWeight(c, g, c.op('ReduceSum', [product, c.b.ints([0])], { keepdims: 0 }));
  },
};

/** Channels last, then one matrix product over all pixels of all images. */
const gemm: Candidate = {
  name: 'gemm',
  applies: (g) => g.group === 1,
  emit(c, g) {
    const [x, dy] = c.node.inputs;
    const [n, channels] = g.input;
    const [m, p] = [g.output[1], pixels(g.output)];
    const axes = spatialAxes(g.rank);
    const last =
      channels === 1 ? c.op('Reshape', [x, c.b.ints([n, ...spatial(g.input), 1])]) : c.op('Transpose', [x], { perm: [0, ...axes, 1] });
    const end = reachedEnd(g).map((v) => Math.max(0, v));
    const xp = allZeros(g.padsBegin) && allZeros(end) ? last : c.op('Pad', [last, c.b.ints([0, ...g.padsBegin, 0, 0, ...end, 0])]);
    const parts = kernelPositions(g.kernel).map((position) => patch(c, g, xp, position, 1)); // each [N,O...,C]
    const joined = parts.length === 1 ? parts[0] : c.op('Concat', parts, { axis: g.rank + 1 });
    const columns = c.op('Reshape', [joined, c.b.ints([n * p, parts.length * channels])]);
    const rows = c.op('Reshape', [c.op('Transpose', [dy], { perm: [1, 0, ...axes] }), c.b.ints([m, n * p])]);
    return toWeight(c, g, c.op('MatMul', [rows, columns]));
  },
};

/** Pixels of all images in a row, one matrix product a kernel position. Copies less at once than im2col. */
const positions: Candidate = {
  name: 'positions',
  applies: (g) => g.group === 1 && sizeOf(g.kernel) > 1,
  emit(c, g) {
    const [x, dy] = c.node.inputs;
    const [n, channels] = g.input;
    const [m, p] = [g.output[1], pixels(g.output)];
    const axes = spatialAxes(g.rank);
    const rows = c.op('Reshape', [c.op('Transpose', [dy], { perm: [0, ...axes, 1] }), c.b.ints([n * p, m])]);
    const columns = c.op('Transpose', [padded(c, g, x)], { perm: [1, 0, ...axes] }); // [C,N,H...]
    const products = kernelPositions(g.kernel).map((position) =>
      c.op('MatMul', [c.op('Reshape', [patch(c, g, columns, position, 2), c.b.ints([channels, n * p])]), rows]),
    ); // each [C, M]
    const joined = c.op('Reshape', [c.op('Concat', products, { axis: 0 }), c.b.ints([sizeOf(g.kernel), channels, m])]);
    return c.op('Reshape', [c.op('Transpose', [joined], { perm: [2, 1, 0] }), c.b.ints([m, channels, ...g.kernel])]);
  },
};

/**
 * The same as a convolution of X with dY in ONNX Runtime's blocked layout, without ever copying patches. The images are its channels;
 * the rows of all of X's channels lie behind each other, so that a kernel as wide as a row, moved by whole rows, gives the result of
 * one channel per output column and of one vertical kernel position per output row. The horizontal positions are dY moved sideways,
 * one convolution each. Needs no more multiplications than the gradient itself where X and dY are equally wide.
 */
const blockedRows: Candidate = {
  name: 'nchwc-rows',
  applies(g, machine) {
    const block = machine.nchwcBlock;
    if (block === 0 || g.rank !== 2 || g.group !== 1 || !allOnes(g.strides) || !allOnes(g.dilations)) return false;
    const wholeBlocks = g.input[0] % block === 0 && g.output[1] % block === 0;
    return wholeBlocks && sideways(g).every((v) => v >= 0) && reachedEnd(g)[0] >= 0;
  },
  emit(c, g) {
    const [x, dy] = c.node.inputs;
    const block = c.machine.nchwcBlock;
    const [n, channels, h, w] = g.input;
    const [, m, oh, ow] = g.output;
    const [kh, kw] = g.kernel;
    // X as one image [1, N, H, C·W] in blocks of images.
    const rows = channels === 1 ? x : c.op('Transpose', [x], { perm: [0, 2, 1, 3] }); // [N,H,C,W]
    const image = c.op('ReorderInput', [c.op('Reshape', [rows, c.b.ints([1, n, h, channels * w])])], { channels_last: 0 }, NCHWC_DOMAIN);
    // dY as a filter [M, N, oh, ow] in blocks of both: first blocks of M by ONNX Runtime's own (fast) reordering, then whole blocks move.
    const blocked = c.op('ReorderInput', [dy], { channels_last: 0 }, NCHWC_DOMAIN); // memory [N, M/b, oh, ow, b]
    const split = c.op('Reshape', [blocked, c.b.ints([n / block, block, m / block, oh, ow, block])]);
    const filter = c.op('Transpose', [split], { perm: [2, 0, 3, 4, 1, 5] }); // [M/b, N/b, oh, ow, b of N, b of M]
    const [left, right] = sideways(g);
    const wide = left + right === 0 ? filter : c.op('Pad', [filter, c.b.ints([0, 0, 0, left, 0, 0, 0, 0, 0, right, 0, 0])]);
    const columns = Array.from({ length: kw }, (_, j) => {
      const start = kw - 1 - j;
      const whole = left + right === 0;
      const moved = whole ? wide : c.op('Slice', [wide, c.b.ints([start]), c.b.ints([start + w]), c.b.ints([3])]);
      const product = c.op(
        'Conv',
        [image, c.op('Reshape', [moved, c.b.ints([m, n, oh, w])])],
        { kernel_shape: [oh, w], strides: [1, w], dilations: [1, 1], pads: [g.padsBegin[0], 0, reachedEnd(g)[0], 0], group: 1 },
        NCHWC_DOMAIN,
      );
      const plain = c.op('ReorderOutput', [product], { channels: m, channels_last: 0 }, NCHWC_DOMAIN); // [1, M, kh, C]
      return c.op('Reshape', [plain, c.b.ints([m, kh, channels, 1])]);
    });
    const joined = kw === 1 ? columns[0] : c.op('Concat', columns, { axis: 3 }); // [M, kh, C, kw]
    return c.op('Transpose', [joined], { perm: [0, 2, 1, 3] });
  },
};

/** Zeros to the left and right of a row of dY, so that every horizontal kernel position is a cut of X's width out of it. */
function sideways(g: Geometry): [left: number, right: number] {
  const left = g.kernel[1] - 1 - g.padsBegin[1];
  return [left, g.padsBegin[1] + spatial(g.input)[1] - spatial(g.output)[1]];
}

/**
 * One filter a channel, in the blocked layout: every channel of every image is a channel of one image, and dY is its filter, so that
 * one depthwise convolution gives the gradient of each image. Blocks of dY as an image lie in memory as blocks of a depthwise filter do.
 */
const blockedDepthwise: Candidate = {
  name: 'nchwc-depthwise',
  applies(g, machine) {
    const block = machine.nchwcBlock;
    return block > 0 && g.rank === 2 && isDepthwise(g) && (g.input[0] * g.input[1]) % block === 0;
  },
  emit(c, g) {
    const [x, dy] = c.node.inputs;
    const [n, channels] = g.input;
    const all = n * channels;
    const blocked = (value: string, size: readonly number[]): string =>
      c.op('ReorderInput', [c.op('Reshape', [value, c.b.ints([1, all, ...size])])], { channels_last: 0 }, NCHWC_DOMAIN);
    const filter = c.op('Reshape', [blocked(dy, spatial(g.output)), c.b.ints([all, 1, ...spatial(g.output)])]);
    const product = c.op(
      'Conv',
      [blocked(x, spatial(g.input)), filter],
      {
        kernel_shape: spatial(g.output),
        strides: g.dilations,
        dilations: g.strides,
        pads: [...g.padsBegin, ...reachedEnd(g).map((v) => Math.max(0, v))],
        group: all,
      },
      NCHWC_DOMAIN,
    );
    const plain = c.op('ReorderOutput', [product], { channels: all, channels_last: 0 }, NCHWC_DOMAIN); // [1, N·C, K' ...], K' >= K
    const cut = c.op('Slice', [plain, c.b.ints(g.kernel.map(() => 0)), c.b.ints(g.kernel), c.b.ints(spatialAxes(2))]);
    const images = c.op('Reshape', [cut, c.b.ints([n, channels, 1, ...g.kernel])]);
    return c.op('ReduceSum', [images, c.b.ints([0])], { keepdims: 0 });
  },
};

const ungrouped: readonly Candidate[] = [gemm, positions, swapped, blockedRows];

export const convGradWeight: readonly Candidate[] = [
  ...[im2col, gemm, positions, swapped, blockedRows, blockedDepthwise],
  ...ungrouped.map((form) => byGroup(form, { inputs: [1, 1], result: 0 })),
];
