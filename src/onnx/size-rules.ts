/** How large operators make their outputs, for `static-sizes.ts`: those that can make much out of little, and those on the way between. */
import { type DType, sizeOf, type Tensor } from '../core/tensor.ts';
import { dtypeOfCode } from './dtypes.ts';
import { MAX_RANK } from './limits.ts';
import type { Attribute, Node } from './model.ts';

/** What is known of a value. */
export interface Size {
  /** Undefined: not even the rank is known. */
  readonly dims: readonly (number | null)[] | undefined;
  readonly dtype: DType | undefined;
  /** The numbers themselves, for short constants: shapes, axes, pads, scales. */
  readonly values?: readonly number[];
  /** Depends on no input of the graph: ONNX Runtime computes it when the file is opened. */
  readonly constant: boolean;
}

export const UNKNOWN: Size = { dims: undefined, dtype: undefined, constant: false };

/** Constants of more numbers than this are no shapes. */
const MAX_VALUES = MAX_RANK;
const MAX_EQUATION = 256;

/** A tensor of the file. Numbers of short ones are kept. */
export function sizeOfTensor({ dtype, dims, data }: Tensor): Size {
  const short = sizeOf(dims) <= MAX_VALUES && /^(float(32|64)|u?int(8|16|32|64)|bool)$/.test(dtype);
  return { dims, dtype, constant: true, values: short ? Array.from(data as ArrayLike<number | bigint>, Number) : undefined };
}

/** The element type in an attribute such as `to` or `dtype`. */
function dtypeAttribute(node: Node, name: string): DType | undefined {
  const a = node.attributes.get(name);
  return a?.type === 'int' ? dtypeOfCode(a.value) : undefined;
}

type Dims = readonly (number | null)[];
type Inputs = readonly (Size | undefined)[];
/** Sizes of the outputs; those left out are unknown. `constant` of what it returns is ignored. */
type Rule = (node: Node, inputs: Inputs) => Size[];

const size = (dims: Dims | undefined, like?: Size, values?: readonly number[]): Size => ({
  dims,
  dtype: like?.dtype,
  constant: false,
  values: values !== undefined && values.length <= MAX_VALUES ? values : undefined,
});

// Attributes of the wrong type are the runtime's to refuse; here they are unknown.
type ValueOf<T extends Attribute['type']> = Extract<Attribute, { type: T }>['value'];
const value = <T extends Attribute['type']>(node: Node, name: string, type: T): ValueOf<T> | undefined => {
  const a = node.attributes.get(name);
  return a?.type === type ? (a.value as never) : undefined;
};
const int = (node: Node, name: string, otherwise: number): number => value(node, name, 'int') ?? otherwise;
/** As {@link int}, with those beyond 2^53, which stand for "to the end". */
const position = (node: Node, name: string, otherwise: number): number => Number(value(node, name, 'bigint') ?? int(node, name, otherwise));
const ints = (node: Node, name: string): readonly number[] | undefined => value(node, name, 'ints');
const floats = (node: Node, name: string): readonly number[] | undefined => value(node, name, 'floats');

const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

function broadcast(all: readonly (Dims | undefined)[]): Dims | undefined {
  if (all.some((d) => d === undefined)) return undefined;
  const shapes = all as readonly Dims[];
  // Not Math.max(...): a node may have more inputs than a function takes arguments.
  const rank = shapes.reduce((most, d) => Math.max(most, d.length), 0);
  return Array.from({ length: rank }, (_, i) => {
    const sizes = shapes.map((d) => d[d.length - rank + i]).filter((d) => d !== undefined && d !== 1);
    if (sizes.length === 0) return 1;
    const first = sizes.find((d) => d !== null);
    return first ?? null;
  });
}

const same: Rule = (_, [x]) => [size(x?.dims, x, x?.values)];
const sameDims: Rule = (_, [x]) => [size(x?.dims, x)];

