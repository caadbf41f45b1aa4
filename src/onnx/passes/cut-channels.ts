/**
 * Cuts channels: their output becomes zero whatever follows. Where everything between the weights and the cut point keeps zero, the layer's
 * weights and bias (and batch norm's scale and shift) are zeroed and the graph stays as it is; else a Mul by zeros and ones is put behind.
 */
import { fail } from '../../core/errors.ts';
import { broadcastShapes, strides } from '../../core/shapes.ts';
import { sizeOf, type Tensor } from '../../core/tensor.ts';
import { featuresOf } from '../channel-layout.ts';
import type { ChannelParameter, CutPoint } from '../cut-points.ts';
import { allNames, replaceInput } from '../edit.ts';
import type { Model } from '../model.ts';
import { sliceMask, zeroSlices } from '../slices.ts';
import { constantOf, constantsToInitializers } from './constants-to-initializers.ts';
import { type Pass, runPasses } from './pass.ts';

/** `metadata_props` key of the channels that were cut: JSON, layer name -> channel numbers. Fine-tuning reads it to keep them cut. */
export const CUT_KEY = 'secateur.cut';
const MASK_SUFFIX = '/cut-mask';

export interface CutResult {
  readonly model: Model;
  readonly modified: boolean;
  /** 0/1 per stored tensor, of a shape that broadcasts to it: multiplied into it after every training step, the channels stay cut. */
  readonly masks: ReadonlyMap<string, Tensor>;
}

/** Whether an initialiser is the mask of an inserted Mul, which is no weight and must not be trained. */
export function isCutMask(name: string): boolean {
  return name.endsWith(MASK_SUFFIX);
}

/**
 * Cuts `channels` of a layer, on top of what was cut before. The given model stays as it is.
 * Throws SecateurError for a channel that is not there.
 */
export function cutChannels(model: Model, point: CutPoint, channels: readonly number[]): CutResult {
  checkChannels(point, channels);
  const { model: out, modified } = runPasses(model, cutPass(point, channels));
  return { model: out, modified, masks: cutMasks(out, point) };
}

function cutPass(point: CutPoint, channels: readonly number[]): Pass {
  return {
    name: 'cut-channels',
    run(model) {
      const record = readCuts(model);
      const before = record.get(point.layer) ?? [];
      const all = [...new Set([...before, ...channels])].sort((a, b) => a - b);
      if (all.length === before.length) return false;
      if (point.zeroable) zeroParameters(model, point, all);
      else maskOutput(model, point, all);
      record.set(point.layer, all);
      writeCuts(model, record);
      return true;
    },
  };
}

/** The masks that keep the channels of a layer cut, as recorded in the model; empty where a Mul in the graph does it, or nothing was cut. */
export function cutMasks(model: Model, point: CutPoint): Map<string, Tensor> {
  const cut = readCuts(model).get(point.layer) ?? [];
  const masks = new Map<string, Tensor>();
  if (cut.length === 0 || !point.zeroable) return masks;
  for (const parameter of point.parameters) {
    const { name, axis } = parameter;
    const tensor = storedTensor(model, name);
    if (tensor === undefined) continue;
    const mask = sliceMask(tensor.dims, axis, slicesOf(parameter, cut));
    const known = masks.get(name);
    masks.set(name, known === undefined ? mask : bothMasks(known, mask));
  }
  return masks;
}

/** The product of two masks of one tensor: what either of them holds at zero. */
export function bothMasks(a: Tensor, b: Tensor): Tensor {
  const dims = broadcastShapes(a.dims, b.dims);
  const [left, right] = [a, b].map((mask) => {
    const steps = strides(mask.dims).map((s, i) => (mask.dims[i] === 1 ? 0 : s));
    return { data: mask.data as Float32Array, steps };
  });
  const data = new Float32Array(sizeOf(dims));
  const place = new Array<number>(dims.length).fill(0);
  for (let i = 0; i < data.length; i++) {
    const at = (steps: readonly number[]): number => steps.reduce((sum, s, axis) => sum + s * place[axis], 0);
    data[i] = left.data[at(left.steps)] * right.data[at(right.steps)];
    for (let axis = dims.length - 1; axis >= 0 && ++place[axis] === dims[axis]; axis--) place[axis] = 0;
  }
  return { dtype: 'float32', dims, data };
}

/** Slices of a stored tensor that belong to these channels. */
function slicesOf({ map }: ChannelParameter, channels: readonly number[]): readonly number[] {
  return map === undefined ? channels : featuresOf({ map }, channels);
}

