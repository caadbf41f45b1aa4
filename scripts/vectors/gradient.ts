/** The gradient of one backend test that passed: of a sum of its outputs with random weights, by our rules and by central differences. */
import { SecateurError } from '../../src/core/errors.ts';
import { Rng } from '../../src/core/rng.ts';
import { sizeOf, type Tensor } from '../../src/core/tensor.ts';
import { raiseOpset } from '../../src/grad/raise-opset.ts';
import { stops } from '../../src/grad/table.ts';
import { backward } from '../../src/grad/walk.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { allowFreeInitializers, attrInt, cloneModel } from '../../src/onnx/edit.ts';
import type { Model } from '../../src/onnx/model.ts';
import { constantsToInitializers } from '../../src/onnx/passes/constants-to-initializers.ts';
import { lower } from '../../src/runtime/lowerings/lower.ts';
import { probe } from '../../src/runtime/probe.ts';
import type { Session } from '../../src/runtime/session.ts';
import { type Forward, runtime } from './forward.ts';

/**
 * `passed`: every coordinate that could be judged agrees; `wrong`; `no rule`; `kinks`: no coordinate could be judged, because each lies
 * where the function has no derivative; `nothing`: no number goes in or comes out by a slope; `skipped` for the reason given.
 */
export type GradientClass = 'passed' | 'wrong' | 'no rule' | 'kinks' | 'nothing' | 'skipped';

export interface GradientResult {
  readonly class: GradientClass;
  readonly why?: string;
  /** Coordinates that agree, and those left out at kinks. */
  readonly agree: number;
  readonly atKinks: number;
}

/** Coordinates tried in each input. */
const COORDINATES = 12;
/** Of the largest derivative of the input. */
const TOLERANCE = 5e-3;
/** Steps tried in turn; float32 needs wide ones, kinks need narrow ones. */
const STEPS = [1 / 64, 1 / 512, 1 / 4096];

const isReal = (tensor: Tensor): boolean => (tensor.dtype === 'float32' || tensor.dtype === 'float64') && tensor.data.length > 0;
const done = (result: GradientClass, why?: string): GradientResult => ({ class: result, why, agree: 0, atKinks: 0 });

export async function checkGradient(forward: Forward): Promise<GradientResult> {
  const { model, feeds, outputs } = forward.run!;
  const training = model.graph.nodes.find((n) => n.opType === 'BatchNormalization' && attrInt(n, 'training_mode', 0) === 1);
  if (training !== undefined) return done('skipped', 'batch norm in training mode: its gradient is made with the training step');
  if (outputs.some((y) => y.dtype === 'float16') || Object.values(feeds).some((x) => x.dtype === 'float16')) {
    return done('skipped', 'float16 is made float32 before gradients are taken');
  }
  const targets = model.graph.outputs.flatMap(({ name }, i) => (isReal(outputs[i]) ? [name] : []));
  const bound = bind(model, feeds);
  if (targets.length === 0) return done('nothing', 'no floating-point output');
  if (Object.keys(bound.feeds).length === 0) return done('nothing', 'no floating-point input');
  if (!(await opens(bound.model))) return done('skipped', 'ONNX Runtime does not open it with its sizes as constants');
  let left = targets;
  for (;;) {
    try {
      const result = await check(bound.model, bound.feeds, left);
      const without = targets.filter((name) => !left.includes(name));
      return without.length === 0 ? result : { ...result, why: `but no gradient of the output ${without.join(', ')}` };
    } catch (error) {
      if (!(error instanceof SecateurError)) throw error;
      // An input that is a setting rather than data (scales, a ratio) has no gradient; the others have.
      const input = / with a gradient of input \d+ \("(.*?)"\)/.exec(error.message)?.[1];
      if (input !== undefined && bound.feeds[input] !== undefined && Object.keys(bound.feeds).length > 1) {
        fix(bound, input);
        continue;
      }
      const output = / with the gradient of its output "(.*?)"/.exec(error.message)?.[1];
      if (output !== undefined && left.includes(output) && left.length > 1) {
        left = left.filter((name) => name !== output);
        continue;
      }
      if (/no rule for operator/.test(error.message)) return done('no rule', error.parts.what);
      if (/At least one output should be requested/.test(error.message)) return done('skipped', 'nothing in it is computed');
      if (/too old to be trained/.test(error.message)) return done('skipped', error.parts.got);
      return done('wrong', `fails: ${error.message.split('\n')[0].slice(0, 300)}`);
    }
  }
}