/** Elementwise with broadcasting; numbers of short constants go along where `compute` is given. */
function elementwise(compute?: (a: number, b: number) => number, dtype?: Size['dtype']): Rule {
  return (_, inputs) => {
    const dims = broadcast(inputs.map((i) => i?.dims));
    const [a, b] = [inputs[0]?.values, inputs[1]?.values];
    const n = Math.max(a?.length ?? 0, b?.length ?? 0);
    const computable = compute && inputs.length === 2 && a && b && [a, b].every((v) => v.length === n || v.length === 1);
    const values = computable ? Array.from({ length: n }, (_, i) => compute(a[i % a.length], b[i % b.length])) : undefined;
    return [{ ...size(dims, inputs[0], values), ...(dtype && { dtype }) }];
  };
}

const shapeFrom = (v: readonly number[] | undefined): Dims | undefined => v?.map((d) => (d >= 0 ? d : null));

const constant: Rule = (node) => {
  const tensor = value(node, 'value', 'tensor');
  if (tensor) return [sizeOfTensor(tensor)];
  for (const name of ['value_int', 'value_float'] as const) {
    const v = value(node, name, name === 'value_int' ? 'int' : 'float');
    if (v !== undefined) return [{ dims: [], dtype: name === 'value_int' ? 'int64' : 'float32', values: [v], constant: true }];
  }
  const list = ints(node, 'value_ints') ?? floats(node, 'value_floats');
  if (list === undefined) return [];
  return [{ ...size([list.length], undefined, list), dtype: ints(node, 'value_ints') ? 'int64' : 'float32' }];
};

const constantOfShape: Rule = (node, [shape]) => {
  const filled = value(node, 'value', 'tensor');
  const dims = shapeFrom(shape?.values);
  const one = filled ? sizeOfTensor(filled).values?.[0] : 0;
  const count = dims?.reduce<number>((n, d) => n * (d ?? Number.NaN), 1);
  const values = Number.isInteger(count) && count! <= MAX_VALUES && one !== undefined ? new Array<number>(count!).fill(one) : undefined;
  return [{ dims, dtype: filled?.dtype ?? 'float32', constant: true, values }];
};

const range: Rule = (_, [start, limit, delta]) => {
  const [a, b, step] = [start?.values?.[0], limit?.values?.[0], delta?.values?.[0]];
  if (a === undefined || b === undefined || !step) return [size([null], start)];
  const n = Math.max(0, Math.ceil((b - a) / step));
  const values = n <= MAX_VALUES ? Array.from({ length: n }, (_, i) => a + i * step) : undefined;
  return [size([n], start, values)];
};

const times = (dims: Dims, factors: readonly number[]): Dims | undefined =>
  dims.length === factors.length ? dims.map((d, i) => (d === null ? null : Math.floor(d * factors[i]))) : undefined;

const resize: Rule = (node, [x, ...rest]) => {
  if (x?.dims === undefined) return [];
  // Upsample and Resize of opset 10 have the scales second; later ones have a region there and the sizes last.
  const scales = (rest[1]?.values?.length ? rest[1].values : rest[0]?.values) ?? floats(node, 'scales');
  const sizes = rest[2]?.values;
  if (ints(node, 'axes')) return [];
  if (sizes?.length === x.dims.length) return [size(sizes, x)];
  return scales?.length ? [size(times(x.dims, scales), x)] : [];
};

const pad: Rule = (node, [x, amounts, , axes]) => {
  const pads = amounts === undefined ? (ints(node, 'pads') ?? ints(node, 'paddings')) : amounts.values;
  const rank = x?.dims?.length;
  if (pads === undefined || rank === undefined || pads.length !== 2 * rank || axes !== undefined) return [];
  return [
    size(
      x?.dims?.map((d, i) => (d === null ? null : Math.max(0, d + pads[i] + pads[rank + i]))),
      x,
    ),
  ];
};

const oneHot: Rule = (node, [indices, depth, values]) => {
  const n = depth?.values?.[0];
  if (indices?.dims === undefined || n === undefined) return [];
  const axis = axisOf(int(node, 'axis', -1), indices.dims.length + 1);
  return [size(indices.dims.toSpliced(axis, 0, n), values)];
};

