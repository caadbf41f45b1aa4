/**
 * Cuts channels: their output becomes zero whatever follows. Where everything between the weights and the cut point keeps zero, the layer's
 * weights and bias (and batch norm's scale and shift) are zeroed and the graph stays as it is; else a Mul by zeros and ones is put behind.
 */
import { fail } from '../../core/errors.ts';
import type { Tensor } from '../../core/tensor.ts';
import type { CutPoint } from '../cut-points.ts';
import { allNames, replaceInput } from '../edit.ts';
import type { Model } from '../model.ts';
import { sliceMask, zeroSlices } from '../slices.ts';
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
      model.metadata.set(CUT_KEY, JSON.stringify(Object.fromEntries(record)));
      return true;
    },
  };
}

/** The masks that keep the channels of a layer cut, as recorded in the model; empty where a Mul in the graph does it, or nothing was cut. */
export function cutMasks(model: Model, point: CutPoint): Map<string, Tensor> {
  const cut = readCuts(model).get(point.layer) ?? [];
  const masks = new Map<string, Tensor>();
  if (cut.length === 0 || !point.zeroable) return masks;
  for (const { name, axis } of point.parameters) {
    const tensor = model.graph.initializers.get(name);
    if (tensor !== undefined) masks.set(name, sliceMask(tensor.dims, axis, cut));
  }
  return masks;
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

/** A record without `layer`, for a file from which the channels are gone altogether. */
export function forgetCut(model: Model, layer: string): void {
  const record = readCuts(model);
  record.delete(layer);
  if (record.size === 0) model.metadata.delete(CUT_KEY);
  else model.metadata.set(CUT_KEY, JSON.stringify(Object.fromEntries(record)));
}

export function checkChannels(point: CutPoint, channels: readonly number[]): void {
  const wrong = channels.find((c) => !Number.isInteger(c) || c < 0 || c >= point.channels);
  if (wrong === undefined) return;
  fail({ where: `layer ${point.layer}`, what: 'no such channel', expected: `0 to ${point.channels - 1}`, got: String(wrong) });
}

function zeroParameters(model: Model, point: CutPoint, channels: readonly number[]): void {
  const { initializers } = model.graph;
  for (const { name, axis } of point.parameters) {
    const tensor = initializers.get(name);
    if (tensor !== undefined) initializers.set(name, zeroSlices(tensor, axis, channels));
  }
}

function maskOutput(model: Model, point: CutPoint, channels: readonly number[]): void {
  const { graph } = model;
  const mask = point.layer + MASK_SUFFIX;
  // Broadcasts over batch and space: [C,1,1] for maps, [C] for vectors.
  const ones: Tensor = sliceMask([point.channels, ...point.dims.slice(2).map(() => 1)], 0, channels);
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
