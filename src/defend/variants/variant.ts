/** What a variant of fine-pruning is: how it ranks, what it zeroes, when it stops. Fine-tuning is the same for all that do it. */
import { fail } from '../../core/errors.ts';
import type { Tensor } from '../../core/tensor.ts';
import type { Dataset } from '../../data/dataset.ts';
import { chooseLayer } from '../../inspect/layers.ts';
import type { CutPoint } from '../../onnx/cut-points.ts';
import { cutPoints } from '../../onnx/cut-points.ts';
import { cloneModel, consumers, topologicalOrder } from '../../onnx/edit.ts';
import type { Model, Node } from '../../onnx/model.ts';
import { cutChannels } from '../../onnx/passes/cut-channels.ts';
import { sliceMask, zeroSlices } from '../../onnx/slices.ts';
import type { SpecOverrides } from '../../onnx/spec.ts';
import type { ValueTypes } from '../../onnx/value-types.ts';
import type { Runtime } from '../../runtime/session.ts';

/** What may be asked of a variant; each says which of these it takes. */
export interface VariantSettings {
  /** Layer to prune. */
  readonly layer?: string;
  /** Accepted fall of accuracy, 0..1; absolute or relative, as the variant has it. */
  readonly threshold?: number;
  /** Channels to cut. */
  readonly count?: number;
  /** Share of the channels to cut, 0..1. */
  readonly rate?: number;
}
export type VariantSetting = keyof VariantSettings;

/** What the defender has: the suspect network and clean validation images. */
export interface VariantJob {
  readonly runtime: Runtime;
  /** Weights are initialisers. */
  readonly model: Model;
  readonly types: ValueTypes;
  readonly validation: Dataset<'validation'>;
  readonly spec: SpecOverrides | undefined;
  readonly settings: VariantSettings;
  /** Validation accuracy, 0..1. */
  readonly accuracy: (model: Model) => Promise<number>;
}

export interface VariantPruning {
  readonly model: Model;
  /** `channels of conv3`, `columns of fc8`. */
  readonly of: string;
  /** Weakest first. */
  readonly cut: readonly number[];
  /** How many there were. */
  readonly count: number;
  /** Validation accuracy before. */
  readonly start: number;
  /** 0/1 per stored tensor: what fine-tuning keeps at zero, besides the cuts that the file records. */
  readonly masks: ReadonlyMap<string, Tensor>;
  /** What came out otherwise than the method's description lets one expect. */
  readonly notes: readonly string[];
}

export interface Variant {
  readonly name: string;
  /** `BackdoorBench (fp.py)`. */
  readonly title: string;
  /** How it ranks, prunes and stops, in a sentence or two, for people. */
  readonly how: string;
  readonly takes: readonly VariantSetting[];
  /** The fall of accuracy at which it stops unless a `threshold` is given, 0..1, of those that stop at one. */
  readonly limit?: { readonly value: number; readonly of: 'points' | 'start' };
  /** Whether it fine-tunes what it pruned. */
  readonly tunes: boolean;
  readonly prune: (job: VariantJob) => Promise<VariantPruning>;
}

/** The layer asked for, or the one that `prune` takes. */
export function layerOf({ model, types, settings }: VariantJob): CutPoint {
  return chooseLayer(model, types, settings.layer).point;
}

/** Indices from the smallest value to the largest, equal ones in order. */
export function ascending(values: ArrayLike<number>): number[] {
  return Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b] || a - b);
}

/** The value behind `value` for as long as only pooling follows: what a hook on the pooling layer sees. */
export function behindPools(model: Model, value: string): string {
  const readers = consumers(model.graph);
  let at = value;
  for (;;) {
    const [next, ...more] = readers.get(at) ?? [];
    if (next === undefined || more.length > 0 || !POOLS.has(next.opType)) return at;
    at = next.outputs[0];
  }
}

const POOLS = new Set(['MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool', 'LpPool', 'Dropout', 'Identity']);

/**
 * Zeroes what the layer itself stores for `channels`: its weights, and its bias where `bias` says so. A batch norm behind it is left as it is, so
 * that behind one a zeroed channel is a constant and not zero: that is what zeroing a convolution's weights does in PyTorch and Caffe.
 * For what is no single layer (a residual Add, a Concat) its channels are cut.
 */
export function zeroOwn(
  model: Model,
  point: CutPoint,
  channels: readonly number[],
  bias: boolean,
): Pick<VariantPruning, 'model' | 'masks' | 'notes'> {
  if (channels.length === 0) return { model, masks: new Map(), notes: [] };
  if (point.kind !== 'layer') return { model: cutChannels(model, point, channels).model, masks: new Map(), notes: [] };
  const own = point.parameters.filter((p) => point.node.inputs.includes(p.name) && (p.kind === 'weight' || (bias && p.kind === 'bias')));
  if (own.length === 0) fail({ where: `layer ${point.layer}`, what: 'its weights are not stored as such', hint: 'another layer' });
  const out = cloneModel(model);
  const masks = new Map<string, Tensor>();
  for (const { name, axis } of own) {
    const tensor = out.graph.initializers.get(name) as Tensor;
    out.graph.initializers.set(name, zeroSlices(tensor, axis, channels));
    masks.set(name, sliceMask(tensor.dims, axis, channels));
  }
  const normed = point.chain.some((p) => p.role.kind === 'batch-norm');
  const notes = normed ? ['behind the zeroed channels a batch norm leaves constants, not zeros'] : [];
  return { model: out, masks, notes };
}

/** The last convolution in graph order: what the last Conv2d by module order is in PyTorch. */
export function lastConvolution({ model, types }: VariantJob): CutPoint {
  const order = new Map(topologicalOrder(model.graph).map((node, i) => [node, i]));
  const place = (node: Node): number => order.get(node) ?? 0;
  const { layers } = cutPoints(model, types);
  const [last] = layers.filter((l) => l.kind === 'layer' && l.opType === 'Conv').sort((a, b) => place(b.node) - place(a.node));
  if (last !== undefined) return last;
  return fail({ where: 'model', what: 'no convolution whose channels can be cut, which this variant prunes by', hint: '--variant paper' });
}
