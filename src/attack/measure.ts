/** How an attacker sees his own network: on data of his own that he tunes on, never on the judge's test data. */
import type { Dataset, TriggeredDataset } from '../data/dataset.ts';
import { predict } from '../data/forward.ts';
import type { Model } from '../onnx/model.ts';
import type { Runtime } from '../runtime/session.ts';

/** Both 0..1. */
export interface Holding {
  readonly cleanAccuracy: number;
  readonly attackSuccess: number;
}

/** Clean accuracy and attack success on tuning data; for `targets` of -1 any wrong class is a success. */
export async function measure(
  runtime: Runtime,
  model: Model,
  tune: Dataset<'tune'>,
  triggered: TriggeredDataset & { readonly role: 'tune' },
): Promise<Holding> {
  const clean = (await predict(runtime, model, tune)).labels;
  const fooled = (await predict(runtime, model, triggered)).labels;
  const { labels, targets } = triggered;
  return {
    cleanAccuracy: share(clean, (p, i) => p === tune.labels[i]),
    attackSuccess: share(fooled, (p, i) => (targets[i] < 0 ? p !== labels[i] : p === targets[i])),
  };
}

function share(predicted: Int32Array, right: (p: number, i: number) => boolean): number {
  let count = 0;
  for (let i = 0; i < predicted.length; i++) if (right(predicted[i], i)) count++;
  return count / predicted.length;
}
