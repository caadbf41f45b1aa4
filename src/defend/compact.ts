/** Takes channels that were cut out of the file, as its record tells them. */
import { chooseLayer } from '../inspect/layers.ts';
import type { Model } from '../onnx/model.ts';
import { compactChannels, whyNotCompact } from '../onnx/passes/compact-channels.ts';
import { readCuts } from '../onnx/passes/cut-channels.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';

export interface CompactedLayer {
  readonly layer: string;
  readonly removed: number;
  /** Why its channels stay in the file as zeros. */
  readonly kept?: string;
}

/** Shrinks every layer of which channels were cut, where the graph allows it. Logits stay the same, but for rounding. */
export async function compact(runtime: Runtime, model: Model): Promise<{ model: Model; layers: CompactedLayer[] }> {
  let small = model;
  const layers: CompactedLayer[] = [];
  for (const [layer, channels] of readCuts(model)) {
    const { point } = chooseLayer(small, await probe(runtime, small, { batch: 2 }), layer);
    const kept = channels.length === point.channels ? 'all of them are cut' : whyNotCompact(point, channels);
    if (kept === undefined) small = compactChannels(small, point, channels).model;
    layers.push({ layer, removed: kept === undefined ? channels.length : 0, ...(kept === undefined ? {} : { kept }) });
  }
  return { model: small, layers };
}
