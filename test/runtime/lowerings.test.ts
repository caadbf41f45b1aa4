/** Every form of every heavy gradient against the definition written as plain loops, over random sizes, strides, pads and groups. */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { f32, sizeOf, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { type Geometry, kernelPositions, type Machine, spatial } from '../../src/runtime/lowerings/candidate.ts';
import { lower, sites } from '../../src/runtime/lowerings/lower.ts';
import { nchwcBlock } from '../../src/runtime/lowerings/nchwc-block.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const random = (dims: readonly number[], seed: number): Tensor =>
  f32(
    Float32Array.from({ length: sizeOf(dims) }, (_, i) => Math.sin((i + 1) * 1.7 + seed) + Math.cos(i * 0.31 * seed)),
    dims,
  );

interface Along {
  size: number;
  kernel: number;
  stride: number;
  dilation: number;
  begin: number;
  end: number;
}

const along: fc.Arbitrary<Along> = fc
  .record({
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    extra: fc.integer({ min: 0, max: 4 }),
    begin: fc.integer({ min: 0, max: 2 }),
    end: fc.integer({ min: 0, max: 2 }),
  })
  .map(({ extra, ...r }) => ({ ...r, size: (r.kernel - 1) * r.dilation + 1 + extra }));

function geometry(n: number, channels: number, m: number, group: number, axes: readonly Along[]): Geometry {
  const out = axes.map((a) => Math.floor((a.size + a.begin + a.end - (a.kernel - 1) * a.dilation - 1) / a.stride) + 1);
  return {
    kernel: axes.map((a) => a.kernel),
    strides: axes.map((a) => a.stride),
    dilations: axes.map((a) => a.dilation),
    padsBegin: axes.map((a) => a.begin),
    padsEnd: axes.map((a) => a.end),
    group,
    rank: axes.length,
    input: [n, channels, ...axes.map((a) => a.size)],
    output: [n, m, ...out],
  };
}

/** Calls back for every (n, m, c, kernel position, output pixel) whose input pixel is inside: offsets into X, W and Y. */
function walk(g: Geometry, visit: (x: number, w: number, y: number) => void): void {
  const [n, channels] = g.input;
  const m = g.output[1];
  const [perIn, perOut] = [channels / g.group, m / g.group];
  const positions = kernelPositions(g.kernel);
  const pixels = kernelPositions(spatial(g.output));
  const [inSize, kernelSize] = [sizeOf(spatial(g.input)), positions.length];
  for (let image = 0; image < n; image++) {
    for (let out = 0; out < m; out++) {
      for (let k = 0; k < perIn; k++) {
        const channel = Math.floor(out / perOut) * perIn + k;
        positions.forEach((p, pi) => {
          pixels.forEach((o, oi) => {
            let at = 0;
            for (let i = 0; i < g.rank; i++) {
              const h = o[i] * g.strides[i] + p[i] * g.dilations[i] - g.padsBegin[i];
              if (h < 0 || h >= g.input[2 + i]) return;
              at = at * g.input[2 + i] + h;
            }
            visit((image * channels + channel) * inSize + at, (out * perIn + k) * kernelSize + pi, (image * m + out) * pixels.length + oi);
          });
        });
      }
    }
  }
}

const attributes = (g: Geometry): Record<string, readonly number[] | number> => ({
  kernel_shape: g.kernel,
  strides: g.strides,
  dilations: g.dilations,
  pads: [...g.padsBegin, ...g.padsEnd],
  group: g.group,
  input_shape: g.input,
  output_shape: g.output,
});

/** Runs a graph of one `secateur.grad` node in every form that applies; returns how many forms there were. */
async function everyForm(
  opType: string,
  extra: Record<string, number | readonly number[]>,
  feeds: Record<string, Tensor>,
  dims: readonly number[],
  expected: Float32Array,
  machine?: Machine,
  forward?: (b: GraphBuilder) => void,
): Promise<string[]> {
  const b = new GraphBuilder();
  for (const [name, t] of Object.entries(feeds)) b.input(name, 'float32', t.dims);
  forward?.(b);
  const inputs = opType === 'MaxPoolGrad' ? ['x', 'y', 'dy'] : Object.keys(feeds);
  b.output(b.op(opType, inputs, extra, { domain: 'secateur.grad', outputs: ['result'] }), 'float32', dims);
  const model = b.build();
  const [site] = sites(model, machine);
  for (const candidate of site.candidates) {
    const session = await runtime.open(lower(model, { machine, choose: () => candidate }));
    const { result } = await session.run(feeds);
    await session.close();
    expect(result.dims, candidate.name).toEqual([...dims]);
    const worst = Math.max(0, ...(result.data as Float32Array).map((v, i) => Math.abs(v - expected[i]) / (1 + Math.abs(expected[i]))));
    expect(worst, `${candidate.name} of ${site.key}`).toBeLessThan(1e-4);
  }
  return site.candidates.map((c) => c.name);
}

async function bothConvGradients(g: Geometry, machine?: Machine): Promise<string[]> {
  const weight = [g.output[1], g.input[1] / g.group, ...g.kernel];
  const [x, w, dy] = [random(g.input, 1), random(weight, 2), random(g.output, 3)];
  const [dx, dw] = [new Float32Array(sizeOf(g.input)), new Float32Array(sizeOf(weight))];
  walk(g, (xi, wi, yi) => {
    dx[xi] += (w.data as Float32Array)[wi] * (dy.data as Float32Array)[yi];
    dw[wi] += (x.data as Float32Array)[xi] * (dy.data as Float32Array)[yi];
  });
  const names = await everyForm('ConvGradWeight', { ...attributes(g), weight_shape: weight }, { x, dy }, weight, dw, machine);
  return [...names, ...(await everyForm('ConvGradInput', attributes(g), { dy, w }, g.input, dx, machine))];
}

test('gradients of convolutions in one, two and three dimensions', async () => {
  const arbitrary = fc.record({
    n: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 2 }),
    perIn: fc.integer({ min: 1, max: 3 }),
    perOut: fc.integer({ min: 1, max: 3 }),
    axes: fc.array(along, { minLength: 1, maxLength: 2 }),
  });
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ n, group, perIn, perOut, axes }) => {
      for (const name of await bothConvGradients(geometry(n, group * perIn, group * perOut, group, axes))) seen.add(name);
    }),
    { numRuns: 60, seed: 7 },
  );
  const three: Along = { size: 4, kernel: 2, stride: 1, dilation: 1, begin: 1, end: 0 };
  await bothConvGradients(geometry(2, 2, 3, 1, [three, { ...three, stride: 2 }, three]));
  const plain = ['conv-transpose', 'flipped-conv', 'gemm', 'im2col', 'positions', 'swapped-conv'];
  const groups = plain.filter((name) => name !== 'im2col').map((name) => `groups of ${name}`);
  expect([...seen].sort()).toEqual([...plain, ...groups].sort());
});

