/**
 * A network with float16, bfloat16 or float64 weights becomes one with float32, which is what training steps and the fast operators are
 * written for, and goes back. Weights that a defence did not touch go back bit by bit; of the others only the change is rounded.
 */
import { f32, type Tensor } from '../../core/tensor.ts';
import { dtypeCode } from '../dtypes.ts';
import { cloneModel, subgraphs } from '../edit.ts';
import { fromBfloat16, fromHalf, toBfloat16, toHalf } from '../half.ts';
import type { Attribute, Model, ValueInfo } from '../model.ts';
import type { Reversible } from './reversible.ts';

export type OtherFloat = 'float16' | 'bfloat16' | 'float64';
const OTHERS: readonly OtherFloat[] = ['float16', 'bfloat16', 'float64'];
const WEIGHTED: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);
/** Attributes that name an element type. */
const TYPE_ATTRIBUTES: ReadonlySet<string> = new Set(['to', 'dtype']);

/** The type of the weights, where it is not float32. */
export function weightType(model: Model): OtherFloat | undefined {
  const { graph } = model;
  for (const node of graph.nodes) {
    if (!WEIGHTED.has(node.opType)) continue;
    const types = node.inputs.map((name) => graph.initializers.get(name)?.dtype);
    const other = OTHERS.find((dtype) => types.includes(dtype));
    if (other !== undefined) return other;
  }
  return undefined;
}

/** undefined where the weights are float32 already; a string says why the network cannot be written in float32. */
export function toFloat32(model: Model): Reversible | string | undefined {
  const from = weightType(model);
  if (from === undefined) return undefined;
  if (model.graph.nodes.some((node) => subgraphs(node).length > 0)) return `its weights are ${from} and it has graphs inside of nodes`;
  const wide = cloneModel(model);
  const { graph } = wide;
  const before = new Map<string, Tensor>();
  for (const [name, tensor] of graph.initializers) {
    if (tensor.dtype !== from) continue;
    before.set(name, tensor);
    graph.initializers.set(name, widened(tensor));
  }
  const attributes: { output: string; name: string; was: Attribute; now: Attribute }[] = [];
  for (const node of graph.nodes) {
    for (const [name, was] of node.attributes) {
      const now = changedAttribute(name, was, from);
      if (now === undefined) continue;
      node.attributes.set(name, now);
      attributes.push({ output: node.outputs[0], name, was, now });
    }
  }
  const infos = new Set<string>();
  eachInfo(wide, (info, key) => {
    if (info.dtype !== from) return;
    info.dtype = 'float32';
    infos.add(key);
  });
  const widenedOnes = new Map(graph.initializers);
  return {
    model: wide,
    undo(later) {
      for (const [name, tensor] of later.graph.initializers) {
        const old = before.get(name);
        const isNew = !widenedOnes.has(name) && tensor.dtype === 'float32';
        if (old !== undefined) later.graph.initializers.set(name, narrowed(tensor, widenedOnes.get(name)!, old));
        else if (isNew) later.graph.initializers.set(name, inType(tensor, from));
      }
      const nodes = new Map(later.graph.nodes.map((node) => [node.outputs[0], node]));
      for (const { output, name, was, now } of attributes) {
        const node = nodes.get(output);
        if (node !== undefined && node.attributes.get(name)?.value === now.value) node.attributes.set(name, was);
      }
      eachInfo(later, (info, key) => {
        if (infos.has(key)) info.dtype = from;
      });
    },
  };
}

function eachInfo(model: Model, visit: (info: ValueInfo, key: string) => void): void {
  for (const kind of ['inputs', 'outputs', 'valueInfo'] as const) for (const info of model.graph[kind]) visit(info, `${kind} ${info.name}`);
}

function changedAttribute(name: string, a: Attribute, from: OtherFloat): Attribute | undefined {
  if (a.type === 'tensor' && a.value.dtype === from) return { type: 'tensor', value: widened(a.value) };
  if (a.type === 'int' && TYPE_ATTRIBUTES.has(name) && a.value === dtypeCode(from)) return { type: 'int', value: dtypeCode('float32') };
  return undefined;
}

function widened({ dtype, dims, data }: Tensor): Tensor {
  const decode = dtype === 'float16' ? fromHalf : dtype === 'bfloat16' ? fromBfloat16 : (v: number) => v;
  return f32(
    Float32Array.from(data as ArrayLike<number>, (v) => decode(v)),
    dims,
  );
}

function inType({ dims, data }: Tensor, dtype: OtherFloat): Tensor {
  const values = data as Float32Array;
  if (dtype === 'float64') return { dtype, dims, data: Float64Array.from(values) };
  return { dtype, dims, data: Uint16Array.from(values, dtype === 'float16' ? toHalf : toBfloat16) };
}

/** The old values where they were left alone, else old + change; an exact zero, which cuts a channel, stays one. */
function narrowed(now: Tensor, start: Tensor, old: Tensor): Tensor {
  if (now === start) return old;
  const values = now.data as Float32Array;
  const first = start.data as Float32Array;
  const rounded = inType(now, old.dtype as OtherFloat);
  if (values.length !== first.length) return rounded;
  const data = rounded.data as Float64Array | Uint16Array;
  const source = old.data as Float64Array | Uint16Array;
  for (let i = 0; i < data.length; i++) {
    if (Object.is(values[i], first[i])) data[i] = source[i];
    else if (old.dtype === 'float64' && values[i] !== 0) data[i] = source[i] + (values[i] - first[i]);
  }
  return rounded;
}
