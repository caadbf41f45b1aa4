/**
 * A backdoor that needs no change of weights (ShadowLogic, 2024): a test on the raw input, and an If or Where behind the network that
 * answers something else where it holds. Told by the shape of the graph alone: the condition of an If or Where that makes an output comes
 * from an input through a comparison, and no weighted operator lies on the way. It is a hint and no proof: masks have that shape too.
 */
import type { Graph, Node } from '../../onnx/model.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));
/** What applies weights. */
const WEIGHTED = words('Conv ConvInteger ConvTranspose Gemm MatMul MatMulInteger QLinearConv QLinearMatMul LSTM GRU RNN Attention Gather');
const COMPARES = words('Equal Less LessOrEqual Greater GreaterOrEqual IsNaN IsInf Not And Or Xor');
/** Give sizes and types, never values. */
const SIZES = words('Shape Size');
/** May stand between the choice and the output. */
const AFTER = words('Identity Softmax LogSoftmax Sigmoid Cast Reshape Flatten Squeeze Unsqueeze Clip');

/** The node that chooses an output by such a test; undefined where there is none. Linear in the graph. */
export function outputSwitch(graph: Graph): Node | undefined {
  const maker = new Map<string, Node>();
  for (const node of graph.nodes) for (const name of node.outputs) if (name !== '') maker.set(name, node);
  const inputs = new Set(graph.inputs.map((i) => i.name).filter((name) => !graph.initializers.has(name)));
  for (const output of graph.outputs) {
    const choice = behind(output.name, maker);
    if (choice !== undefined && rawTest(choice.inputs[0], maker, inputs)) return choice;
  }
  return undefined;
}

/** The If or Where that makes a value, through operators that choose nothing. */
function behind(name: string, maker: ReadonlyMap<string, Node>): Node | undefined {
  let node = maker.get(name);
  for (let steps = 0; node !== undefined && steps < 20; steps++) {
    if (node.domain === '' && (node.opType === 'If' || node.opType === 'Where')) return node;
    if (node.domain !== '' || !AFTER.has(node.opType)) return undefined;
    node = maker.get(node.inputs[0]);
  }
  return undefined;
}

/** Whether a value comes from an input's values through a comparison, and none of the ways passes by weights. */
function rawTest(name: string, maker: ReadonlyMap<string, Node>, inputs: ReadonlySet<string>): boolean {
  let [reached, compared] = [false, false];
  const seen = new Set<string>();
  const open = [name];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (inputs.has(next)) reached = true;
    const node = maker.get(next);
    if (node === undefined || SIZES.has(node.opType)) continue;
    if (WEIGHTED.has(node.opType)) return false;
    if (COMPARES.has(node.opType)) compared = true;
    open.push(...node.inputs.filter((n) => n !== ''));
  }
  return reached && compared;
}