test('depthwise convolution', async () => {
  const axis: Along = { size: 6, kernel: 3, stride: 2, dilation: 1, begin: 1, end: 1 };
  await bothConvGradients(geometry(2, 4, 4, 4, [axis, axis]));
  await bothConvGradients(geometry(2, 3, 3, 3, [axis]));
  // Two filters a channel.
  await bothConvGradients(geometry(2, 4, 8, 4, [axis, axis]));
});

test('blocked layout: the block size found is right for whole blocks, and input channels below one', async () => {
  const block = await nchwcBlock(runtime);
  // Every x86-64 processor that ONNX Runtime supports has one; elsewhere 0 is a right answer and there is nothing to compare.
  if (process.arch === 'x64') expect([8, 16]).toContain(block);
  if (block === 0) return;
  const axis: Along = { size: 7, kernel: 3, stride: 1, dilation: 1, begin: 1, end: 1 };
  const names = await bothConvGradients(geometry(2, 2 * block, 3 * block, 1, [axis, { ...axis, begin: 0 }]), { nchwcBlock: block });
  expect(names).toContain('nchwc');
  await bothConvGradients(geometry(2, block, 3, 1, [axis, axis]), { nchwcBlock: block });
  // One filter a channel.
  const depthwise = (...axes: Along[]): Geometry => geometry(2, 2 * block, 2 * block, 2 * block, axes);
  const blocked = { nchwcBlock: block };
  expect(await bothConvGradients(depthwise(axis, { ...axis, begin: 0 }), blocked)).toEqual(
    expect.arrayContaining(['nchwc', 'nchwc-depthwise']),
  );
  // Strides that leave a rest, dilation, a border that nothing reaches.
  await bothConvGradients(depthwise({ ...axis, size: 8, stride: 2 }, { ...axis, size: 9, stride: 3, end: 0 }), blocked);
  await bothConvGradients(depthwise({ ...axis, dilation: 2 }, { ...axis, size: 10, kernel: 2, stride: 3, begin: 0, end: 0 }), blocked);
  // Whole blocks of images too: same width, narrower, uneven padding, one input channel.
  const rows = [
    geometry(block, 3, block, 1, [axis, axis]),
    geometry(2 * block, 2, 2 * block, 1, [
      { ...axis, begin: 0, end: 0 },
      { ...axis, kernel: 4, begin: 0, end: 0 },
    ]),
    geometry(block, 1, block, 1, [
      { ...axis, begin: 2, end: 0 },
      { ...axis, begin: 0, end: 2 },
    ]),
  ];
  for (const g of rows) expect(await bothConvGradients(g, { nchwcBlock: block })).toContain('nchwc-rows');
});

