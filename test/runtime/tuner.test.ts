/** The tuner times each form once, keeps what it chose, and takes no form that does not run. */
import { afterAll, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Model } from '../../src/onnx/model.ts';
import type { ValueTypes } from '../../src/onnx/value-types.ts';
import { lower, sites } from '../../src/runtime/lowerings/lower.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import type { Runtime } from '../../src/runtime/session.ts';
import { type ChoiceStore, type Choices, Tuner } from '../../src/runtime/tuner.ts';

const native = nativeRuntime({ threads: 1 });
afterAll(() => native.dispose());

function memory(kept: Choices = {}): ChoiceStore & { kept: Choices } {
  return {
    kept,
    load: async () => ({ ...kept }),
    save: async (choices) => Object.assign(kept, choices),
  };
}

/** One weight gradient, large enough to be timed, and one that is not. */
function step(): Model {
  const b = new GraphBuilder();
  for (const [name, size] of [
    ['large', 32],
    ['small', 4],
  ] as const) {
    const dims = [4, 8, size, size];
    b.input(`x-${name}`, 'float32', dims);
    b.input(`dy-${name}`, 'float32', dims);
    const shapes = { input_shape: dims, output_shape: dims, weight_shape: [8, 8, 1, 1] };
    const attributes = { kernel_shape: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1, ...shapes };
    b.output(b.op('ConvGradWeight', [`x-${name}`, `dy-${name}`], attributes, { domain: 'secateur.grad', name }), 'float32', [8, 8, 1, 1]);
  }
  return b.build();
}
const noTypes: ValueTypes = new Map();

test('times what it has not seen, keeps the choices, and does not time them again', async () => {
  const store = memory();
  const said: string[] = [];
  const tuner = new Tuner(store, (message) => said.push(message));
  const model = step();
  const { choose, machine } = await tuner.lowering(native, model, noTypes);
  expect(said).toHaveLength(2);
  expect(said[0]).toMatch(/^tuned 1 of 2: ConvGradWeight 4x8x32x32 .*: [a-z0-9-]+ \(im2col [\d.]+ ms, gemm [\d.]+ ms, /);
  expect(said[1]).toMatch(/^tuned 2 of 2: ConvGradWeight 4x8x4x4 .*: im2col \(too small to time\)$/);
  for (const site of sites(model, machine)) {
    const name = choose!(site).name;
    expect(store.kept[site.key]).toBe(name);
    expect(site.candidates.map((c) => c.name)).toContain(name);
  }
  const again = new Tuner(store, (message) => said.push(message));
  expect(lower(model, await again.lowering(native, model, noTypes))).toEqual(lower(model, { choose, machine }));
  expect(said).toHaveLength(2);
});

test('a choice that another process has made meanwhile stands', async () => {
  const model = step();
  const [site] = sites(model);
  const store: ChoiceStore = {
    load: async () => ({ 'nchwc block': '0' }),
    save: async (choices) => ({ ...choices, [site.key]: 'swapped-conv' }),
  };
  const { choose } = await new Tuner(store).lowering(native, model, noTypes);
  expect(choose!(site).name).toBe('swapped-conv');
});

test('a form that this build of ONNX Runtime does not run is no choice', async () => {
  let refused = 0;
  // Only the first form of all opens here.
  const picky: Runtime = {
    backend: 'native',
    threads: 1,
    open: async (model, options) => {
      const first = (model as Model).graph.nodes.some((n) => n.name.endsWith('/reducesum'));
      if (first) return native.open(model, options);
      refused++;
      throw new Error('no kernel');
    },
  };
  const model = step();
  const [site] = sites(model);
  const { choose } = await new Tuner(memory({ 'nchwc block': '0' })).lowering(picky, model, noTypes);
  expect(choose!(site).name).toBe('im2col');
  expect(refused).toBe(site.candidates.length - 1);
});
