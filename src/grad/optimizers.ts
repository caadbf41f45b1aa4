/**
 * Optimisers inside the graph, with PyTorch's meaning of every option. Small tensors cost a fixed few microseconds a node, so the
 * formulas are arranged for few nodes: what does not depend on the tensor is worked out once, as a scalar.
 */
import { fail } from '../core/errors.ts';
import { f32, i64, sizeOf, type Tensor } from '../core/tensor.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { Emit } from './emit.ts';

export interface SgdOptions {
  readonly kind: 'sgd';
  /** 0 (default) to below 1. */
  readonly momentum?: number;
  readonly weightDecay?: number;
  /** Look ahead along the momentum (Sutskever et al. 2013, as PyTorch has it). */
  readonly nesterov?: boolean;
  readonly decay?: DecayScope;
}

export interface AdamOptions {
  /** `adamw` decays the weights themselves (Loshchilov and Hutter 2019), `adam` adds the decay to the gradient. */
  readonly kind: 'adam' | 'adamw';
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
  readonly decay?: DecayScope;
}

/** Which parameters weight decay applies to: `matrices` (default) are those of rank 2 and more, which leaves biases and norms out. */
export type DecayScope = 'matrices' | 'all';
export type Optimizer = SgdOptions | AdamOptions;

export interface Parameter {
  readonly name: string;
  readonly dims: readonly number[];
  /** Name of its gradient. */
  readonly gradient: string;
}

/** The state of an optimiser, and what it makes of each parameter. */
export interface Updates {
  /** Parameter -> its value after the step. */
  readonly next: ReadonlyMap<string, string>;
  /** Graph input -> the output that takes its place in the next step; the optimiser's own state only. */
  readonly carry: Readonly<Record<string, string>>;
  readonly state: Readonly<Record<string, Tensor>>;
}

/** A scalar int64 that counts finished steps. */
export interface StepCounter {
  /** Steps before this one. */
  readonly input: string;
  /** Including this one. */
  readonly output: string;
}

/**
 * Adds the updates of all parameters. Inputs for the optimiser's state are made here: `NAME.velocity`; `NAME.first-moment`,
 * `NAME.second-moment`, all starting at zero.
 * @param learningRate name of a float32 scalar
 */
export function addUpdates(
  b: GraphBuilder,
  o: Optimizer,
  parameters: readonly Parameter[],
  learningRate: string,
  counter: StepCounter,
): Updates {
  checkOptimizer(o);
  const rest = new Slots(b);
  const update = o.kind === 'sgd' ? sgd(b, o, learningRate, rest) : adam(b, o, learningRate, counter, rest);
  const next = new Map(parameters.map((p): [string, string] => [p.name, update(p)]));
  return { next, carry: rest.carry, state: rest.state };
}

type Update = (p: Parameter) => string;

/** Makes the carried tensors of an optimiser. */
class Slots {
  readonly carry: Record<string, string> = {};
  readonly state: Record<string, Tensor> = {};
  readonly #b: GraphBuilder;

  constructor(b: GraphBuilder) {
    this.#b = b;
  }

  add(p: Parameter, what: string): string {
    const name = this.#b.input(this.#b.fresh(`${p.name}.${what}`), 'float32', p.dims);
    this.state[name] = f32(new Float32Array(sizeOf(p.dims)), p.dims);
    return name;
  }
}

const decayOf = (o: Optimizer, p: Parameter): number => (o.decay === 'all' || p.dims.length >= 2 ? (o.weightDecay ?? 0) : 0);