test('a few groups, each in the blocked layout', async () => {
  const block = await nchwcBlock(runtime);
  if (block === 0) return;
  const machine: Machine = { nchwcBlock: block };
  const axis: Along = { size: 6, kernel: 3, stride: 1, dilation: 1, begin: 1, end: 1 };
  const g = geometry(block, 2 * block, 4 * block, 2, [axis, axis]);
  expect(await bothConvGradients(g, machine)).toEqual(expect.arrayContaining(['groups of nchwc', 'groups of nchwc-rows']));

  const weight = [4 * block, block, 3, 3];
  const feeds = { x: random(g.input, 1), w: random(weight, 2), bias: random([4 * block], 4) };
  const b = new GraphBuilder();
  for (const [name, t] of Object.entries(feeds)) b.input(name, 'float32', t.dims);
  b.output(b.op('Conv', ['x', 'w', 'bias'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], group: 2 }, { outputs: ['y'] }));
  const model = b.build();
  const dims = { x: g.input, w: weight, bias: [4 * block], y: g.output };
  const types = new Map(Object.entries(dims).map(([name, d]) => [name, { dtype: 'float32' as const, dims: d }]));
  const [site] = sites(model, machine, types);
  expect(site.candidates.map((c) => c.name)).toEqual(['as-is', 'groups of nchwc']);
  const [plain, blocked] = await Promise.all(
    [site.candidates[0], site.candidates[1]].map(async (candidate) => {
      const session = await runtime.open(lower(model, { machine, types, choose: () => candidate }));
      const { y } = await session.run(feeds);
      await session.close();
      return y.data as Float32Array;
    }),
  );
  expect(Math.max(...blocked.map((v, i) => Math.abs(v - plain[i])))).toBeLessThan(1e-3);
});