/** An initialiser, or what a Constant node holds. */
function storedTensor(model: Model, name: string): Tensor | undefined {
  const known = model.graph.initializers.get(name);
  if (known !== undefined) return known;
  const node = model.graph.nodes.find((n) => n.outputs[0] === name);
  return node === undefined ? undefined : constantOf(node);
}

/** Layer -> channels that were cut from this file and are still in it. Throws SecateurError where the file's record is not what we write. */
export function readCuts(model: Model): Map<string, number[]> {
  const text = model.metadata.get(CUT_KEY);
  if (text === undefined) return new Map();
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
    const good = entries.every(([, list]) => Array.isArray(list) && list.every((c) => Number.isInteger(c) && c >= 0));
    if (good) return new Map(entries as [string, number[]][]);
  } catch {
    // Told below, like a record of the wrong form.
  }
  return fail({
    where: `model metadata ${CUT_KEY}`,
    what: 'unreadable record of cut channels',
    expected: '{"layer": [0, 3]}',
    got: text.slice(0, 60),
  });
}

/** A record without `layer`, for a file in which its channels work again. */
export function forgetCut(model: Model, layer: string): void {
  setCut(model, layer, []);
}

/** A record for a file from which the channels `gone` are gone altogether: others of `layer` that were cut stay cut, by their new numbers. */
export function renumberCut(model: Model, layer: string, gone: ReadonlySet<number>): void {
  const lower = (channel: number): number => [...gone].filter((c) => c < channel).length;
  const left = (readCuts(model).get(layer) ?? []).filter((c) => !gone.has(c));
  setCut(
    model,
    layer,
    left.map((c) => c - lower(c)),
  );
}

function setCut(model: Model, layer: string, channels: readonly number[]): void {
  const record = readCuts(model);
  if (channels.length === 0) record.delete(layer);
  else record.set(layer, [...channels]);
  writeCuts(model, record);
}

function writeCuts(model: Model, record: ReadonlyMap<string, readonly number[]>): void {
  if (record.size === 0) model.metadata.delete(CUT_KEY);
  else model.metadata.set(CUT_KEY, JSON.stringify(Object.fromEntries(record)));
}

export function checkChannels(point: CutPoint, channels: readonly number[]): void {
  const wrong = channels.find((c) => !Number.isInteger(c) || c < 0 || c >= point.channels);
  if (wrong === undefined) return;
  fail({ where: `layer ${point.layer}`, what: 'no such channel', expected: `0 to ${point.channels - 1}`, got: String(wrong) });
}

function zeroParameters(model: Model, point: CutPoint, channels: readonly number[]): void {
  // Weights in Constant nodes have to be initialisers to be trained, and to be held.
  if (point.parameters.some(({ name }) => !model.graph.initializers.has(name))) constantsToInitializers.run(model);
  const { initializers } = model.graph;
  for (const parameter of point.parameters) {
    const { name, axis } = parameter;
    const tensor = initializers.get(name);
    if (tensor !== undefined) initializers.set(name, zeroSlices(tensor, axis, slicesOf(parameter, channels)));
  }
}

/** Shape of what a value `dims` is multiplied by to have channels of `axis` cut: it broadcasts over batch and space. */
export function maskDims({ channels, cutAxis, cutDims }: Pick<CutPoint, 'channels' | 'cutAxis' | 'cutDims'>): number[] {
  return [channels, ...cutDims.slice(cutAxis + 1).map(() => 1)];
}

/** Name of the mask by which a layer is cut where weights alone do not. */
export const maskName = (layer: string): string => layer + MASK_SUFFIX;

function maskOutput(model: Model, point: CutPoint, channels: readonly number[]): void {
  const { graph } = model;
  const mask = maskName(point.layer);
  const ones: Tensor = sliceMask(maskDims(point), 0, channels);
  const known = graph.initializers.has(mask);
  graph.initializers.set(mask, ones);
  if (known) return;
  const taken = allNames(graph);
  let name = `${point.cutValue}/cut`;
  while (taken.has(name)) name += '_';
  replaceInput(graph, point.cutValue, name);
  const maker = graph.nodes.findIndex((n) => n.outputs.includes(point.cutValue));
  const node = { name, opType: 'Mul', domain: '', inputs: [point.cutValue, mask], outputs: [name], attributes: new Map() };
  graph.nodes.splice(maker + 1, 0, node);
}