/** Convolutions and pools: [N, channels, ...spatial]. */
function windowed(channels: (node: Node, inputs: Inputs) => number | null | undefined, transposed = false): Rule {
  return (node, inputs) => {
    const x = inputs[0]?.dims;
    const c = channels(node, inputs);
    const kernel = ints(node, 'kernel_shape') ?? inputs[1]?.dims?.slice(2);
    if (x === undefined || c === undefined || kernel === undefined) return [];
    const spatial = x.slice(2);
    const list = (name: string, otherwise: number): readonly number[] => ints(node, name) ?? spatial.map(() => otherwise);
    const [strides, dilations, extra] = [list('strides', 1), list('dilations', 1), list('output_padding', 0)];
    const autoPad = value(node, 'auto_pad', 'string') ?? 'NOTSET';
    const pads = ints(node, 'pads') ?? spatial.flatMap(() => [0, 0]);
    const told = ints(node, 'output_shape');
    const out = spatial.map((d, i): number | null => {
      const k = kernel[i];
      if (d === null || k === null || k === undefined) return null;
      if (transposed && told) return told[told.length - spatial.length + i] ?? null;
      const reach = (k - 1) * (dilations[i] ?? 1) + 1;
      const padding = autoPad === 'NOTSET' ? (pads[i] ?? 0) + (pads[spatial.length + i] ?? 0) : 0;
      const step = strides[i] ?? 1;
      if (transposed) return Math.max(0, (d - 1) * step + (extra[i] ?? 0) + reach - padding);
      if (autoPad.startsWith('SAME')) return Math.ceil(d / step);
      return Math.max(0, Math.floor((d + padding - reach) / step) + 1);
    });
    return [size([x[0], c, ...out], inputs[0])];
  };
}

const matMul: Rule = (_, [a, b]) => {
  if (a?.dims === undefined || b?.dims === undefined || a.dims.length === 0 || b.dims.length === 0) return [];
  const batch = broadcast([a.dims.slice(0, -2), b.dims.slice(0, -2)]) ?? [];
  const rows = a.dims.length > 1 ? [a.dims[a.dims.length - 2]] : [];
  const columns = b.dims.length > 1 ? [b.dims[b.dims.length - 1]] : [];
  return [size([...batch, ...rows, ...columns], a)];
};

const gemm: Rule = (node, [a, b]) => {
  if (a?.dims?.length !== 2 || b?.dims?.length !== 2) return [];
  return [size([a.dims[int(node, 'transA', 0)], b.dims[1 - int(node, 'transB', 0)]], a)];
};

const concat: Rule = (node, inputs) => {
  const first = inputs[0]?.dims;
  if (first === undefined || inputs.some((i) => i?.dims?.length !== first.length)) return [];
  const axis = axisOf(int(node, 'axis', 1), first.length);
  if (axis < 0 || axis >= first.length) return [];
  const along = inputs.reduce<number | null>((n, i) => {
    const d = i?.dims?.[axis];
    return n === null || d === null || d === undefined ? null : n + d;
  }, 0);
  const values = inputs.every((i) => i?.values) && first.length === 1 ? inputs.flatMap((i) => i?.values ?? []) : undefined;
  return [size(first.with(axis, along), inputs[0], values)];
};

const gather: Rule = (node, [data, indices]) => {
  if (data?.dims === undefined || indices?.dims === undefined || data.dims.length === 0) return [];
  const axis = axisOf(int(node, 'axis', 0), data.dims.length);
  const { values } = data;
  const picked = data.dims.length === 1 && values ? indices.values?.map((i) => values[axisOf(i, values.length)] ?? Number.NaN) : undefined;
  return [size(data.dims.toSpliced(axis, 1, ...indices.dims), data, picked)];
};

/** From opset 15 on with a first and a last dimension, counted from the end where they are negative. */
const shapeOf: Rule = (node, [x]) => {
  if (x?.dims === undefined) return [{ ...UNKNOWN, dtype: 'int64' }];
  const { length } = x.dims;
  // As slice() counts.
  const part = x.dims.slice(position(node, 'start', 0), position(node, 'end', length));
  return [{ ...size([part.length], undefined, part.every((d) => d !== null) ? part : undefined), dtype: 'int64' }];
};