test('average pooling, padding counted and not, windows that overlap, touch or leave gaps', async () => {
  const arbitrary = fc.record({
    axes: fc.array(
      along.map((a) => ({ ...a, dilation: 1, begin: Math.min(a.begin, a.kernel - 1), end: Math.min(a.end, a.kernel - 1) })),
      { minLength: 1, maxLength: 2 },
    ),
    includePads: fc.boolean(),
  });
  const check = async (axes: readonly Along[], includePads: boolean): Promise<string[]> => {
    const g = geometry(2, 2, 2, 2, axes);
    const dy = random(g.output, 5);
    const counts = new Float32Array(sizeOf(g.output));
    walk(g, (_x, _w, y) => counts[y]++);
    const dx = new Float32Array(sizeOf(g.input));
    const all = sizeOf(g.kernel);
    walk(g, (x, _w, y) => {
      dx[x] += (dy.data as Float32Array)[y] / (includePads ? all : counts[y]);
    });
    return everyForm('AveragePoolGrad', { ...attributes(g), count_include_pad: includePads ? 1 : 0 }, { dy }, g.input, dx);
  };
  await fc.assert(
    fc.asyncProperty(arbitrary, ({ axes, includePads }) => check(axes, includePads).then(() => undefined)),
    { numRuns: 30, seed: 3 },
  );
  const tile: Along = { size: 6, kernel: 2, stride: 2, dilation: 1, begin: 0, end: 0 };
  expect(await check([tile, { ...tile, kernel: 3, stride: 3 }], false)).toEqual(['resize', 'conv-transpose']);
});

test('max pooling sends the gradient to the first maximum', async () => {
  const check = async (axes: readonly Along[]): Promise<string[]> => {
    const g = geometry(2, 2, 2, 2, axes);
    // Few distinct values, so that there are ties.
    const x = f32(
      Float32Array.from({ length: sizeOf(g.input) }, (_, i) => (i * 7) % 3),
      g.input,
    );
    const dy = random(g.output, 5);
    const best = new Int32Array(sizeOf(g.output)).fill(-1);
    walk(g, (xi, _w, yi) => {
      if (best[yi] < 0 || (x.data as Float32Array)[xi] > (x.data as Float32Array)[best[yi]]) best[yi] = xi;
    });
    const dx = new Float32Array(sizeOf(g.input));
    best.forEach((xi, yi) => {
      dx[xi] += (dy.data as Float32Array)[yi];
    });
    const { kernel_shape, strides, dilations, pads } = attributes(g);
    return everyForm('MaxPoolGrad', attributes(g), { x, dy }, g.input, dx, undefined, (b) => {
      b.op('MaxPool', ['x'], { kernel_shape, strides, dilations, pads }, { outputs: ['y'] });
    });
  };
  const arbitrary = fc.array(
    along.map((a) => ({ ...a, begin: Math.min(a.begin, a.kernel - 1), end: Math.min(a.end, a.kernel - 1) })),
    { minLength: 1, maxLength: 2 },
  );
  await fc.assert(
    fc.asyncProperty(arbitrary, (axes) => check(axes).then(() => undefined)),
    { numRuns: 30, seed: 11 },
  );
  const tile: Along = { size: 6, kernel: 2, stride: 2, dilation: 1, begin: 0, end: 0 };
  expect(await check([tile, tile])).toEqual(['max-unpool', 'scatter-add']);
});

test('Relu', async () => {
  const y = f32([0, 0.5, 0, 3], [4]);
  const names = await everyForm('ReluGrad', {}, { dy: f32([1, 2, -3, -4], [4]), y }, [4], Float32Array.of(0, 2, 0, -4));
  expect(names).toEqual(['where', 'sign', 'mask']);
});

test('an operator without lowering is named', () => {
  const b = new GraphBuilder();
  b.input('x', 'float32', [1]);
  b.output(b.op('Mystery', ['x'], {}, { domain: 'secateur.grad', name: 'm' }), 'float32', [1]);
  expect(() => lower(b.build())).toThrow('runtime: no lowering for operator "Mystery" (node "m").');
});
