/** What following channels through a graph asks again and again, found once. */
import { plainLayout } from './channel-layout.ts';
import { channelStep } from './channelwise.ts';
import { consumers, producers, topologicalOrder, usedValues } from './edit.ts';
import type { Graph, Model, Node } from './model.ts';
import { StoredTensors } from './stored.ts';
import type { ValueTypes } from './value-types.ts';

/** Operators whose result depends on the shape of their input alone. */
const SHAPE_ONLY = new Set(['Shape', 'Size']);
/** Whether a node looks at the shape of what it reads and not at the numbers. */
export const isShapeOnly = (node: Node): boolean => SHAPE_ONLY.has(node.opType);

/** Larger ones are weights, and nobody asks for their numbers. */
const MAX_CONSTANT = 65_536;
const LAYERS = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

export class ChannelGraph {
  readonly graph: Graph;
  readonly types: ValueTypes;
  readonly stored: StoredTensors;
  /** Nodes in computing order. */
  readonly order: readonly Node[];
  /** Value -> the nodes that read its numbers; Shape and Size do not. */
  readonly uses: ReadonlyMap<string, Node[]>;
  readonly made: ReadonlyMap<string, Node>;
  readonly outputs: ReadonlySet<string>;
  readonly #dynamic = new Set<string>();
  readonly #measured: ReadonlyMap<string, Node[]>;
  #axes: Map<string, number> | undefined;

  constructor(model: Model, types: ValueTypes) {
    const { graph } = model;
    this.graph = graph;
    this.types = types;
    this.stored = new StoredTensors(graph);
    this.order = topologicalOrder(graph);
    this.uses = consumers({ ...graph, nodes: graph.nodes.filter((node) => !isShapeOnly(node)) });
    this.#measured = new Map([...consumers(graph)].map(([value, nodes]) => [value, nodes.filter(isShapeOnly)]));
    this.made = producers(graph);
    this.outputs = new Set(graph.outputs.map((o) => o.name));
    for (const { name } of graph.inputs) if (!graph.initializers.has(name)) this.#dynamic.add(name);
    for (const node of this.order) {
      if (isShapeOnly(node) || !usedValues(node).some((name) => this.#dynamic.has(name))) continue;
      for (const out of node.outputs) this.#dynamic.add(out);
    }
  }

  /** Whether a value depends on the images, other than by their number. */
  isDynamic(value: string): boolean {
    return this.#dynamic.has(value);
  }

  dims(value: string): readonly number[] | undefined {
    return this.types.get(value)?.dims;
  }

  /** Nodes that read the numbers of a value. */
  readersOf(value: string): readonly Node[] {
    return this.uses.get(value) ?? [];
  }

  /** Whether something is computed from the shape of a value, other than from the number of images. */
  isMeasured(value: string): boolean {
    const byImages = (node: Node): boolean => node.opType === 'Gather' && this.constant(node.inputs[1])?.every((i) => i === 0) === true;
    return (this.#measured.get(value) ?? []).some((node) => !this.readersOf(node.outputs[0]).every(byImages));
  }

  /** The numbers of a small value that the file holds, or that the probe found to be constant. */
  constant(value: string): number[] | undefined {
    const tensor = this.stored.get(value)?.tensor ?? this.types.get(value)?.constant;
    if (tensor === undefined || tensor.data.length > MAX_CONSTANT || typeof tensor.data[0] === 'string') return undefined;
    return Array.from(tensor.data as ArrayLike<number>, Number);
  }

  /** A layer with weights: an operator that mixes channels by numbers that are the same for all images. */
  isLayer(node: Node): boolean {
    const standard = node.domain === '' || node.domain === 'ai.onnx';
    return LAYERS.has(node.opType) && standard && !this.isDynamic(node.inputs[1] ?? '');
  }

  /** The axis that counts channels in a value, as the layers before it make it; undefined where none does, or channels are mid-shuffle. */
  axisOf(value: string): number | undefined {
    this.#axes ??= this.#findAxes();
    return this.#axes.get(value);
  }

  #findAxes(): Map<string, number> {
    const axes = new Map<string, number>();
    // Inside a shuffle several axes count together: kept aside, as only a single one is of use.
    const known = new Map<string, ReturnType<typeof plainLayout>>();
    for (const node of this.order) {
      const output = node.outputs[0];
      const dims = this.dims(output);
      if (this.isLayer(node) && dims !== undefined) {
        const axis = node.opType === 'MatMul' ? dims.length - 1 : 1;
        known.set(output, plainLayout(axis, dims[axis]));
        continue;
      }
      for (const [input, name] of node.inputs.entries()) {
        const layout = known.get(name);
        if (layout === undefined) continue;
        const { role, out } = channelStep(this, node, input, layout);
        if (role.kind === 'linear' || role.kind === 'other') continue;
        for (const [i, at] of out.entries()) {
          if (at === undefined || known.has(node.outputs[i])) continue;
          known.set(node.outputs[i], at.span === 1 ? plainLayout(at.axis, at.map.length) : at);
        }
      }
    }
    for (const [value, { axis, span }] of known) if (span === 1) axes.set(value, axis);
    return axes;
  }
}