async function opens(model: Model): Promise<boolean> {
  try {
    await (await runtime.open(model)).close();
    // Without a node there is nothing to find the shapes of.
    return model.graph.nodes.length > 0;
  } catch (error) {
    if (error instanceof SecateurError) return false;
    throw error;
  }
}

interface Bound {
  readonly model: Model;
  readonly feeds: Record<string, Tensor>;
}

/** Makes a constant of an input. */
function fix({ model: { graph }, feeds }: Bound, input: string): void {
  graph.initializers.set(input, feeds[input]);
  graph.inputs = graph.inputs.filter((i) => i.name !== input);
  delete feeds[input];
}

/** Inputs of floating-point type that are settings, not data. */
const SETTINGS: Readonly<Record<string, readonly number[]>> = {
  Resize: [1, 2],
  Upsample: [1],
  OneHot: [1, 2],
  Range: [0, 1, 2],
  Dropout: [1],
};

/** Numbers that a gradient goes to become inputs, all others constants: rules want shapes, axes and indices fixed. */
function bind(model: Model, feeds: Readonly<Record<string, Tensor>>): Bound {
  const copy = cloneModel(model);
  constantsToInitializers.run(copy);
  const { graph } = copy;
  const declared = new Set(model.graph.initializers.keys());
  const real: Record<string, Tensor> = {};
  for (const [name, tensor] of [...Object.entries(feeds), ...[...graph.initializers].filter(([key]) => declared.has(key))]) {
    if (isReal(tensor)) real[name] = tensor;
    else graph.initializers.set(name, tensor);
  }
  for (const name of Object.keys(real)) graph.initializers.delete(name);
  graph.inputs = Object.entries(real).map(([name, { dtype, dims }]) => ({ name, dtype, dims: [...dims] }));
  graph.valueInfo = [];
  allowFreeInitializers(copy);
  const bound = { model: copy, feeds: real };
  for (const { opType, inputs } of graph.nodes) {
    for (const i of SETTINGS[opType] ?? []) if (real[inputs[i]] !== undefined) fix(bound, inputs[i]);
  }
  return bound;
}

async function check(model: Model, feeds: Readonly<Record<string, Tensor>>, targets: readonly string[]): Promise<GradientResult> {
  const wrt = Object.keys(feeds);
  const raised = raiseOpset(model, await probe(runtime, model));
  const base = cloneModel(raised.model);
  base.graph.outputs = [];
  const b = GraphBuilder.from(base, { prefix: 'back' });
  const values = await runAll(model, feeds, targets);
  const weights = new Map(targets.map((name) => [name, lossWeights(values[name])]));
  const seeds = new Map([...weights].map(([name, tensor]) => [name, b.constant(tensor)]));
  const gradients = backward(b, base.graph, { seeds, wrt, types: raised.types });
  if (gradients.size === 0) {
    const stop = base.graph.nodes.some((node) => stops(node));
    return done('nothing', stop ? 'gradients stop here' : 'no output depends on an input by a slope');
  }
  for (const name of new Set(gradients.values())) b.output(name);
  const session = await runtime.open(lower(b.build()));
  const found = await session.run(feeds).finally(() => session.close());

  const plain = await runtime.open(model);
  let [agree, atKinks] = [0, 0];
  try {
    for (const name of wrt) {
      const gradient = gradients.get(name) === undefined ? undefined : found[gradients.get(name)!];
      const at = feeds[name];
      if (gradient !== undefined && String(gradient.dims) !== String(at.dims)) {
        return { ...done('wrong', `gradient of "${name}" has shape [${gradient.dims}], expected [${at.dims}]`), agree, atKinks };
      }
      const slopes = (gradient?.data ?? new Float32Array(sizeOf(at.dims))) as Float32Array;
      const scale = slopes.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 1e-2);
      const difference = differences(plain, feeds, name, weights);
      const picks = [...Rng.from(5, 'coordinates', name).permutation(slopes.length)].slice(0, COORDINATES);
      for (const index of picks) {
        const verdict = Number.isFinite(Number(at.data[index])) ? await judge(difference, index, slopes[index], scale) : 'kink';
        if (verdict === 'agrees') agree++;
        else if (verdict === 'kink') atKinks++;
        else if (Number.isNaN(slopes[index]) && (await hasNaN(model, feeds))) {
          return { ...done('skipped', 'a value inside the graph is not a number here, which no chain of slopes survives'), agree, atKinks };
        } else return { ...done('wrong', `gradient of "${name}" at ${index}: ${slopes[index]}, differences ${verdict}`), agree, atKinks };
      }
    }
  } finally {
    await plain.close();
  }
  return { class: agree > 0 ? 'passed' : 'kinks', agree, atKinks };
}

