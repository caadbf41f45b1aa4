/**
 * Compares the gradients that the rules write with central differences. The loss is sum(y R) with fixed random R, summed here in
 * float64; four points a difference (Richardson), so that a wide step, which float32 needs, leaves an error of fourth order only.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, sizeOf, type Tensor } from '../../src/core/tensor.ts';
import { raiseOpset } from '../../src/grad/raise-opset.ts';
import { backward } from '../../src/grad/walk.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import { probe } from '../../src/runtime/probe.ts';
import { inProcess, runOnce } from './runtime.ts';

const STEP = 1 / 64;

/** Values of a smooth region: normal, sd 1. */
export function smooth(rng: Rng, dims: readonly number[]): Tensor {
  return f32(
    Float32Array.from({ length: sizeOf(dims) }, () => rng.normal()),
    dims,
  );
}

/** Values in [lo, hi). */
export function between(rng: Rng, dims: readonly number[], lo: number, hi: number): Tensor {
  return f32(
    Float32Array.from({ length: sizeOf(dims) }, () => rng.uniform(lo, hi)),
    dims,
  );
}

/** Values at least 0.1 apart and 0.05 from zero, shuffled: no step of the differences crosses a kink or changes a maximum. */
export function apart(rng: Rng, dims: readonly number[]): Tensor {
  const n = sizeOf(dims);
  return f32(rng.shuffle(Array.from({ length: n }, (_, i) => (i - Math.floor(n / 2) + 0.5) / 10)), dims);
}

export interface Check {
  readonly opset?: number;
  /** The graph's inputs and the point at which the gradients are taken. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Adds the nodes and returns the output that the loss is made of. */
  readonly graph: (b: GraphBuilder) => string;
  /** Default: all float inputs. */
  readonly wrt?: readonly string[];
  /** Of the largest gradient (or 1): default 2e-3. */
  readonly tolerance?: number;
  /** Default 1/64; the points lie up to twice that away. */
  readonly step?: number;
}

/** Throws where a gradient differs from its central differences. */
export async function checkGradients(o: Check): Promise<void> {
  const { model, output } = assemble(o);
  const wrt = o.wrt ?? Object.keys(o.inputs).filter((name) => o.inputs[name].dtype === 'float32');
  const analytic = await gradients(model, output, o.inputs, wrt);
  const session = await inProcess.open(model);
  try {
    const weight = lossWeights((await session.run(o.inputs))[output].dims);
    const loss = async (name: string, index: number, by: number): Promise<number> => {
      const moved = Float32Array.from(o.inputs[name].data as Float32Array);
      moved[index] += by;
      const y = (await session.run({ ...o.inputs, [name]: { ...o.inputs[name], data: moved } }))[output];
      return (y.data as Float32Array).reduce((sum, v, i) => sum + v * (weight.data as Float32Array)[i], 0);
    };
    const h = o.step ?? STEP;
    for (const name of wrt) {
      const numeric = new Float64Array(sizeOf(o.inputs[name].dims));
      for (let i = 0; i < numeric.length; i++) {
        const near = (await loss(name, i, h)) - (await loss(name, i, -h));
        const far = (await loss(name, i, 2 * h)) - (await loss(name, i, -2 * h));
        numeric[i] = (8 * near - far) / (12 * h);
      }
      const found = analytic[name];
      expect(found.dims, `shape of the gradient of ${name}`).toEqual(o.inputs[name].dims);
      expectClose(`gradient of ${name}`, found.data as Float32Array, numeric, o.tolerance ?? 2e-3);
    }
  } finally {
    await session.close();
  }
}

function assemble(o: Check): { model: Model; output: string } {
  const b = new GraphBuilder({ opset: o.opset ?? 17 });
  for (const [name, { dtype, dims }] of Object.entries(o.inputs)) b.input(name, dtype, dims);
  const output = o.graph(b);
  b.output(output);
  return { model: b.build(), output };
}

async function gradients(model: Model, output: string, inputs: Check['inputs'], wrt: readonly string[]): Promise<Record<string, Tensor>> {
  const raised = raiseOpset(model, await probe(inProcess, model));
  const forward = cloneModel(raised.model);
  forward.graph.outputs = [];
  const b = GraphBuilder.from(forward, { prefix: 'back' });
  const seed = b.constant(lossWeights(raised.types.get(output)!.dims));
  const found = backward(b, forward.graph, { seeds: new Map([[output, seed]]), wrt, types: raised.types });
  for (const name of new Set(found.values())) b.output(name);
  const values = await runOnce(b.build(), inputs);
  return Object.fromEntries([...found].map(([name, gradient]) => [name, values[gradient]]));
}

function lossWeights(dims: readonly number[]): Tensor {
  return between(Rng.from(7, 'loss weights', ...dims), dims, 0.5, 1.5);
}

/** Largest difference, relative to the largest expected value (or 1). */
export function expectClose(what: string, found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(found.length, `size of ${what}`).toBe(expected.length);
  let scale = 1;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(found[i] - expected[i]);
    if (!(difference <= tolerance * scale)) {
      const show = (v: ArrayLike<number>) => Array.from({ length: Math.min(v.length, 24) }, (_, k) => v[k].toPrecision(4)).join(' ');
      throw new Error(
        `${what} differs at ${i}: expected ${expected[i]}, got ${found[i]}\n expected ${show(expected)}\n got      ${show(found)}`,
      );
    }
  }
}

/** Runs a property a few times, always the same ones. */
export async function forAll<T>(arbitrary: fc.Arbitrary<T>, property: (value: T, rng: Rng) => Promise<void>, numRuns = 10): Promise<void> {
  const seeded = fc.tuple(arbitrary, fc.integer({ min: 0, max: 2 ** 31 - 1 }));
  await fc.assert(
    fc.asyncProperty(seeded, ([value, seed]) => property(value, Rng.from(seed, 'point'))),
    { numRuns, seed: 20_170_822, endOnFailure: false },
  );
}

/** Shapes of a few small axes. */
export const dims = (minLength: number, maxLength: number, max = 4): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max }), { minLength, maxLength });

/** Two shapes that broadcast, in either order, the second possibly of lower rank. */
export const broadcastPair: fc.Arbitrary<[number[], number[]]> = fc
  .tuple(dims(1, 3), fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), fc.nat(2), fc.boolean())
  .map(([full, ones, dropped, swap]) => {
    const other = full.map((d, i) => (ones[i] ? 1 : d)).slice(Math.min(dropped, full.length - 1));
    return swap ? [other, full] : [full, other];
  });
