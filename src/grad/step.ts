/**
 * The training step as an ONNX graph: forward, loss, backward, update. Run it with `openStep` of runtime/step.ts; `lower` of
 * runtime/lowerings turns its `secateur.grad` operators into standard ones.
 */
import { fail } from '../core/errors.ts';
import { broadcastShapes, formatDims, sameDims } from '../core/shapes.ts';
import { nearest } from '../core/suggest.ts';
import type { Tensor } from '../core/tensor.ts';
import { cloneModel } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';
import { constantsToInitializers } from '../onnx/passes/constants-to-initializers.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { buildBackward, differentiable, type Feeds, type LossSpec, prepareForward, setModes, whyNone } from './backward-graph.ts';
import { foldBatchNorms } from './fold-batch-norm.ts';
import { fuseLayerNorms } from './fuse-layer-norm.ts';
import { addStepCounter, addUpdates, type Optimizer, type Parameter } from './optimizers.ts';
import { parametersOf } from './parameters.ts';
import { addMask, addRunningStatistics, checkOwnStatistics } from './training-mode.ts';

export type { LossSpec } from './backward-graph.ts';
export type { Optimizer } from './optimizers.ts';

export interface StepOptions extends LossSpec {
  readonly optimizer: Optimizer;
  /** Which of the model's parameters (see `parametersOf`) are trained; default all. The others stay constants and cost nothing. */
  readonly trainable?: (name: string) => boolean;
  /** 0/1 per parameter, broadcast to its shape: the updated parameter is multiplied by it, so that cut channels stay cut. */
  readonly masks?: ReadonlyMap<string, Tensor>;
  /** Whether the gradient with respect to the model's input is an output too. */
  readonly inputGradient?: boolean;
  /** Default `training`: masks from `seed` and the step counter. */
  readonly dropout?: 'inference' | 'training';
  /** Of the dropout masks; default 0. */
  readonly seed?: number;
}

export interface TrainingStep {
  readonly model: Model;
  /** Names of the trained parameters, in the order of execution. */
  readonly parameters: readonly string[];
  /** Names of all that the step changes and the model's file holds: parameters, and running statistics. */
  readonly stored: readonly string[];
  /** Input -> the output that takes its place in the next step. */
  readonly carry: Readonly<Record<string, string>>;
  /** First values of the carried inputs. */
  readonly state: Readonly<Record<string, Tensor>>;
  /** Names of the inputs to feed. The learning rate is a float32 scalar. */
  readonly feeds: Feeds & { readonly learningRate: string };
  /** Types of the forward part's values and of all that is carried or held. */
  readonly types: ValueTypes;
  readonly outputs: {
    readonly loss: string;
    /** Number of right answers in the batch (samples of weight above 0), float32. */
    readonly correct: string;
    readonly logits: string;
    readonly inputGradient?: string;
  };
}

/**
 * Writes the training step of a model for one batch size, the one that `types` was found for.
 * @throws SecateurError where nothing is left to train, a mask does not fit, or an operator on the way has no gradient rule
 */
export function trainingStep(model: Model, types: ValueTypes, o: StepOptions): TrainingStep {
  const forward = prepareForward(model, types, o);
  const all = parametersOf(forward.model);
  const chosen = all.filter((name) => o.trainable?.(name) ?? true);
  const parameters = differentiable(forward, chosen, o);
  if (parameters.length === 0) {
    fail({
      where: 'grad',
      what: 'nothing to train',
      expected: 'at least one trainable parameter',
      got: `none of ${all.length}${whyNone(forward)}`,
    });
  }
  checkMasks(o.masks, forward.model);
  const { norms, dropouts } = setModes(forward, parameters, {
    batchNorm: o.batchNorm ?? 'inference',
    dropout: o.dropout ?? 'training',
    straightThrough: o.straightThrough,
  });
  checkOwnStatistics(norms, forward.graph);

  const statistics = norms.flatMap(({ running }) => [running.mean, running.variance]);
  const wrt = o.inputGradient ? [...parameters, o.input] : parameters;
  foldBatchNorms(forward, wrt);
  fuseLayerNorms(forward, wrt);
  let counter: ReturnType<typeof addStepCounter>;
  const { b, feeds, loss, gradients } = buildBackward(forward, o, [...parameters, ...statistics], wrt, norms, (builder) => {
    counter = addStepCounter(builder);
    for (const dropout of dropouts) addMask(builder, dropout, counter, o.seed ?? 0);
  });
  const learningRate = b.input(b.fresh('learning-rate'), 'float32', []);
  const initializers = forward.graph.initializers;
  const updated = parameters.map((name): Parameter => ({ name, dims: initializers.get(name)!.dims, gradient: gradients.get(name)! }));
  const updates = addUpdates(b, o.optimizer, updated, learningRate, counter!);

  const carry: Record<string, string> = {};
  const state: Record<string, Tensor> = {};
  for (const [name, next] of updates.next) {
    const mask = o.masks?.get(name);
    carry[name] = mask === undefined ? next : b.op('Mul', [next, b.constant(mask)], {}, { name: `update/mask` });
  }
  Object.assign(carry, addRunningStatistics(b, norms), updates.carry, { [counter!.input]: counter!.output });
  for (const name of [...parameters, ...statistics]) state[name] = initializers.get(name)!;
  Object.assign(state, updates.state, { [counter!.input]: counter!.first });

  const inputGradient = o.inputGradient ? gradients.get(o.input) : undefined;
  const typeOf = (name: string) => forward.types.get(name)!;
  b.output(loss.loss, 'float32', []);
  b.output(loss.correct, 'float32', []);
  b.output(forward.logits, 'float32', typeOf(forward.logits).dims);
  if (inputGradient !== undefined) b.output(inputGradient, 'float32', typeOf(o.input).dims);
  for (const [input, output] of Object.entries(carry)) b.output(output, state[input].dtype, state[input].dims);
  return {
    model: b.build(),
    parameters,
    stored: [...parameters, ...statistics],
    carry,
    state,
    feeds: { ...feeds, learningRate },
    types: forward.types,
    outputs: { loss: loss.loss, correct: loss.correct, logits: forward.logits, ...(inputGradient === undefined ? {} : { inputGradient }) },
  };
}

