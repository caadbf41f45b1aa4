/** Clean accuracy of a model, for commands that show how it moved. */
import type { Dataset } from '../data/dataset.ts';
import { predict } from '../data/forward.ts';
import { type CleanRates, cleanRates } from '../evaluate/rates.ts';
import type { Rate } from '../evaluate/wilson.ts';
import type { Model } from '../onnx/model.ts';
import type { SpecOverrides } from '../onnx/spec.ts';
import type { Runtime } from '../runtime/session.ts';

/** Over all of `data` and by class. */
export async function accuracyOf(runtime: Runtime, model: Model, data: Dataset, spec: SpecOverrides): Promise<CleanRates> {
  const { labels, classes } = await predict(runtime, model, data, { spec });
  return cleanRates(labels, data.labels, classes);
}

export async function validationAccuracy(runtime: Runtime, model: Model, data: Dataset<'validation'>, spec: SpecOverrides): Promise<Rate> {
  return (await accuracyOf(runtime, model, data, spec)).accuracy;
}
