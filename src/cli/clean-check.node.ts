/** Before anything is cut: does the network work on the clean images at all? */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { agreement, type Better, describeChance, describeFeed, findBetter, GUESSING, Trial } from '../data/chance.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Model } from '../onnx/model.ts';
import { readSpec, type SpecOverrides } from '../onnx/spec.ts';
import type { Context } from './command.node.ts';
import { percent } from './output.node.ts';
import type { Work } from './work.node.ts';

export const chanceField = {
  allowChance: z.boolean().default(false).meta({
    description: 'go on though the network is no better than chance on the clean images, or far better with another --preprocess',
  }),
};

/** Between guessing and this (Cohen's kappa), another way to feed the network is looked for. */
const POOR = 0.5;
/** A way that is better by this leaves no doubt which one the network was trained with. */
const FAR_BETTER = 0.2;

interface Subject {
  readonly model: Model;
  readonly data: Dataset;
  readonly spec: SpecOverrides;
}

/**
 * Looks at up to 256 of the clean images. Where the network guesses, or does far better with another of the usual preprocessings, that is
 * said; a command that changes the network stops there.
 * @param stop whether it stops; `--allow-chance` says no
 * @throws SecateurError where that is so and the command would change the network
 */
export async function checkClean(context: Context, work: Work, subject: Subject, stop: boolean): Promise<void> {
  const { model, data, spec: overrides } = subject;
  const spec = readSpec(model, overrides);
  const found = await work.step('checking the preprocessing', async () => {
    const trial = new Trial(await work.runtime(), model, data, spec);
    const [said] = await trial.predictions([{}]);
    const now = agreement(said, trial.labels, spec.labels.length);
    return { now, better: now.kappa < POOR ? await findBetter(trial, now, spec) : undefined };
  });
  const { now, better } = found;
  const guessing = now.kappa < GUESSING;
  if (!guessing && better === undefined) return;
  const among = now.n < data.count ? `${now.n} of ${data.count}` : `${now.n}`;
  const how = guessing ? describeChance(now, spec.labels.length) : 'low';
  const what = `clean accuracy ${percent(now.accuracy, 1)} on ${among} images is ${how}: is the preprocessing right`;
  const source = (overrides.range ?? overrides.mean ?? overrides.std) ? 'as the flags say' : 'as the model file says';
  const fed = `a network fed with ${describeFeed(spec)} (${source})`;
  const others =
    better === undefined
      ? 'none of the usual preprocessings does better, so the classes may stand in another order (--labels), or this is another network or other data'
      : words(better);
  if (!stop || !(guessing || better!.kappa > now.kappa + FAR_BETTER)) {
    context.progress.line(`warning: ${what}? This is ${fed}; ${others}`);
    return;
  }
  fail({
    where: `data: ${data.source}`,
    what,
    expected: `${guessing ? 'a network that works' : 'what it was trained with'} before anything is changed`,
    got: `${fed}; ${others}`,
    hint: `${better === undefined ? '--preprocess FILE.yaml with what it was trained on' : better.flags}, or --allow-chance to go on as it is`,
  });
}

function words({ flags, accuracy, n }: Better): string {
  return `${flags} would give ${percent(accuracy, 1)} on ${n} of them`;
}
