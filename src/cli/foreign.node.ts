/** Opening a network that somebody else exported, for the commands that work on it. */
import { fail } from '../core/errors.ts';
import { needsTypes, whyNotClassifier } from '../onnx/classifier.ts';
import { imageInput } from '../onnx/image-input.ts';
import type { Model } from '../onnx/model.ts';
import { type SpecOverrides, trueInputs } from '../onnx/spec.ts';
import { probe } from '../runtime/probe.ts';
import { type WorkingModel, workingModel } from '../runtime/working-model.ts';
import type { Context } from './command.node.ts';
import { openModel } from './shared.node.ts';
import type { Work } from './work.node.ts';

export interface OpenedModel extends Pick<WorkingModel, 'model' | 'fixed' | 'restore'> {
  readonly sha256: string;
}

/**
 * Reads a network and makes it ready to work on; `restore` gives what becomes of it the form of the file again. What was changed on the
 * way, or could not be, is said as notes.
 */
export async function openNetwork(context: Context, work: Work, path: string, spec: SpecOverrides): Promise<OpenedModel> {
  const { model, sha256 } = await openModel(path, work.trust);
  work.inputs.model = sha256;
  return work.step('opening the model', () => prepared(context, work, model, sha256, spec));
}

/** The same for classifiers. Throws SecateurError for a network that is none, with what it is instead. */
export async function openClassifier(context: Context, work: Work, path: string, spec: SpecOverrides): Promise<OpenedModel> {
  const { model, sha256 } = await openModel(path, work.trust);
  work.inputs.model = sha256;
  const said = spec.logits !== undefined || model.metadata.has('secateur.logits');
  if (!said) checkClassifier(path, whyNotClassifier(model));
  return work.step('opening the model', async () => {
    const opened = await prepared(context, work, model, sha256, spec);
    if (!said && needsTypes(opened.model)) {
      checkClassifier(path, whyNotClassifier(model, await probe(await work.runtime(), opened.model, { batch: 2 })));
    }
    return opened;
  });
}

async function prepared(context: Context, work: Work, model: Model, sha256: string, spec: SpecOverrides): Promise<OpenedModel> {
  const working = await workingModel(await work.runtime(), model, { dims: sizesOf(model, spec) });
  for (const note of working.notes) context.progress.line(`note: ${note}`);
  return { ...working, sha256 };
}

function checkClassifier(where: string, why: string | undefined): void {
  if (why === undefined) return;
  const expected = 'one output with a row of class scores for each image, [N,classes]';
  fail({ where, what: `not a classifier of images: ${why}`, expected });
}

/** Sizes that images will have; undefined where the input is not of images, which is told later by who needs images. */
function sizesOf(model: Model, spec: SpecOverrides): readonly number[] | undefined {
  const [info] = trueInputs(model);
  // A model in another element type is one in float32 by then.
  const asFloat = info && { ...info, dtype: info.dtype?.includes('float') ? ('float32' as const) : info.dtype };
  try {
    return asFloat && imageInput(model, asFloat, spec).dims;
  } catch {
    return undefined;
  }
}
