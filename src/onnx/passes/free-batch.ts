/**
 * Frees the batch of a network that was exported for a fixed number of images, mostly one: its declared shapes, the targets of Reshape and
 * Expand, the sizes of Resize, and constants that are joined to the batch. Whether the result is the same network is for the caller to try
 * (`runtime/working-model.ts` does): this file follows the batch by the sizes of one run, which cannot tell every 1 from every other.
 *
 * What is followed is where the batch stands in a value: an axis, and the number of elements that stand before it inside of that axis (1 where
 * nothing is merged in front of it). In row-major order the batch keeps its place through any Reshape, and that is all that is needed.
 */
import { i64, type Tensor } from '../../core/tensor.ts';
import { attrInt, cloneModel, consumers } from '../edit.ts';
import type { Dim, Model, Node, ValueInfo } from '../model.ts';
import { trueInputs } from '../spec.ts';
import type { ValueTypes } from '../value-types.ts';
import { type Place, placeAfter } from './batch-place.ts';
import { type Reversible, sameTensor } from './reversible.ts';

/** The name of the free dimension, and in front of what is put into the graph. */
const SYMBOL = 'batch';
const PREFIX = 'free-batch/';

export interface FreedBatch extends Reversible {
  /** The batch it was exported for. */
  readonly was: number;
}

/** A target shape that the graph computes, from parts that are constant: a constant of ours stands in its place. */
interface ComputedTarget {
  readonly output: string;
  readonly input: number;
  readonly ours: string;
}

interface ConstantEdit {
  readonly name: string;
  /** Initialiser that holds the edited copy, where others read the constant too. */
  readonly copy: string | undefined;
  readonly before: Tensor;
  readonly after: Tensor;
  readonly readers: { readonly output: string; readonly input: number }[];
}

/** The batch that is written into the file: of the only input, where it has more than one axis. */
export function fixedBatch(model: Model): number | undefined {
  const inputs = trueInputs(model);
  const dims = inputs.length === 1 ? inputs[0].dims : undefined;
  return dims !== undefined && dims.length > 1 && typeof dims[0] === 'number' && dims[0] > 0 ? dims[0] : undefined;
}

/**
 * Whether a network that declares a free batch may have a fixed one inside: a value that is no weight is reshaped to [1,...]. Exporters leave
 * that where a program was traced with one image.
 */
export function mayBeFixedInside(model: Model): boolean {
  const { graph } = model;
  const inputs = trueInputs(model);
  if (inputs.length !== 1 || (inputs[0].dims?.length ?? 0) < 2 || fixedBatch(model) !== undefined) return false;
  return graph.nodes.some((node) => {
    const target =
      node.opType === 'Reshape' && !graph.initializers.has(node.inputs[0]) ? graph.initializers.get(node.inputs[1]) : undefined;
    return target !== undefined && target.data.length > 1 && Number(target.data[0]) === 1;
  });
}

/**
 * The network with a free batch, or why it has none. Weights must be initialisers.
 * @param types of all values when `was` images go in, as `probe` finds them
 */
export function freeBatch(model: Model, types: ValueTypes, was: number): FreedBatch | string {
  const input = trueInputs(model)[0];
  const places = new Map<string, Place>([[input.name, { axis: 0, before: 1 }]]);
  const free = cloneModel(model);
  const edits = new Edits(free, types, was);
  for (const node of free.graph.nodes) {
    const why = followNode(node, places, types, edits, was);
    if (why !== undefined) return why;
  }
  const apart = (name: string): boolean => {
    const place = places.get(name);
    return place?.axis === 0 && place.before === 1 && types.get(name)?.dims[0] === was;
  };
  const output = model.graph.outputs.find((o) => !apart(o.name));
  if (output !== undefined) return `output "${output.name}" does not keep the images apart`;
  edits.commit();
  freeDims(free, places, types, was);
  return { model: free, was, undo: (later) => takeBack(later, model, free, edits) };
}