const reshape: Rule = (node, [x, shape]) => {
  const to = shape === undefined ? ints(node, 'shape') : shape.values;
  if (to === undefined) return [size(undefined, x, x?.values)];
  const zeroKeeps = int(node, 'allowzero', 0) === 0;
  const kept = to.map((d, i) => (d === 0 && zeroKeeps ? (x?.dims?.[i] ?? null) : d < 0 ? null : d));
  if (x?.dims === undefined || x.dims.includes(null)) return [size(kept, x, x?.values)];
  const rest = kept.reduce<number>((n, d) => n * (d ?? 1), 1);
  const all = sizeOf(x.dims as number[]);
  return [
    size(
      kept.map((d) => d ?? (rest === 0 ? 0 : Math.floor(all / rest))),
      x,
      x.values,
    ),
  ];
};

const squeezed =
  (unsqueeze: boolean): Rule =>
  (node, [x, second]) => {
    const axes = second === undefined ? ints(node, 'axes') : second.values;
    if (x?.dims === undefined || (axes === undefined && unsqueeze)) return [size(undefined, x, x?.values)];
    if (!unsqueeze) {
      const taken = axes?.map((a) => axisOf(a, x.dims?.length ?? 0));
      if (taken === undefined && x.dims.includes(null)) return [size(undefined, x, x.values)];
      return [
        size(
          x.dims.filter((d, i) => (taken ? !taken.includes(i) : d !== 1)),
          x,
          x.values,
        ),
      ];
    }
    const rank = x.dims.length + (axes?.length ?? 0);
    const added = new Set(axes?.map((a) => axisOf(a, rank)));
    const old = [...x.dims];
    return [
      size(
        Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (old.shift() ?? null))),
        x,
        x.values,
      ),
    ];
  };

const flatten: Rule = (node, [x]) => {
  if (x?.dims === undefined) return [];
  const axis = axisOf(int(node, 'axis', 1), x.dims.length);
  const product = (d: Dims): number | null => d.reduce((n, v) => (n === null || v === null ? null : n * v), 1 as number | null);
  return [size([product(x.dims.slice(0, axis)), product(x.dims.slice(axis))], x)];
};

/** Sums over products of indices: each letter has one size. */
const einsum: Rule = (node, inputs) => {
  const equation = value(node, 'equation', 'string') ?? '';
  const [left, right] = equation.replaceAll(' ', '').split('->');
  if (right === undefined || left.includes('.') || equation.length > MAX_EQUATION) return [];
  const sizes = new Map<string, number | null>();
  for (const [i, term] of left.split(',').entries()) {
    const dims = inputs[i]?.dims;
    if (dims?.length !== term.length) return [];
    for (const [axis, letter] of [...term].entries()) if ((sizes.get(letter) ?? 1) === 1) sizes.set(letter, dims[axis]);
  }
  return [
    size(
      [...right].map((letter) => sizes.get(letter) ?? null),
      inputs[0],
    ),
  ];
};

const globalPool: Rule = (_, [x]) => [
  size(
    x?.dims?.map((d, i) => (i < 2 ? d : 1)),
    x,
  ),
];

const random: Rule = (node) => [{ ...UNKNOWN, dims: shapeFrom(ints(node, 'shape')), dtype: dtypeAttribute(node, 'dtype') ?? 'float32' }];
const like: Rule = (node, [x]) => [{ ...size(x?.dims, x), ...(dtypeAttribute(node, 'dtype') && { dtype: dtypeAttribute(node, 'dtype') }) }];
const window: Rule = (_, [n]) => [{ ...UNKNOWN, dims: shapeFrom(n?.values?.slice(0, 1)) }];

const SAME_VALUES = 'Identity';
const SAME_DIMS = `Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization Ceil Celu Clip Cos Cosh CumSum Dropout Elu Erf Exp Floor FastGelu
  Gelu GroupNormalization HardSigmoid HardSwish Hardmax InstanceNormalization LRN LayerNormalization LeakyRelu Log LogSoftmax
  LpNormalization MeanVarianceNormalization Mish Neg QuickGelu RMSNormalization Reciprocal Relu Round ScatterElements ScatterND
  Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu`;
const BROADCAST = 'BiasGelu BitShift BitwiseAnd BitwiseOr BitwiseXor Max Mean Min Mod PRelu Pow Sum';
const BOOLEAN = 'And Equal Greater GreaterOrEqual Less LessOrEqual Or Xor';
const split = (names: string): string[] => names.split(/\s+/);

