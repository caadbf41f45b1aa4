/**
 * The sizes of values as far as they can be told without running the graph, to refuse files of a few bytes that ask for gigabytes.
 *
 * This is no shape inference that anything relies on (`runtime/probe.ts` has the true shapes): where an operator or a number is not known
 * here, the sizes after it are unknown and pass, and the memory limit of the child process is what is left. Unknown sizes count as 1,
 * so what is refused is refused rightly.
 */
import { fail } from '../core/errors.ts';
import { formatDims } from '../core/shapes.ts';
import { dtypeInfo } from './dtypes.ts';
import { describeNode, subgraphs } from './edit.ts';
import { MAX_GENERATED_BYTES, MAX_INPUT_BYTES, MAX_LOOP_ROUNDS, MAX_RANK, MAX_VALUE_BYTES } from './limits.ts';
import type { Dim, Graph, Model, Node } from './model.ts';
import { SIZE_RULES, type Size, sizeOfTensor, UNKNOWN } from './size-rules.ts';

/** Sizes of a graph's values by name; a subgraph sees those around it. */
class Scope {
  readonly #own = new Map<string, Size>();
  readonly #outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  get(name: string): Size | undefined {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.#outer) {
      const found = scope.#own.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  set(name: string, size: Size): void {
    this.#own.set(name, size);
  }
}

/**
 * Throws SecateurError naming the input or node whose value is larger than a machine can be expected to hold, and the size.
 * @param bodies of functions, of which only what needs no arguments can be told
 */
export function checkSizes(model: Model, where: string, bodies: readonly (readonly Node[])[] = []): void {
  const { graph } = model;
  for (const { name, dims, dtype } of graph.inputs) {
    if (graph.initializers.has(name)) continue;
    const bytes = lowerBound({ dims: dims?.map(known), dtype, constant: false });
    if (bytes > MAX_INPUT_BYTES) refuse(`${where}: model input "${name}"`, dims ?? [], bytes, MAX_INPUT_BYTES);
  }
  visit(graph, new Scope(), where);
  for (const nodes of bodies) visitNodes(nodes, new Scope(), where);
}

const known = (d: Dim): number | null => (typeof d === 'number' ? d : null);

/** Bytes that a value takes at least. */
function lowerBound({ dims, dtype }: Size): number {
  if (dims === undefined) return 0;
  const info = dtype === undefined ? undefined : dtypeInfo(dtype);
  return dims.reduce<number>((n, d) => n * (d ?? 1), (info?.bits ?? 8) / 8);
}

function refuse(where: string, dims: readonly Dim[], bytes: number, limit: number): never {
  const got = bytes >= 1e15 ? `${formatDims(dims)}, beyond all memory` : `${formatDims(dims)}, ${Math.round(bytes / 1e6)} MB`;
  return fail({ where, what: 'value too large', expected: `at most ${Math.round(limit / 1e6)} MB`, got });
}

/** Beyond the rank of any tensor that can be read, sizes are not followed: they would make this slow. */
const followed = (size: Size): Size => ((size.dims?.length ?? 0) > MAX_RANK ? UNKNOWN : size);

function visit(graph: Graph, scope: Scope, where: string): void {
  for (const { name, dims, dtype } of graph.inputs) scope.set(name, followed({ dims: dims?.map(known), dtype, constant: false }));
  for (const [name, tensor] of graph.initializers) scope.set(name, sizeOfTensor(tensor));
  visitNodes(graph.nodes, scope, where);
}

function visitNodes(nodes: readonly Node[], scope: Scope, where: string): void {
  for (const node of nodes) {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (scope.get(name) ?? UNKNOWN)));
    for (const inner of subgraphs(node)) visit(inner, new Scope(scope), where);
    checkRounds(node, inputs, where);
    const outputs = SIZE_RULES.get(node.opType)?.(node, inputs) ?? [];
    // Random numbers are constants too: ONNX Runtime does not fold them, but nothing in a model's input asks for them.
    const constant = inputs.every((i) => i === undefined || i.constant) && subgraphs(node).length === 0;
    for (const [i, name] of node.outputs.entries()) {
      const found = outputs[i] ?? UNKNOWN;
      const size: Size = { ...followed(found), constant };
      if (name !== '') scope.set(name, size);
      const limit = constant && node.opType !== 'Constant' ? MAX_GENERATED_BYTES : MAX_VALUE_BYTES;
      const bytes = lowerBound(size);
      if (bytes > limit) refuse(`${where}: ${describeNode(node)}`, size.dims ?? [], bytes, limit);
    }
  }
}

/** A Loop whose number of rounds stands in the file and that nothing can end before. */
function checkRounds(node: Node, inputs: readonly (Size | undefined)[], where: string): void {
  if (node.opType !== 'Loop' || inputs[1] !== undefined) return;
  const rounds = inputs[0] === undefined ? Number.POSITIVE_INFINITY : inputs[0].values?.[0];
  if (rounds !== undefined && rounds > MAX_LOOP_ROUNDS) {
    const at = `${where}: ${describeNode(node)}`;
    fail({ where: at, what: 'loop of too many rounds', expected: `at most ${MAX_LOOP_ROUNDS}`, got: String(rounds) });
  }
}