/** Where the batch is in what a node makes; edits what holds it fixed. */
function followNode(node: Node, places: Map<string, Place>, types: ValueTypes, edits: Edits, was: number): string | undefined {
  const label = `"${node.name || node.outputs[0]}" (${node.opType})`;
  if (node.opType === 'Shape' || node.opType === 'Size') return undefined;
  const carrier = node.inputs.findIndex((name) => places.has(name));
  if (carrier < 0) return undefined;
  const from = places.get(node.inputs[carrier])!;
  const dims = types.get(node.inputs[carrier])?.dims;
  if (dims === undefined) return `the shape of "${node.inputs[carrier]}" is not known`;
  for (const name of node.outputs) {
    const to = types.get(name)?.dims;
    if (name === '' || to === undefined) continue;
    const place = placeAfter(node, carrier, from, dims, to, types, was);
    if (place === undefined) return `node ${label} mixes the images`;
    places.set(name, place);
    if (name !== node.outputs[0]) continue;
    if (node.opType === 'Reshape' && carrier === 0) edits.reshape(node, from, place, to);
    if (node.opType === 'Expand' && carrier === 0) edits.expand(node, place);
    if (node.opType === 'Resize' && carrier === 0 && place.axis === 0) edits.resize(node);
    if (node.opType === 'Concat') edits.concat(node, place, places, to.length);
  }
  return undefined;
}

/** Changes of constants and of the nodes that read them. */
class Edits {
  readonly constants: ConstantEdit[] = [];
  readonly computed: ComputedTarget[] = [];
  readonly #model: Model;
  readonly #types: ValueTypes;
  readonly #was: number;
  /** Nodes to be put in front of a node. */
  readonly #added = new Map<Node, Node[]>();
  #count = 0;

  constructor(model: Model, types: ValueTypes, was: number) {
    this.#model = model;
    this.#types = types;
    this.#was = was;
  }

  /** The target's entry of the batch becomes 0 (as it is in the input) or -1 (what is left over). */
  reshape(node: Node, from: Place, to: Place, dims: readonly number[]): void {
    const target = this.#constant(node.inputs[1]);
    if (target === undefined) {
      this.#computedTarget(node, to, dims);
      return;
    }
    const old = Array.from(target.data as BigInt64Array, Number);
    const copies = attrInt(node, 'allowzero', 0) === 0;
    const alone = from.axis === to.axis && from.before === 1 && to.before === 1 && dims[to.axis] === this.#was;
    const sameIn = this.#types.get(node.inputs[0])!.dims[from.axis] === this.#was;
    const at = old[to.axis];
    if (at === -1 || (at === 0 && copies && alone && sameIn)) return;
    const next = [...old];
    if (copies && alone && sameIn) next[to.axis] = 0;
    else {
      for (const [i, d] of old.entries()) if (d === -1 || (d === 0 && copies && i === from.axis)) next[i] = dims[i];
      next[to.axis] = -1;
    }
    this.#replace(node, 1, target, i64(next));
  }

  /** A computed target may hold the batch as a constant among its parts; all its sizes are known, so it need not be computed. */
  #computedTarget(node: Node, to: Place, dims: readonly number[]): void {
    if (node.inputs[1] === undefined || this.#types.get(node.inputs[1])?.constant === undefined) return;
    const ours = this.#ints(dims.map((d, i) => (i === to.axis ? -1 : d)));
    this.computed.push({ output: node.outputs[0], input: 1, ours });
    node.inputs[1] = ours;
  }