export interface GradientOptions extends LossSpec {
  /** Initialisers, the input, or any other values of the model; default: all parameters. */
  readonly wrt?: readonly string[];
}

export interface GradientGraph {
  readonly model: Model;
  readonly feeds: Feeds;
  readonly outputs: { readonly loss: string; readonly correct: string; readonly logits: string };
  /** Value -> output that is its gradient. Values that the loss does not depend on are not in it. */
  readonly gradients: Readonly<Record<string, string>>;
}

/**
 * Writes a graph that gives gradients instead of updates. Parameters stay initialisers: the runtime may then lay them out as it likes,
 * which is what a scan over a frozen network wants.
 * @throws SecateurError where an operator on the way has no gradient rule
 */
export function gradientGraph(model: Model, types: ValueTypes, o: GradientOptions): GradientGraph {
  const forward = prepareForward(model, types, o);
  const asked = o.wrt ?? parametersOf(forward.model);
  for (const name of asked) if (!forward.types.has(name)) fail({ where: 'grad', what: `"${name}" is no value of the model` });
  const wrt = differentiable(forward, asked, o);
  const { norms } = setModes(forward, wrt, {
    batchNorm: o.batchNorm ?? 'inference',
    dropout: 'inference',
    straightThrough: o.straightThrough,
  });
  foldBatchNorms(forward, wrt);
  fuseLayerNorms(forward, wrt);
  const { b, feeds, loss, gradients } = buildBackward(forward, o, [], wrt, norms);
  b.output(loss.loss, 'float32', []);
  b.output(loss.correct, 'float32', []);
  // One name may be the gradient of two values, and an output is declared once.
  const outputs = new Map([[forward.logits, forward.logits], ...[...gradients].map(([value, gradient]) => [gradient, value] as const)]);
  for (const [name, value] of outputs) b.output(name, 'float32', forward.types.get(value)!.dims);
  return {
    model: b.build(),
    feeds,
    outputs: { loss: loss.loss, correct: loss.correct, logits: forward.logits },
    gradients: Object.fromEntries(gradients),
  };
}

/**
 * The model with the weights of a step's state (or any tensors) in place of its own; names that are no initialisers of the model
 * (momenta, the step counter) are passed over. The model itself is not changed.
 */
export function withWeights(model: Model, state: Readonly<Record<string, Tensor>>): Model {
  const copy = cloneModel(model);
  const hidden = copy.graph.nodes.some((node) => node.opType === 'Constant' && node.outputs[0] in state);
  if (hidden) constantsToInitializers.run(copy);
  for (const [name, tensor] of copy.graph.initializers) {
    const value = state[name];
    if (value === undefined) continue;
    if (!sameDims(value.dims, tensor.dims) || value.dtype !== tensor.dtype) {
      const describe = (t: Tensor) => `${t.dtype} ${formatDims(t.dims)}`;
      fail({ where: 'grad', what: `new value for "${name}"`, expected: describe(tensor), got: describe(value) });
    }
    copy.graph.initializers.set(name, value);
  }
  return copy;
}

function checkMasks(masks: ReadonlyMap<string, Tensor> | undefined, model: Model): void {
  for (const [name, mask] of masks ?? []) {
    const where = `grad: mask of "${name}"`;
    const parameter = model.graph.initializers.get(name);
    if (parameter === undefined) {
      const near = nearest(name, model.graph.initializers.keys());
      fail({ where, what: 'no such parameter', hint: near === undefined ? undefined : `"${near}"` });
    }
    let fits = mask.dtype === 'float32';
    try {
      fits &&= sameDims(broadcastShapes(mask.dims, parameter.dims), parameter.dims);
    } catch {
      fits = false;
    }
    if (!fits) {
      const expected = `float32 that broadcasts to ${formatDims(parameter.dims)}`;
      fail({ where, what: 'shape', expected, got: `${mask.dtype} ${formatDims(mask.dims)}` });
    }
  }
}
