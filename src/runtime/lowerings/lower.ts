/**
 * Puts a lowering in the place of every operator of `secateur.grad`, and of forward convolutions where a faster form was chosen.
 * What comes out holds operators only that ONNX Runtime has.
 */
import { fail } from '../../core/errors.ts';
import { GraphBuilder } from '../../onnx/builder.ts';
import { attrInt, attrInts, attrString, cloneModel, describeNode, producers, topologicalOrder } from '../../onnx/edit.ts';
import type { Model, Node } from '../../onnx/model.ts';
import type { ValueTypes } from '../../onnx/value-types.ts';
import { type Candidate, type EmitContext, type Geometry, GRAD_DOMAIN, geometryOf, type Machine, PLAIN_MACHINE } from './candidate.ts';
import { convGradInput } from './conv-grad-input.ts';
import { convGradWeight } from './conv-grad-weight.ts';
import { nchwcForward, nchwcGroups } from './nchwc.ts';
import { averagePoolGrad, maxPoolGrad } from './pool-grad.ts';
import { reluGrad } from './relu-grad.ts';

const elementwise = (dims: readonly number[]): Geometry => {
  return { kernel: [], strides: [], dilations: [], padsBegin: [], padsEnd: [], group: 1, input: dims, output: dims, rank: 0 };
};

/** The node as it is. */
export const asIs: Candidate = { name: 'as-is', applies: () => true, emit: () => '' };

/** Every operator that has lowerings; the first that applies is the one taken where nobody chose. */
export const LOWERINGS: Readonly<Record<string, readonly Candidate[]>> = {
  ConvGradInput: convGradInput,
  ConvGradWeight: convGradWeight,
  AveragePoolGrad: averagePoolGrad,
  MaxPoolGrad: maxPoolGrad,
  ReluGrad: reluGrad,
};
export const FORWARD_CONV: readonly Candidate[] = [asIs, nchwcForward, nchwcGroups];

/** One operator of a graph that can be written in several ways. */
export interface Site {
  readonly node: Node;
  readonly geometry: Geometry;
  /** Those that apply here. */
  readonly candidates: readonly Candidate[];
  /** Same key, same choice: operator, all sizes, and the forms there are to choose from. */
  readonly key: string;
}

export type Choose = (site: Site) => Candidate;
export const firstThatApplies: Choose = (site) => site.candidates[0];

/** All sites of a model. Forward convolutions need `types`, and count only where their weight is not an initialiser. */
export function sites(model: Model, machine: Machine = PLAIN_MACHINE, types?: ValueTypes): Site[] {
  return model.graph.nodes.flatMap((node): Site[] => {
    if (node.domain === GRAD_DOMAIN) {
      const all = LOWERINGS[node.opType];
      if (all === undefined) fail({ where: 'runtime', what: `no lowering for ${describeNode(node)}` });
      const geometry = node.opType === 'ReluGrad' ? elementwise(types?.get(node.inputs[1])?.dims ?? []) : geometryOf(node);
      return [site(node, geometry, all, machine)];
    }
    const geometry = types === undefined || machine.nchwcBlock === 0 ? undefined : forwardGeometry(model, node, types);
    return geometry === undefined ? [] : [site(node, geometry, FORWARD_CONV, machine)];
  });
}

function site(node: Node, geometry: Geometry, all: readonly Candidate[], machine: Machine): Site {
  const candidates = all.filter((candidate) => candidate.applies(geometry, machine));
  const { kernel, strides, dilations, padsBegin, padsEnd, group, input, output } = geometry;
  const sizes = [input, output, kernel, strides, dilations, padsBegin, padsEnd, [group]].map((v) => v.join('x')).join(' ');
  return { node, geometry, candidates, key: `${node.opType} ${sizes} of ${candidates.map((c) => c.name).join(', ')}` };
}

function forwardGeometry(model: Model, node: Node, types: ValueTypes): Geometry | undefined {
  if (node.opType !== 'Conv' || node.domain !== '' || model.graph.initializers.has(node.inputs[1])) return undefined;
  const [x, w, y] = [types.get(node.inputs[0]), types.get(node.inputs[1]), types.get(node.outputs[0])];
  if (x === undefined || w === undefined || y === undefined || w.dtype !== 'float32') return undefined;
  if (attrString(node, 'auto_pad', 'NOTSET') !== 'NOTSET') return undefined;
  const rank = w.dims.length - 2;
  const ones = new Array<number>(rank).fill(1);
  const pads = attrInts(node, 'pads', new Array<number>(2 * rank).fill(0));
  return {
    kernel: w.dims.slice(2),
    strides: attrInts(node, 'strides', ones),
    dilations: attrInts(node, 'dilations', ones),
    padsBegin: pads.slice(0, rank),
    padsEnd: pads.slice(rank),
    group: attrInt(node, 'group', 1),
    input: x.dims,
    output: y.dims,
    rank,
  };
}

export interface LowerOptions {
  readonly choose?: Choose;
  readonly machine?: Machine;
  readonly types?: ValueTypes;
}

/** @throws SecateurError for an operator of `secateur.grad` that has no lowering */
export function lower(model: Model, options: LowerOptions = {}): Model {
  const machine = options.machine ?? PLAIN_MACHINE;
  const choose = options.choose ?? firstThatApplies;
  const chosen = new Map<string, { candidate: Candidate; geometry: Geometry }>();
  for (const s of sites(model, machine, options.types)) {
    const candidate = choose(s);
    if (candidate !== asIs) chosen.set(s.node.outputs[0], { candidate, geometry: s.geometry });
  }

  const copy = cloneModel(model);
  const { graph } = copy;
  const made = producers(graph);
  // Before the builder takes stock of the names: a MaxPool with a gradient also tells where its maxima were.
  for (const node of graph.nodes) {
    const pool = chosen.has(node.outputs[0]) && node.opType === 'MaxPoolGrad' ? made.get(node.inputs[1]) : undefined;
    if (pool !== undefined && !pool.outputs[1]) pool.outputs = [pool.outputs[0], `${pool.outputs[0]}/indices`];
  }
  const lowered = new GraphBuilder({}, copy);
  const replacement = new Map<string, string>();
  for (const node of [...graph.nodes]) {
    const choice = chosen.get(node.outputs[0]);
    if (choice === undefined) continue;
    const base = node.name || node.outputs[0];
    const context: EmitContext = {
      b: lowered,
      node,
      machine,
      producer: (value) => made.get(value),
      op: (opType, inputs, attributes, domain) =>
        lowered.op(opType, inputs, attributes, { name: `${base}/${opType.toLowerCase()}`, ...(domain === undefined ? {} : { domain }) }),
    };
    replacement.set(node.outputs[0], choice.candidate.emit(context, choice.geometry));
  }
  graph.nodes = graph.nodes.filter((node) => !replacement.has(node.outputs[0]));
  // The value keeps its name, so that types, outputs and readers need not know.
  const original = new Map([...replacement].map(([from, to]) => [to, from]));
  const rename = (name: string): string => original.get(name) ?? name;
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map(rename);
    node.outputs = node.outputs.map(rename);
  }
  graph.nodes = topologicalOrder(graph);
  return lowered.build();
}
