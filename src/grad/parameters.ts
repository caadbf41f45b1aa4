/** Which initialisers of a model are parameters, and the layers that they belong to. */
import { sizeOf, type Tensor } from '../core/tensor.ts';
import { producers, topologicalOrder, usedValues } from '../onnx/edit.ts';
import type { Graph, Model, Node } from '../onnx/model.ts';

export interface Layer {
  readonly node: Node;
  /** Names of initialisers, in the order of the node's inputs. */
  readonly parameters: readonly string[];
}

/** Inputs that hold parameters where an initialiser stands there. Running statistics, bounds, scales and sizes are none. */
const PARAMETER_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  BatchNormalization: [1, 2],
  LayerNormalization: [1, 2],
  RMSNormalization: [1],
  SimplifiedLayerNormalization: [1],
  InstanceNormalization: [1, 2],
  GroupNormalization: [1, 2],
  PRelu: [1],
  Einsum: [0, 1, 2, 3],
};

/** The same for operators that ONNX Runtime's optimiser makes of several. */
const FUSED_INPUTS: Readonly<Record<string, readonly number[]>> = {
  FusedConv: [1, 2],
  FusedGemm: [0, 1, 2],
  FusedMatMul: [0, 1],
  BiasGelu: [1],
  FastGelu: [1],
  SkipLayerNormalization: [2, 3, 4],
  SkipSimplifiedLayerNormalization: [2, 3],
};

/** Biases and scales that an exporter wrote as arithmetic; parameters only behind a layer, for before it they normalise pixels. */
const ARITHMETIC: ReadonlySet<string> = new Set(['Add', 'Mul']);

/** Operators that may stand between an initialiser and its layer: a transposed weight is a weight. */
const VIEWS: ReadonlySet<string> = new Set([
  ...['Identity', 'Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'Expand'],
  // Transformers look up their table of relative positions, by constant indices.
  ...['Gather', 'Slice'],
]);

/**
 * The names of a model's parameters: floating-point initialisers that are the weight, bias or scale of a Conv, ConvTranspose, Gemm,
 * MatMul, Einsum, PRelu or normalisation, that are added to or multiplied with what such a layer gives (scalars excepted), or put before
 * it as tokens. In the order of execution. Constants of another kind, such as the mean that an input is normalised with, are none.
 */
export function parametersOf(model: Model): string[] {
  return [...new Set(layersOf(model.graph).flatMap((layer) => layer.parameters))];
}

/** The layers in the order of execution; with `only`, the nodes at which these initialisers meet the data. */
export function layersOf(graph: Graph, only?: ReadonlySet<string>): Layer[] {
  const made = producers(graph);
  const behindLayer = new Set<string>();
  const layers: Layer[] = [];
  const order = topologicalOrder(graph);
  for (const node of order) {
    if (isView(node, made, graph)) continue;
    const after = usedValues(node).some((name) => behindLayer.has(name));
    const parameters = node.inputs.flatMap((name, i): string[] => {
      const initializer = rootOf(name, made, graph);
      if (initializer === undefined) return [];
      if (only !== undefined) return only.has(initializer) ? [initializer] : [];
      return isParameter(node, i, initializer, after, graph) ? [initializer] : [];
    });
    if (parameters.length > 0) layers.push({ node, parameters });
    if (parameters.length > 0 || after) for (const name of node.outputs) behindLayer.add(name);
  }
  return layers;
}

function isParameter(node: Node, input: number, initializer: string, after: boolean, graph: Graph): boolean {
  const tensor = graph.initializers.get(initializer);
  if (tensor?.dtype !== 'float32') return false;
  if (node.domain !== '') return node.domain === 'com.microsoft' && (FUSED_INPUTS[node.opType]?.includes(input) ?? false);
  if (PARAMETER_INPUTS[node.opType]?.includes(input)) return true;
  if (!after || sizeOf(tensor.dims) === 1) return false;
  if (ARITHMETIC.has(node.opType)) return !isMask(node.opType, tensor);
  return node.opType === 'Concat' && isToken(tensor.dims);
}

/** Below this an attention score is as good as minus infinity. */
const SHUT = -100;

/**
 * Zeros and ones that are multiplied with, zeros and very negative numbers that are added: what lets some elements through and others not
 * (shifted windows in Swin, channels that were cut) is no parameter. Both numbers have to be there, for layers begin as all zeros or ones.
 */
function isMask(opType: string, tensor: Tensor): boolean {
  let [open, shut] = [false, false];
  for (const v of tensor.data as Float32Array) {
    const [opens, shuts] = opType === 'Add' ? [v === 0, v <= SHUT] : [v === 1, v === 0];
    if (!opens && !shuts) return false;
    open ||= opens;
    shut ||= shuts;
  }
  return open && shut;
}

/** A transformer's class token [1, tokens, width]: zeros that fill up channels, which others concatenate, have another rank. */
const isToken = (dims: readonly number[]): boolean => dims.length === 3 && dims[0] === 1;

/** A node that only shows an initialiser in another form. */
function isView(node: Node, made: ReadonlyMap<string, Node>, graph: Graph): boolean {
  return VIEWS.has(node.opType) && rootOf(node.inputs[0], made, graph) !== undefined;
}

/** The initialiser behind a value, through views of it; undefined where there is another node between. */
function rootOf(name: string, made: ReadonlyMap<string, Node>, graph: Graph): string | undefined {
  let at = name;
  for (let node = made.get(at); node !== undefined && node.domain === '' && VIEWS.has(node.opType); node = made.get(at))
    at = node.inputs[0];
  return graph.initializers.has(at) ? at : undefined;
}