/** v <- momentum v + g + decay w; w <- w - rate (v, or with nesterov g + decay w + momentum v). */
function sgd(b: GraphBuilder, o: SgdOptions, rate: string, slots: Slots): Update {
  const e = new Emit(b, 'update');
  const momentum = o.momentum ?? 0;
  const keptAfter = scalarOnce((decay: number) => e.sub(e.scalar(1), e.scale(rate, decay)));
  return (p) => {
    const decay = decayOf(o, p);
    if (momentum === 0) {
      const kept = decay === 0 ? p.name : e.mul(p.name, keptAfter(decay));
      return e.sub(kept, e.mul(p.gradient, rate));
    }
    const velocity = slots.add(p, 'velocity');
    const parts = [e.scale(velocity, momentum), p.gradient];
    if (decay !== 0) parts.push(e.scale(p.name, decay));
    const moved = e.sum(parts);
    slots.carry[velocity] = moved;
    if (!o.nesterov) return e.sub(p.name, e.mul(moved, rate));
    const ahead = [e.scale(moved, momentum), p.gradient];
    if (decay !== 0) ahead.push(e.scale(p.name, decay));
    return e.sub(p.name, e.mul(e.sum(ahead), rate));
  };
}

/**
 * m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w <- w - rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)
 * (Kingma and Ba 2015). The corrections are taken out of the fraction, where they are scalars, and computed in float64: in float32
 * 1 - 0.999^1 is off by 5e-5.
 */
function adam(b: GraphBuilder, o: AdamOptions, rate: string, counter: StepCounter, slots: Slots): Update {
  const e = new Emit(b, 'update');
  const [beta1, beta2] = [o.beta1 ?? 0.9, o.beta2 ?? 0.999];
  const double = new Emit(b, 'update', 'float64');
  const t = double.cast(counter.output, 'float64');
  const correction = (beta: number): string => double.sub(double.scalar(1), double.op('Pow', double.scalar(beta), t));
  const root = double.op('Sqrt', correction(beta2));
  const stepSize = e.mul(rate, e.cast(double.div(root, correction(beta1)), 'float32'));
  const epsilon = e.cast(double.scale(root, o.epsilon ?? 1e-8), 'float32');
  const keptAfter = scalarOnce((decay: number) => e.sub(e.scalar(1), e.scale(rate, decay)));
  return (p) => {
    const decay = decayOf(o, p);
    const g = o.kind === 'adam' && decay !== 0 ? e.add(p.gradient, e.scale(p.name, decay)) : p.gradient;
    const [first, second] = [slots.add(p, 'first-moment'), slots.add(p, 'second-moment')];
    const m = e.add(e.scale(first, beta1), e.scale(g, 1 - beta1));
    const v = e.add(e.scale(second, beta2), e.scale(e.mul(g, g), 1 - beta2));
    slots.carry[first] = m;
    slots.carry[second] = v;
    const kept = o.kind === 'adamw' && decay !== 0 ? e.mul(p.name, keptAfter(decay)) : p.name;
    return e.sub(kept, e.mul(e.div(m, e.add(e.op('Sqrt', v), epsilon)), stepSize));
  };
}

/** The same scalar for the same number, made once. */
function scalarOnce(make: (value: number) => string): (value: number) => string {
  const known = new Map<number, string>();
  return (value) => {
    const name = known.get(value) ?? make(value);
    known.set(value, name);
    return name;
  };
}

function checkOptimizer(o: Optimizer): void {
  const within = (what: string, value: number | undefined, low: number, high: number): void => {
    if (value === undefined || (value >= low && value < high)) return;
    fail({ where: `grad: ${o.kind}`, what, expected: `${low} or more and below ${high}`, got: String(value) });
  };
  within('weight decay', o.weightDecay, 0, Number.POSITIVE_INFINITY);
  if (o.kind === 'sgd') {
    within('momentum', o.momentum, 0, 1);
    if (o.nesterov && !o.momentum) fail({ where: 'grad: sgd', what: 'nesterov needs momentum', expected: 'a momentum above 0', got: '0' });
  } else {
    within('beta1', o.beta1, 0, 1);
    within('beta2', o.beta2, 0, 1);
    within('epsilon', o.epsilon, 0, 1);
  }
}

/** Adds the counter of finished steps: what bias corrections and dropout masks depend on. */
export function addStepCounter(b: GraphBuilder): StepCounter & { readonly first: Tensor } {
  const input = b.input(b.fresh('secateur.steps'), 'int64', []);
  return { input, output: b.op('Add', [input, b.scalar(1, 'int64')], {}, { name: 'update/count' }), first: i64([0], []) };
}
