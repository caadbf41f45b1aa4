/**
 * The gradient of every operator, one entry each.
 *
 * When is a rule needed? For each operator that stands between a trained parameter (or an input whose gradient is asked for) and
 * the loss, on a path of floating-point values. Operators before the first trained parameter need none, nor do those that make
 * integers and booleans (Shape, ArgMax, Equal): the walk stops there, because nothing differentiable comes through them.
 *
 * A rule gives one entry per input, in order: a function that emits the nodes of that input's gradient and returns its name, or null
 * where there is none to give. The walk calls only those it needs, so a frozen weight costs nothing. A gradient has the shape of its
 * input; what was broadcast is summed again with `c.fit`. To add an operator, write a rule, and let a property test in
 * test/grad/rules-*.test.ts compare it with central differences.
 */
import type { Context } from './context.ts';
import { activations } from './rules/activations.ts';
import { convolutions } from './rules/convolutions.ts';
import { elementwise } from './rules/elementwise.ts';
import { matrices } from './rules/matrices.ts';
import { normalizations } from './rules/normalizations.ts';
import { pools } from './rules/pools.ts';
import { reductions } from './rules/reductions.ts';
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
} satisfies Record<string, Rule>;

/** Operators of the standard domain that have a gradient. */
export type Differentiable = keyof typeof rules;

/** The rule of an operator; undefined where there is none. */
export function ruleFor(opType: string, domain: string): Rule | undefined {
  const standard = domain === '' || domain === 'ai.onnx';
  return standard && Object.hasOwn(rules, opType) ? rules[opType as Differentiable] : undefined;
}
