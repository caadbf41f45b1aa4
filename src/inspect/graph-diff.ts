/** What differs between two graphs beside floating-point weights, as one line for each change. */
import { formatDims } from '../core/shapes.ts';
import { sizeOf, type Tensor } from '../core/tensor.ts';
import { describeNode } from '../onnx/edit.ts';
import type { Attribute, Dim, Graph, Model, Node, ValueInfo } from '../onnx/model.ts';
import { otherFields } from '../onnx/proto.ts';
import type { AlignedNodes } from './align.ts';
import { WEIGHT_TYPES } from './tensor-diff.ts';

export interface GraphChange {
  /**
   * `metadata` (also producer and IR version) and `declaration` (declared shapes of values) do not change what the network computes; all
   * else may.
   */
  readonly kind:
    | 'metadata'
    | 'declaration'
    | 'opset'
    | 'input'
    | 'output'
    | 'node'
    | 'attribute'
    | 'wiring'
    | 'constant'
    | 'order'
    | 'other';
  /** `node added: operator "Mul" (node "conv2/cut")` */
  readonly what: string;
  readonly before?: string;
  readonly after?: string;
}

const LONG = 80;
const short = (text: string): string => (text.length > LONG ? `${text.slice(0, LONG)}...` : text);

/**
 * @param a as read; `before`: the same with Constant nodes as initialisers, likewise b and `after`
 * @param tensors name of a stored tensor before -> its name after
 */
export function graphChanges(
  a: Model,
  b: Model,
  before: Model,
  after: Model,
  nodes: AlignedNodes,
  tensors: ReadonlyMap<string, string>,
): GraphChange[] {
  return [
    ...heads(a, b),
    ...infos('input', before.graph.inputs.filter(isTrue(before)), after.graph.inputs.filter(isTrue(after))),
    ...infos('output', before.graph.outputs, after.graph.outputs),
    ...nodes.removed.map((node): GraphChange => ({ kind: 'node', what: `removed: ${describeNode(node)}` })),
    ...nodes.added.map((node): GraphChange => ({ kind: 'node', what: `added: ${describeNode(node)}` })),
    ...nodes.pairs.flatMap(([x, y]) => attributeChanges(x, y)),
    ...wiring(before, after, nodes, tensors),
    ...constants(before.graph, after.graph),
    ...order(before.graph, after.graph, nodes),
    ...declarations(a.graph, b.graph),
  ];
}

const isTrue = (model: Model) => (info: ValueInfo) => !model.graph.initializers.has(info.name);

function heads(a: Model, b: Model): GraphChange[] {
  const changes: GraphChange[] = [];
  const add = (kind: GraphChange['kind'], what: string, x?: string, y?: string): void => {
    if (x !== y) changes.push({ kind, what, ...(x !== undefined && { before: short(x) }), ...(y !== undefined && { after: short(y) }) });
  };
  add('metadata', 'IR version', String(a.irVersion), String(b.irVersion));
  add('metadata', 'producer', `${a.producerName} ${a.producerVersion}`.trim(), `${b.producerName} ${b.producerVersion}`.trim());
  for (const domain of new Set([...a.opsets.keys(), ...b.opsets.keys()])) {
    add('opset', `opset of ${domain || 'ai.onnx'}`, a.opsets.get(domain)?.toString(), b.opsets.get(domain)?.toString());
  }
  for (const key of new Set([...a.metadata.keys(), ...b.metadata.keys()]))
    add('metadata', `metadata "${key}"`, a.metadata.get(key), b.metadata.get(key));
  const [x, y] = [otherFields(a), otherFields(b)];
  for (const field of new Set([...x.keys(), ...y.keys()])) {
    const computes = !/doc_string|metadata|producer|domain|model_version|quantization/.test(field);
    if (x.get(field) !== y.get(field)) changes.push({ kind: computes ? 'other' : 'metadata', what: `${field} differs` });
  }
  return changes;
}

const typeText = ({ dtype, dims }: ValueInfo): string => `${dtype ?? 'no type'} ${dims === undefined ? '' : formatDims(dims)}`.trim();

function infos(kind: 'input' | 'output', a: readonly ValueInfo[], b: readonly ValueInfo[]): GraphChange[] {
  if (a.length === b.length && a.every((x, i) => x.name === b[i].name)) {
    return a.flatMap((x, i): GraphChange[] => {
      if (typeText(x) === typeText(b[i])) return [];
      // A symbol of another name, or a free batch, is the same network as long as types and fixed sizes are.
      const declared = x.dtype === b[i].dtype && compatible(x.dims, b[i].dims);
      return [{ kind: declared ? 'declaration' : kind, what: `${kind} "${x.name}"`, before: typeText(x), after: typeText(b[i]) }];
    });
  }
  const text = (list: readonly ValueInfo[]): string => list.map((i) => `${i.name} ${typeText(i)}`).join(', ');
  return [{ kind, what: `${kind}s`, before: text(a), after: text(b) }];
}

function compatible(a: readonly Dim[] | undefined, b: readonly Dim[] | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  return a.length === b.length && a.every((d, i) => typeof d !== 'number' || typeof b[i] !== 'number' || d === b[i]);
}

