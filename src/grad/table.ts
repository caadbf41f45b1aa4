/**
 * The gradient of every operator, one entry each.
 *
 * When is a rule needed? For each operator that stands between a trained parameter (or an input whose gradient is asked for) and
 * the loss, on a path of floating-point values. Operators before the first trained parameter need none, nor do those that make
 * integers and booleans (Shape, ArgMax, Equal), nor steps (STEPS below): the walk stops there, because no slope comes through them.
 *
 * A rule gives one entry per input, in order: a function that emits the nodes of that input's gradient and returns its name, or null
 * where it is zero. The walk calls only those it needs, so a frozen weight costs nothing. A gradient has the shape of its
 * input; what was broadcast is summed again with `c.fit`. To add an operator, write a rule, and let a property test in
 * test/grad/rules-*.test.ts compare it with central differences.
 */
import { usedValues } from '../onnx/edit.ts';
import type { Node } from '../onnx/model.ts';
import type { Context } from './context.ts';
import { activations } from './rules/activations.ts';
import { convolutions } from './rules/convolutions.ts';
import { elementwise } from './rules/elementwise.ts';
import { indexing } from './rules/indexing.ts';
import { matrices } from './rules/matrices.ts';
import { microsoft } from './rules/microsoft.ts';
import { normalizations } from './rules/normalizations.ts';
import { pools } from './rules/pools.ts';
import { quantization } from './rules/quantization.ts';
import { reductions } from './rules/reductions.ts';
import { resizes } from './rules/resize.ts';
import { shapes } from './rules/shapes.ts';

/** Emits one input's gradient and returns its name. */
export type Gradient = () => string;
export type Rule = (c: Context) => readonly (Gradient | null)[];

export const rules = {
  ...elementwise,
  ...activations,
  ...matrices,
  ...convolutions,
  ...pools,
  ...normalizations,
  ...reductions,
  ...shapes,
  ...indexing,
  ...resizes,
  ...quantization,
} satisfies Record<string, Rule>;

/** Operators of the standard domain that have a gradient. */
export type Differentiable = keyof typeof rules;

/** Constant but for jumps: their gradient is zero wherever it exists, so that what lies before them is as good as a constant. */
const STEPS: ReadonlySet<string> = new Set(['Floor', 'Ceil', 'Round', 'Sign']);

/** Floating-point values that do not depend, or depend by steps only, on what comes in. */
const OTHER_STOPS: ReadonlySet<string> = new Set([
  'Hardmax',
  'OneHot',
  'ConstantOfShape',
  'EyeLike',
  'RandomNormalLike',
  'RandomUniformLike',
  'Bernoulli',
]);

/** Inputs that only lend their type or shape. */
const UNREAD: Readonly<Record<string, number>> = { CastLike: 1 };

/** Whether gradients end at a node, being zero. With `straightThrough`, steps pass theirs on. */
export function stops(node: Pick<Node, 'opType' | 'domain'>, straightThrough = false): boolean {
  if (!isStandard(node.domain)) return false;
  return OTHER_STOPS.has(node.opType) || (!straightThrough && STEPS.has(node.opType));
}

/** The values that a node's outputs depend on by slopes: none where gradients end. */
export function slopedInputs(node: Node, straightThrough = false): string[] {
  if (stops(node, straightThrough)) return [];
  const unread = isStandard(node.domain) && Object.hasOwn(UNREAD, node.opType) ? UNREAD[node.opType] : undefined;
  return unread === undefined ? usedValues(node) : usedValues({ ...node, inputs: node.inputs.filter((_, i) => i !== unread) });
}

/** The rule of an operator; undefined where there is none. */
export function ruleFor(opType: string, domain: string): Rule | undefined {
  const table: Readonly<Record<string, Rule>> | undefined = isStandard(domain) ? rules : domain === 'com.microsoft' ? microsoft : undefined;
  return table !== undefined && Object.hasOwn(table, opType) ? table[opType] : undefined;
}

const isStandard = (domain: string): boolean => domain === '' || domain === 'ai.onnx';
