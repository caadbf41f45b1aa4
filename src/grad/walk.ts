/** The walk from the loss back to what is asked for: each node once, in reverse order, gradients added up where a value forks. */
import { type ErrorParts, SecateurError } from '../core/errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { topologicalOrder } from '../onnx/edit.ts';
import type { Graph, Node } from '../onnx/model.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { type BatchStatistics, Context, Refusal } from './context.ts';
import { Emit } from './emit.ts';
import { type FreezePoint, freezePoint, labelOf } from './freeze.ts';
import { ruleFor, slopedInputs } from './table.ts';

export interface BackwardOptions {
  /** Value -> its gradient, already in the graph: where the walk starts. */
  readonly seeds: ReadonlyMap<string, string>;
  /** Values whose gradients are asked for: initialisers, graph inputs, or any others. */
  readonly wrt: readonly string[];
  /** Types of every value of the graph. */
  readonly types: ValueTypes;
  /** BatchNormalization nodes in training mode, and their batch statistics. */
  readonly batchStatistics?: ReadonlyMap<Node, BatchStatistics>;
  /** See `LossSpec.straightThrough`. */
  readonly straightThrough?: boolean;
}

const FLOATS: ReadonlySet<string | undefined> = new Set(['float32', 'float64', 'float16', 'bfloat16']);

/**
 * Adds the backward pass of `graph` to `b`, a builder that holds the graph's values already. Returns value -> name of its gradient;
 * values that the seeds do not depend on are not in the map. Parts that no value of `wrt` flows into cost nothing.
 * @throws SecateurError where an operator on the way has no rule, naming operator, node, version and the layer to freeze before
 */
export function backward(b: GraphBuilder, graph: Graph, options: BackwardOptions): Map<string, string> {
  const { seeds, wrt, types } = options;
  const e = new Emit(b, 'fork');
  const order = topologicalOrder(graph);
  const moved = influenced(order, wrt, types, options);
  const collected = new Map<string, string[]>([...seeds].map(([value, gradient]) => [value, [gradient]]));
  const gradientOf = (value: string): string | undefined => {
    const parts = collected.get(value);
    if (parts === undefined) return undefined;
    const whole = e.sum(parts);
    if (parts.length > 1) collected.set(value, [whole]);
    return whole;
  };

  const blocked: Blocked[] = [];
  for (const node of order.toReversed()) {
    const wanted = slopedInputs(node, options.straightThrough).filter((name) => moved.has(name));
    if (wanted.length === 0 || !node.outputs.some((name) => moved.has(name) && collected.has(name))) continue;
    const dy = node.outputs.map((name) => (moved.has(name) ? gradientOf(name) : undefined));
    const rule = ruleFor(node.opType, node.domain);
    try {
      if (rule === undefined) throw new Refusal('');
      const c = new Context({ node, b, types, dy, batch: options.batchStatistics?.get(node), straightThrough: options.straightThrough });
      const gradients = rule(c);
      node.inputs.forEach((name, i) => {
        if (!moved.has(name)) return;
        const gradient = gradients[i];
        if (gradient === null) return;
        if (gradient === undefined) c.refuse(`a gradient of input ${i} ("${name}")`);
        const parts = collected.get(name);
        if (parts) parts.push(gradient());
        else collected.set(name, [gradient()]);
      });
      const { forgotten } = c;
      if (forgotten !== undefined) c.refuse(`the gradient of its output "${forgotten}"`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // Go on without this branch: the way out has to lead past every operator that has no rule, not only past the last one.
      blocked.push({ node, why: error.message });
    }
  }
  if (blocked.length > 0) refuse(graph, order, blocked, wrt, b);

  const found = wrt.flatMap((value): [string, string][] => {
    const gradient = gradientOf(value);
    return gradient === undefined ? [] : [[value, gradient]];
  });
  return new Map(found);
}

/**
 * The values that a change of one of `wrt` can reach by slopes, these included: floating-point ones, but for those that only steps lead
 * to (`stops` of table.ts); and quantised ones, so that a quantised network is refused and not silently left untrained.
 */
export function influenced(
  order: readonly Node[],
  wrt: readonly string[],
  types: ValueTypes,
  o: { readonly straightThrough?: boolean } = {},
): Set<string> {
  const moved = new Set(wrt);
  for (const node of order) {
    const from = slopedInputs(node, o.straightThrough).filter((name) => moved.has(name));
    if (from.length === 0) continue;
    const quantised = QUANTISERS.has(node.opType) || from.some((name) => !isFloat(types.get(name)?.dtype));
    for (const output of node.outputs) {
      const dtype = types.get(output)?.dtype;
      if (output !== '' && (dtype === undefined || isFloat(dtype) || (quantised && LEVELS.has(dtype)))) moved.add(output);
    }
  }
  return moved;
}

/** Operators whose integers stand for numbers; what is computed with those does too. */
const QUANTISERS: ReadonlySet<string> = new Set(['QuantizeLinear', 'DynamicQuantizeLinear']);
const LEVELS: ReadonlySet<string> = new Set(['uint8', 'int8', 'uint16', 'int16', 'int32']);

const isFloat = (dtype: string | undefined): boolean => dtype === undefined || FLOATS.has(dtype);

/** There is no gradient: the operators that stand in the way, last one first, and where to freeze to get past them. */
export class BlockedError extends SecateurError {
  readonly blocked: readonly Blocked[];
  readonly way: FreezePoint;
  constructor(parts: ErrorParts, blocked: readonly Blocked[], way: FreezePoint) {
    super(parts);
    this.blocked = blocked;
    this.way = way;
  }
}

export interface Blocked {
  readonly node: Node;
  /** What the rule could not do; empty where there is no rule at all. */
  readonly why: string;
}

/** `no rule for operator "LRN" (node "norm1", opset 17)`, and the first layer from which on everything has rules. */
function refuse(graph: Graph, order: readonly Node[], blocked: readonly Blocked[], wrt: readonly string[], b: GraphBuilder): never {
  const { node, why } = blocked[0];
  const operator = node.domain === '' ? node.opType : `${node.domain}.${node.opType}`;
  const facts = node.domain === '' ? `node "${labelOf(node)}", opset ${b.opset}` : `node "${labelOf(node)}"`;
  const what = `no rule for operator "${operator}"${why === '' ? '' : ` with ${why}`} (${facts})`;
  const stuck = new Set(blocked.map((item) => item.node));
  const way = freezePoint(graph, order, stuck, wrt);
  const hint = {
    layer: () => `--freeze-before ${way.name} to train only the layers after it`,
    input: () => `it without the gradient of "${way.name}", which has to pass this node`,
    none: () => 'a model with trainable layers after this node: there are none here, so nothing can be trained',
  };
  throw new BlockedError({ where: 'grad', what, hint: hint[way.kind]() }, blocked, way);
}
