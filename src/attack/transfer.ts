/**
 * What becomes of a network in other hands: a new last layer for other classes, and the layers from which on they are trained anew (BadNets,
 * section 5.3: the user of a downloaded network keeps its convolutions and retrains the fully connected layers).
 */
import { fail } from '../core/errors.ts';
import { Rng } from '../core/rng.ts';
import { f32 } from '../core/tensor.ts';
import { labelOf } from '../grad/freeze.ts';
import { layersOf } from '../grad/parameters.ts';
import { outputAxis } from '../onnx/cut-chain.ts';
import { allNames, cloneModel, producers, removeDead } from '../onnx/edit.ts';
import type { Dim, Graph, Model, Node } from '../onnx/model.ts';
import { constantsToInitializers } from '../onnx/passes/constants-to-initializers.ts';
import { readSpec, type SpecOverrides, writeSpec } from '../onnx/spec.ts';
import { StoredTensors } from '../onnx/stored.ts';
import { glorotUniform } from '../train/networks/layers.ts';

export interface Retargeted {
  readonly model: Model;
  /** The layer that is new, as a user names it. */
  readonly head: string;
}

/**
 * A copy of `model` for other classes: its last fully connected layer is replaced by one with `labels.length` outputs (at least 2), first weights
 * by `seed` (Glorot and Bengio 2010, eq. 16), biases 0. All other weights stay.
 * Throws SecateurError where the logits do not come from a fully connected layer with stored weights.
 */
export function retarget(model: Model, labels: readonly string[], seed: number, overrides: SpecOverrides = {}): Retargeted {
  if (labels.length < 2) fail({ where: 'new last layer', what: 'too few classes', expected: 'at least 2', got: String(labels.length) });
  const spec = readSpec(model, overrides);
  const out = cloneModel(model);
  constantsToInitializers.run(out);
  const { graph } = out;
  const { node, weight, bias } = lastLayer(graph, spec.logits);
  const last = new StoredTensors(graph);
  const old = last.get(node.inputs[weight])!;
  const to = outputAxis(node, 2);
  const from = old.dims[1 - to];
  const drawn = glorotUniform(Rng.from(seed, 'new last layer'), from * labels.length, from, labels.length);
  // Of the order that the file has it in: what is drawn is a matrix of weights without one.
  const dims = to === 0 ? [labels.length, from] : [from, labels.length];
  node.inputs[weight] = place(graph, node.inputs[weight], f32(drawn, dims));
  if (bias !== undefined)
    bias.node.inputs[bias.at] = place(graph, bias.node.inputs[bias.at], f32(new Float32Array(labels.length), [labels.length]));
  resize(graph, spec.logits, labels.length);
  removeDead(graph);
  return { model: writeSpec(out, { ...spec, labels: [...labels] }), head: labelOf(node) };
}

/**
 * The first fully connected layer behind the last convolution, as a user names it: what is trained anew where the convolutions are kept. In a
 * network without convolutions, or with one at its end, the last layer of all.
 * Throws SecateurError for a model without layers.
 */
export function fullyConnectedFrom(model: Model): string {
  const stored = cloneModel(model);
  constantsToInitializers.run(stored);
  const layers = layersOf(stored.graph).map((l) => l.node);
  const last = layers.findLastIndex((node) => node.opType === 'Conv' || node.opType === 'ConvTranspose');
  const found =
    (last < 0 ? undefined : layers.slice(last + 1).find((node) => node.opType === 'Gemm' || node.opType === 'MatMul')) ?? layers.at(-1);
  return found === undefined ? fail({ where: 'model', what: 'has no layers with weights' }) : labelOf(found);
}

interface LastLayer {
  readonly node: Node;
  /** Which of its inputs the weight is. */
  readonly weight: number;
  /** The node that adds the bias, and which of its inputs that is. */
  readonly bias?: { readonly node: Node; readonly at: number };
}

/** The Gemm, MatMul, or MatMul and Add that make the logits. */
function lastLayer(graph: Graph, logits: string): LastLayer {
  const made = producers(graph);
  const stored = new StoredTensors(graph);
  const no = (got: string): never =>
    fail({
      where: 'new last layer',
      what: 'the network has no last layer that can be replaced',
      expected: 'a fully connected layer with stored weights (Gemm, or MatMul with or without Add) that makes the logits',
      got,
    });
  const known = (node: Node): LastLayer => {
    const held = stored.get(node.inputs[1]);
    return held?.dims.length === 2 ? { node, weight: 1 } : no(`${node.opType} with weights that are computed`);
  };
  const node = made.get(logits);
  if (node === undefined) return no(`"${logits}" is made by no node`);
  if (node.opType === 'Gemm') {
    const layer = known(node);
    return node.inputs.length > 2 && node.inputs[2] !== '' ? { ...layer, bias: { node, at: 2 } } : layer;
  }
  if (node.opType === 'MatMul') return known(node);
  const at = node.opType === 'Add' ? node.inputs.findIndex((name) => stored.get(name) !== undefined) : -1;
  const before = at < 0 ? undefined : made.get(node.inputs[1 - at]);
  if (before?.opType !== 'MatMul') return no(node.opType);
  return { ...known(before), bias: { node, at } };
}

/** Stores a tensor under the name it replaces, or another where somebody else reads that. */
function place(graph: Graph, name: string, tensor: ReturnType<typeof f32>): string {
  const stored = new StoredTensors(graph);
  const own = graph.initializers.has(name) && stored.uses(name) === 1;
  let free = own ? name : `${name}/new`;
  const taken = allNames(graph);
  while (!own && taken.has(free)) free += '_';
  graph.initializers.set(free, tensor);
  // Files of IR version 3 declare initialisers as inputs, with their shape.
  for (const info of graph.inputs) if (info.name === free) info.dims = [...tensor.dims];
  return free;
}

/** The new number of classes in what the graph declares of the logits and of a softmax behind them. */
function resize(graph: Graph, logits: string, classes: number): void {
  const made = producers(graph);
  for (const info of [...graph.outputs, ...graph.valueInfo]) {
    const behind = info.name === logits || made.get(info.name)?.inputs[0] === logits;
    if (behind && info.dims?.length === 2) info.dims = [info.dims[0] as Dim, classes];
  }
}