  /** 1 leaves the size of the input as it is. */
  expand(node: Node, to: Place): void {
    const target = this.#constant(node.inputs[1]);
    if (target === undefined) return;
    const next = Array.from(target.data as BigInt64Array, Number);
    const axis = to.axis - (this.#types.get(node.outputs[0])!.dims.length - next.length);
    if (axis < 0 || next[axis] === 1) return;
    next[axis] = 1;
    this.#replace(node, 1, target, i64(next));
  }

  /** Sizes [1,C,H,W] cannot say "as it is": they are put together from the input's own first size. */
  resize(node: Node): void {
    const sizes = this.#constant(node.inputs[3] ?? '');
    if (sizes === undefined || sizes.data.length < 2) return;
    node.inputs[3] = this.#shapeLike(node, node.inputs[0], 0, Array.from(sizes.data as BigInt64Array, Number));
  }

  /** A constant that stands beside each image, such as a class token, is repeated for as many as there are. */
  concat(node: Node, to: Place, places: ReadonlyMap<string, Place>, rank: number): void {
    const axis = attrInt(node, 'axis', 1);
    if ((axis + rank) % rank === to.axis || to.before !== 1) return;
    const carrier = node.inputs.find((name) => places.has(name))!;
    node.inputs.forEach((name, i) => {
      const dims = this.#types.get(name)?.dims;
      // With a batch of more than one the rows of such a constant may differ: trying the result tells.
      if (places.has(name) || dims?.[to.axis] !== 1 || this.#was !== 1) return;
      node.inputs[i] = this.#put(node, 'Expand', [name, this.#shapeLike(node, carrier, to.axis, [...dims])]);
    });
  }

  /** A shape that is `dims` but for `axis`, where it is the size of `value`. */
  #shapeLike(before: Node, value: string, axis: number, dims: readonly number[]): string {
    const shape = this.#put(before, 'Shape', [value]);
    const size = this.#put(before, 'Gather', [shape, this.#ints([axis])]);
    const parts = [dims.slice(0, axis), dims.slice(axis + 1)].map((list) => (list.length === 0 ? undefined : this.#ints(list)));
    const inputs = [parts[0], size, parts[1]].filter((name) => name !== undefined);
    return this.#put(before, 'Concat', inputs, 0);
  }

  #put(before: Node, opType: string, inputs: string[], axis?: number): string {
    const name = `${PREFIX}${opType.toLowerCase()}${this.#count++}`;
    const attributes: Node['attributes'] = new Map(axis === undefined ? [] : [['axis', { type: 'int', value: axis }]]);
    const list = this.#added.get(before) ?? [];
    this.#added.set(before, [...list, { name, opType, domain: '', inputs, outputs: [name], attributes }]);
    return name;
  }

  #ints(values: readonly number[]): string {
    const name = `${PREFIX}ints${this.#count++}`;
    this.#model.graph.initializers.set(name, i64(values));
    return name;
  }

  #constant(name: string): Tensor | undefined {
    const tensor = this.#model.graph.initializers.get(name);
    return tensor?.dtype === 'int64' ? tensor : undefined;
  }

