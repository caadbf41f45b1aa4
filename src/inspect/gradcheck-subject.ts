/** A model in the form in which `gradcheck` can ask for its gradients. */
import { fail } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { trainableFrom } from '../grad/freeze.ts';
import { parametersOf } from '../grad/parameters.ts';
import { type GradientGraph, gradientGraph } from '../grad/step.ts';
import { cloneModel } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';
import { constantsToInitializers } from '../onnx/passes/constants-to-initializers.ts';
import { trueInputs } from '../onnx/spec.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { lower } from '../runtime/lowerings/lower.ts';
import { probe } from '../runtime/probe.ts';
import type { Fetches, Runtime } from '../runtime/session.ts';

export interface GradcheckOptions {
  /** Largest relative error that is still right; default 1e-3. */
  readonly tolerance?: number;
  /** Default `inference`: running statistics. */
  readonly batchNorm?: 'inference' | 'training';
  /** The value that the loss is taken of; default the model's only output, before its Softmax where it has one. */
  readonly logits?: string;
  /** Only parameters of this node and those after it, and no gradient of the input. */
  readonly freezeBefore?: string;
}

/** What is checked, in a form that gradients can be taken of. */
export interface Subject {
  readonly input: string;
  /** Parameters that the loss may depend on, in the order of execution. */
  readonly parameters: readonly string[];
  readonly values: ValueTypes;
  readonly model: Model;
  /** Whether the gradient of this value is asked for: with `freezeBefore` only those of the parameters left to train. */
  asks(name: string): boolean;
  gradients(wrt: readonly string[]): GradientGraph;
}

/** @param model with a fixed shape of its input */
export async function prepare(runtime: Runtime, model: Model, o: GradcheckOptions): Promise<Subject> {
  const input = inputOf(model).name;
  const logits = o.logits ?? outputOf(model);
  const types = await probe(runtime, model);
  const parameters = parametersOf(model);
  const left = o.freezeBefore === undefined ? undefined : trainableFrom(model, o.freezeBefore);
  return {
    input,
    parameters,
    values: types,
    model,
    asks: (name) => left?.has(name) ?? true,
    gradients: (wrt) => gradientGraph(model, types, { input, logits, loss: 'cross-entropy', batchNorm: o.batchNorm, wrt }),
  };
}

export async function runOnce(runtime: Runtime, graph: GradientGraph, feeds: Readonly<Record<string, Tensor>>): Promise<Fetches> {
  const session = await runtime.open(lower(graph.model), { label: 'gradients' });
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}

/** The only input that is fed. @throws SecateurError where there are several */
export function inputOf(model: Model): ReturnType<typeof trueInputs>[number] {
  const named = model.metadata.get('secateur.input');
  const inputs = trueInputs(model);
  const input = inputs.find((i) => i.name === named) ?? (inputs.length === 1 ? inputs[0] : undefined);
  if (input !== undefined) return input;
  const got = `${inputs.length}${inputs.length === 0 ? '' : ` (${inputs.map((i) => `"${i.name}"`).join(', ')})`}`;
  return fail({ where: 'gradcheck', what: 'not a network of one input', expected: 'one graph input that is fed', got });
}

function outputOf(model: Model): string {
  const { outputs } = model.graph;
  const named = model.metadata.get('secateur.logits');
  if (named !== undefined) return named;
  if (outputs.length === 1) return outputs[0].name;
  const names = outputs.map((output) => `"${output.name}"`).join(', ');
  return fail({
    where: 'gradcheck',
    what: 'cannot tell which output holds the class scores',
    expected: 'one graph output',
    got: `${outputs.length} (${names})`,
    hint: `--logits ${outputs[0]?.name ?? 'NAME'}`,
  });
}

/** The model for exactly this shape of its input, weights of Constant nodes among its initialisers. */
export function fixInput(model: Model, dims: readonly number[]): Model {
  const copy = cloneModel(model);
  constantsToInitializers.run(copy);
  const info = inputOf(copy);
  info.dims = [...dims];
  return copy;
}