/** Change of the weighted sum of the outputs where one coordinate is moved, element by element: what does not change cancels exactly. */
type Difference = (index: number, by: number) => Promise<number>;

function differences(
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  name: string,
  weights: ReadonlyMap<string, Tensor>,
): Difference {
  const still = session.run(feeds);
  return async (index, by) => {
    const data = (feeds[name].data as Float32Array).slice();
    data[index] += by;
    const values = await session.run({ ...feeds, [name]: { ...feeds[name], data } });
    const start = await still;
    let sum = 0;
    for (const [output, weight] of weights) {
      const [a, z, w] = [values[output].data, start[output].data, weight.data] as [Float32Array, Float32Array, Float32Array];
      for (let i = 0; i < w.length; i++) if (!Object.is(a[i], z[i])) sum += w[i] * (a[i] - z[i]);
    }
    return sum;
  };
}

async function judge(difference: Difference, index: number, expected: number, scale: number): Promise<'agrees' | 'kink' | string> {
  const said: string[] = [];
  const bends: number[] = [];
  for (const h of STEPS) {
    const [near, nearBelow, far, farBelow] = [
      await difference(index, h),
      await difference(index, -h),
      await difference(index, 2 * h),
      await difference(index, -2 * h),
    ];
    // Richardson: the error is of fourth order
    const slope = (8 * (near - nearBelow) - (far - farBelow)) / (12 * h);
    if (Math.abs(slope - expected) <= TOLERANCE * Math.max(scale, Math.abs(slope))) return 'agrees';
    said.push(slope.toPrecision(5));
    bends.push(Math.abs(near + nearBelow) / h / Math.max(scale, Math.abs(slope)));
    if (Number.isNaN(expected) && Number.isNaN(slope)) return 'agrees';
    // The edge of where the function is defined.
    if (Number.isNaN(near) !== Number.isNaN(nearBelow)) return 'kink';
  }
  // Smooth functions bend less and less. Where slopes from either side keep differing there is no derivative, nor where one slope grows
  // as the step shrinks: that is a jump.
  const bent = bends.at(-1)! > 10 * TOLERANCE && bends.at(-1)! > bends[0] / 8;
  const jump = Math.abs(Number(said.at(-1))) > 16 * Math.abs(Number(said[0]));
  return bent || jump ? 'kink' : said.join(', ');
}

/** Random, but 0 for outputs that are infinite (masks): they have no slope. */
function lossWeights({ dtype, dims, data }: Tensor): Tensor {
  const rng = Rng.from(7, 'loss weights', ...dims);
  const values = Array.from({ length: sizeOf(dims) }, (_, i) => (Number.isFinite(Number(data[i])) ? rng.uniform(0.5, 1.5) : 0));
  return { dtype, dims, data: dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values) };
}

async function runAll(model: Model, feeds: Readonly<Record<string, Tensor>>, outputs: readonly string[]): Promise<Record<string, Tensor>> {
  const everything = { ...model, graph: { ...model.graph, outputs: outputs.map((name) => ({ name, dtype: undefined, dims: undefined })) } };
  const session = await runtime.open(everything);
  return session.run(feeds).finally(() => session.close());
}

async function hasNaN(model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<boolean> {
  const names = model.graph.nodes.flatMap((node) => node.outputs.filter((name) => name !== ''));
  const values = await runAll(model, feeds, names);
  return Object.values(values).some((t) => isReal(t) && (t.data as Float32Array).some((v) => Number.isNaN(v)));
}