function attributeChanges(a: Node, b: Node): GraphChange[] {
  const changes: GraphChange[] = [];
  for (const name of new Set([...a.attributes.keys(), ...b.attributes.keys()])) {
    const [x, y] = [a.attributes.get(name), b.attributes.get(name)];
    if (x?.type === y?.type && sameValue(x?.value, y?.value)) continue;
    const what = `${describeNode(a)}: attribute "${name}"`;
    changes.push({ kind: 'attribute', what, before: attributeText(x), after: attributeText(y) });
  }
  if (a.domain === b.domain && a.opType === b.opType) return changes;
  return [...changes, { kind: 'node', what: `${describeNode(a)} is another operator`, after: describeNode(b) }];
}

function attributeText(a: Attribute | undefined): string {
  if (a === undefined) return 'not there';
  if (a.type === 'tensor') return `tensor ${a.value.dtype} ${formatDims(a.value.dims)}`;
  if (a.type === 'graph' || a.type === 'graphs' || a.type === 'opaque' || a.type === 'bytes') return `a ${a.type}`;
  return short(String(a.value));
}

/** Whether two attribute values are the same, graphs and tensors inside of them too; what a message was read from does not count. */
function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
    const [x, y] = [a as unknown as ArrayLike<unknown>, b as unknown as ArrayLike<unknown>];
    return x.length === y.length && Array.prototype.every.call(x, (v, i) => Object.is(v, y[i]));
  }
  if (a instanceof Map && b instanceof Map) return sameValue([...a], [...b]);
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = new Set([...Object.keys(x), ...Object.keys(y)]);
  keys.delete('source');
  return [...keys].every((key) => sameValue(x[key], y[key]));
}

/** Nodes that read another value than before, by the names that values of the first file have in the second. */
function wiring(before: Model, after: Model, nodes: AlignedNodes, tensors: ReadonlyMap<string, string>): GraphChange[] {
  const now = new Map<string, string>([['', ''], ...tensors]);
  const pair = (x: readonly string[], y: readonly string[]): void => {
    for (const [i, name] of x.entries()) if (!now.has(name)) now.set(name, y[i] ?? '');
  };
  const [inA, inB] = [before, after].map((m) => m.graph.inputs.filter(isTrue(m)).map((i) => i.name));
  pair(inA, inB);
  for (const [x, y] of nodes.pairs) pair(x.outputs, y.outputs);
  for (const name of before.graph.initializers.keys()) if (!now.has(name) && after.graph.initializers.has(name)) now.set(name, name);
  const stored = (graph: Graph, name: string): Tensor | undefined => graph.initializers.get(name);
  const changes: GraphChange[] = [];
  for (const [x, y] of nodes.pairs) {
    const count = Math.max(x.inputs.length, y.inputs.length);
    for (let i = 0; i < count; i++) {
      const [from, to] = [x.inputs[i] ?? '', y.inputs[i] ?? ''];
      if ((now.get(from) ?? from) === to) continue;
      // Small constants are compared by value: exporters number them anew each time.
      const [s, t] = [stored(before.graph, from), stored(after.graph, to)];
      if (s !== undefined && t !== undefined && sameValue(s.data, t.data) && formatDims(s.dims) === formatDims(t.dims)) continue;
      changes.push({
        kind: 'wiring',
        what: `${describeNode(x)} reads another value (input ${i})`,
        before: from || 'none',
        after: to || 'none',
      });
    }
  }
  const [outA, outB] = [before, after].map((m) => m.graph.outputs.map((o) => o.name));
  outA.forEach((name, i) => {
    if (outB[i] !== undefined && now.get(name) !== undefined && now.get(name) !== outB[i]) {
      changes.push({ kind: 'wiring', what: `output ${i} is another value`, before: name, after: outB[i] });
    }
  });
  return changes;
}

/** Stored tensors that are no weights: shapes, axes, indices, floats of 8 bits and fewer. */
function constants(a: Graph, b: Graph): GraphChange[] {
  return [...a.initializers].flatMap(([name, x]): GraphChange[] => {
    const y = b.initializers.get(name);
    if (y === undefined || WEIGHT_TYPES.has(x.dtype) || (x.dtype === y.dtype && sameValue(x.dims, y.dims) && sameValue(x.data, y.data)))
      return [];
    return [{ kind: 'constant', what: `constant "${name}"`, before: valuesText(x), after: valuesText(y) }];
  });
}

const valuesText = (t: Tensor): string => `${t.dtype} ${sizeOf(t.dims) <= 12 ? `[${[...t.data].join(',')}]` : formatDims(t.dims)}`;

function order(before: Graph, after: Graph, { pairs, by }: AlignedNodes): GraphChange[] {
  if (by === 'order') return [];
  const [from, to] = [before, after].map((graph) => new Map(graph.nodes.map((node, i) => [node, i])));
  const places = [...pairs].sort(([x], [y]) => from.get(x)! - from.get(y)!).map(([, y]) => to.get(y)!);
  const earlier = places.filter((place, i) => i > 0 && place < places[i - 1]).length;
  return earlier === 0
    ? []
    : [{ kind: 'order', what: `nodes stand in another order in the file (${earlier} before the one they followed)` }];
}

function declarations(a: Graph, b: Graph): GraphChange[] {
  const known = new Map(b.valueInfo.map((i) => [i.name, typeText(i)]));
  const other = a.valueInfo.filter((i) => known.has(i.name) && known.get(i.name) !== typeText(i)).length;
  const [gone, come] = [
    a.valueInfo.filter((i) => !known.has(i.name)).length,
    b.valueInfo.length - a.valueInfo.filter((i) => known.has(i.name)).length,
  ];
  if (other + gone + come === 0) return [];
  return [{ kind: 'declaration', what: `declared shapes of values: ${other} differ, ${gone} gone, ${come} new` }];
}