const outChannels = (_: Node, [, w]: Inputs): number | null | undefined => w?.dims?.[0];
const sameChannels = (_: Node, [x]: Inputs): number | null | undefined => x?.dims?.[1];

/** By operator; those of all accepted domains, whose names do not clash. */
export const SIZE_RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [SAME_VALUES, same],
  ...split(SAME_DIMS).map((name): [string, Rule] => [name, sameDims]),
  ...split(BROADCAST).map((name): [string, Rule] => [name, elementwise()]),
  ...split(BOOLEAN).map((name): [string, Rule] => [name, elementwise(undefined, 'bool')]),
  ['Add', elementwise((a, b) => a + b)],
  ['Sub', elementwise((a, b) => a - b)],
  ['Mul', elementwise((a, b) => a * b)],
  ['Div', elementwise((a, b) => a / b)],
  ['Where', (_, [c, a, b]) => [size(broadcast([c?.dims, a?.dims, b?.dims]), a)]],
  ['Not', (_, [x]) => [{ ...size(x?.dims), dtype: 'bool' }]],
  ['Cast', (node, [x]) => [{ ...size(x?.dims, undefined, x?.values), dtype: dtypeAttribute(node, 'to') }]],
  ['QuantizeLinear', (_, [x]) => [{ ...size(x?.dims), dtype: 'uint8' }]],
  ['DequantizeLinear', (_, [x, scale]) => [size(x?.dims, scale)]],
  ['Constant', constant],
  ['ConstantOfShape', constantOfShape],
  ['Expand', (_, [x, shape]) => [size(broadcast([x?.dims, shapeFrom(shape?.values)]), x)]],
  ['Tile', (_, [x, repeats]) => [size(x?.dims && repeats?.values && times(x.dims, repeats.values), x)]],
  ['Range', range],
  ['Resize', resize],
  ['Upsample', resize],
  ['Pad', pad],
  ['OneHot', oneHot],
  ['EyeLike', like],
  ['RandomNormal', random],
  ['RandomUniform', random],
  ['RandomNormalLike', like],
  ['RandomUniformLike', like],
  ['Bernoulli', like],
  ['Multinomial', (node, [x]) => [size([x?.dims?.[0] ?? null, int(node, 'sample_size', 1)])]],
  ['HannWindow', window],
  ['HammingWindow', window],
  ['BlackmanWindow', window],
  ['MelWeightMatrix', (_, [bins, length]) => [size([(length?.values?.[0] ?? 0) / 2 + 1, bins?.values?.[0] ?? null])]],
  ['Shape', shapeOf],
  ['Conv', windowed(outChannels)],
  ['FusedConv', windowed(outChannels)],
  ['ConvTranspose', windowed((node, [, w]) => (w?.dims?.[1] ?? 0) * int(node, 'group', 1) || undefined, true)],
  ['MaxPool', windowed(sameChannels)],
  ['AveragePool', windowed(sameChannels)],
  ['LpPool', windowed(sameChannels)],
  ['MaxUnpool', (_, [x, , shape]) => [size(shapeFrom(shape?.values), x)]],
  ['MatMul', matMul],
  ['Gemm', gemm],
  ['Concat', concat],
  ['Gather', gather],
  ['GatherElements', (_, [data, indices]) => [size(indices?.dims, data)]],
  ['Reshape', reshape],
  ['Squeeze', squeezed(false)],
  ['Unsqueeze', squeezed(true)],
  ['Flatten', flatten],
  ['Transpose', (node, [x]) => [size(x?.dims && permuted(x.dims, ints(node, 'perm')), x)]],
  ['Einsum', einsum],
  ['GlobalAveragePool', globalPool],
  ['GlobalMaxPool', globalPool],
  [
    'RoiAlign',
    (node, [x, rois]) => [
      size([rois?.dims?.[0] ?? null, x?.dims?.[1] ?? null, int(node, 'output_height', 1), int(node, 'output_width', 1)], x),
    ],
  ],
]);

function permuted(dims: Dims, perm: readonly number[] | undefined): Dims {
  if (perm === undefined) return dims.toReversed();
  return perm.map((p) => dims[p] ?? null);
}
