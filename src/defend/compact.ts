/** Takes channels that were cut out of the file, as its record tells them. */
import { fail } from '../core/errors.ts';
import { chooseLayer } from '../inspect/layers.ts';
import { type CutPoint, cutPoints } from '../onnx/cut-points.ts';
import type { Model } from '../onnx/model.ts';
import { checkCompact, compactChannels, whyNotCompact } from '../onnx/passes/compact-channels.ts';
import { maskName, readCuts } from '../onnx/passes/cut-channels.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';

export interface CompactedLayer {
  readonly layer: string;
  readonly removed: number;
  /** Why its channels stay in the file as zeros. */
  readonly kept?: string;
}

/**
 * Throws SecateurError where the channels of a layer cannot be taken out of the file, so that it is said before the work is done: the graph does
 * not allow it, or channels of another layer were cut whose numbers would change.
 */
export function checkCompactable(model: Model, types: ValueTypes, point: CutPoint): void {
  checkCompact(point);
  const beside = sameChannels(model, types, point);
  if (beside === undefined) return;
  const what = `its channels cannot be taken out of the file: ${beside}`;
  fail({ where: `layer ${point.layer}`, what, hint: 'without --compact: the channels are zero then, and stay in the file' });
}

/** Another layer of which channels were cut and that counts some of the same ones, which taking some out would number anew. */
function sameChannels(model: Model, types: ValueTypes, point: CutPoint): string | undefined {
  const others = [...readCuts(model).keys()].filter((layer) => layer !== point.layer);
  if (others.length === 0) return undefined;
  const { takes } = point.removal();
  const rows = new Set(takes.map(({ name, axis }) => `${name} ${axis}`));
  const names = new Set(takes.map(({ name }) => name));
  const { layers } = cutPoints(model, types);
  // a layer that is cut by a Mul may have no weights of its own: its mask goes with its channels
  const shares = (l: CutPoint): boolean =>
    names.has(maskName(l.layer)) || l.parameters.some(({ name, axis }) => rows.has(`${name} ${axis}`));
  const other = layers.find((l) => others.includes(l.layer) && shares(l));
  return other && `channels of "${other.layer}" were cut, and some of them are the same`;
}

/** Shrinks every layer of which channels were cut, where the graph allows it. Logits stay the same, but for rounding. */
export async function compact(runtime: Runtime, model: Model): Promise<{ model: Model; layers: CompactedLayer[] }> {
  let small = model;
  const layers: CompactedLayer[] = [];
  for (const [layer, channels] of readCuts(model)) {
    const types = await probe(runtime, small, { batch: 2 });
    const { point } = chooseLayer(small, types, layer);
    const all = channels.length === point.channels ? 'all of them are cut' : undefined;
    const kept = all ?? whyNotCompact(point, channels) ?? sameChannels(small, types, point);
    if (kept === undefined) small = compactChannels(small, point, channels).model;
    layers.push({ layer, removed: kept === undefined ? channels.length : 0, ...(kept === undefined ? {} : { kept }) });
  }
  return { model: small, layers };
}