  #replace(node: Node, input: number, before: Tensor, after: Tensor): void {
    const name = node.inputs[input];
    const reader = { output: node.outputs[0], input };
    const same = this.constants.find((edit) => edit.name === name && sameTensor(edit.after, after));
    if (same) same.readers.push(reader);
    else this.constants.push({ name, copy: undefined, before, after, readers: [reader] });
  }

  /** Writes the constants: in place where all readers want the same, else a copy for those that do. */
  commit(): void {
    const { graph } = this.#model;
    const uses = consumers(graph);
    const outputs = new Set(graph.outputs.map((o) => o.name));
    const makers = new Map(graph.nodes.map((node) => [node.outputs[0], node]));
    for (const [i, edit] of this.constants.entries()) {
      const wanted = new Set(edit.readers.map((r) => r.output));
      const readers = uses.get(edit.name) ?? [];
      if (!outputs.has(edit.name) && readers.every((node) => wanted.has(node.outputs[0]))) {
        graph.initializers.set(edit.name, edit.after);
        continue;
      }
      const copy = `${PREFIX}copy${this.#count++}`;
      this.constants[i] = { ...edit, copy };
      graph.initializers.set(copy, edit.after);
      for (const { output, input } of edit.readers) makers.get(output)!.inputs[input] = copy;
    }
    graph.nodes = graph.nodes.flatMap((node) => [...(this.#added.get(node) ?? []), node]);
    if (this.#added.size > 0) this.#model.irVersion = Math.max(this.#model.irVersion, 4);
  }
}

/** Declares the batch free wherever a shape stands. */
function freeDims(model: Model, places: ReadonlyMap<string, Place>, types: ValueTypes, was: number): void {
  const { inputs, outputs, valueInfo } = model.graph;
  for (const info of [...inputs, ...outputs, ...valueInfo]) {
    const place = places.get(info.name);
    if (place === undefined || info.dims === undefined || typeof info.dims[place.axis] !== 'number') continue;
    const alone = place.before === 1 && types.get(info.name)?.dims[place.axis] === was;
    info.dims[place.axis] = alone ? SYMBOL : null;
  }
}

/** The original's declarations and constants, wherever a later model still has what was put in their place. */
function takeBack(later: Model, original: Model, free: Model, { constants, computed }: Edits): void {
  const { graph } = later;
  for (const kind of ['inputs', 'outputs', 'valueInfo'] as const) dimsBack(graph[kind], original.graph[kind], free.graph[kind]);
  const makers = new Map(graph.nodes.map((node) => [node.outputs[0], node]));
  for (const edit of constants) {
    const holder = edit.copy ?? edit.name;
    const now = graph.initializers.get(holder);
    if (now !== undefined) graph.initializers.set(edit.name, valuesBack(now, edit));
    if (edit.copy === undefined) continue;
    graph.initializers.delete(edit.copy);
    for (const { output, input } of edit.readers) {
      const node = makers.get(output);
      if (node?.inputs[input] === edit.copy) node.inputs[input] = edit.name;
    }
  }
  for (const { output, input, ours } of computed) {
    const now = graph.initializers.get(ours);
    const node = makers.get(output);
    if (now === undefined || node?.inputs[input] !== ours || now === free.graph.initializers.get(ours)) continue;
    // A defence made the shape smaller, which what computes it knows nothing of.
    const name = `${output}/shape`;
    graph.initializers.set(name, now);
    node.inputs[input] = name;
  }
  const before = new Map(original.graph.nodes.map((node) => [node.outputs[0], node]));
  graph.nodes = graph.nodes.filter((node) => !node.outputs[0].startsWith(PREFIX));
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map((name, i) => (name.startsWith(PREFIX) ? (before.get(node.outputs[0])?.inputs[i] ?? name) : name));
  }
  for (const name of [...graph.initializers.keys()]) if (name.startsWith(PREFIX)) graph.initializers.delete(name);
  later.irVersion = original.irVersion;
}

function dimsBack(later: ValueInfo[], original: readonly ValueInfo[], free: readonly ValueInfo[]): void {
  const was = new Map(original.map((info) => [info.name, info.dims]));
  const freed = new Map(free.map((info) => [info.name, info.dims]));
  for (const info of later) {
    const old = was.get(info.name);
    const changed = freed.get(info.name);
    if (info.dims === undefined || old === undefined || changed === undefined || info.dims.length !== old.length) continue;
    info.dims = info.dims.map((d, i): Dim => (changed[i] !== old[i] && d === changed[i] ? old[i] : d));
  }
}

/** A target shape that a defence may have made smaller: what was edited goes back, the rest stays. */
function valuesBack(now: Tensor, { before, after }: ConstantEdit): Tensor {
  if (now === after || now.data.length !== after.data.length) return now === after ? before : now;
  const data = BigInt64Array.from(now.data as BigInt64Array, (v, i) => (v === after.data[i] ? (before.data[i] as bigint) : v));
  return i64(data, now.dims);
}
