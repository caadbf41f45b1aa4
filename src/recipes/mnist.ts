/**
 * `reproduce mnist`: BadNets' MNIST experiment (Gu, Dolan-Gavitt, Garg 2017, section 4) and Fine-Pruning's attacks and defences (Liu,
 * Dolan-Gavitt, Garg 2018) on its networks.
 */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { shapeText, subset } from '../data/make.ts';
import { runSeeds } from './experiment.ts';
import { mediaOf } from './media.ts';
import type { RecipeData, RecipeDeps, RecipeOutcome } from './recipe.ts';
import { MNIST, MNIST_QUICK, QUICK_IMAGES } from './scale.ts';
import { headline, tablesOf } from './story.ts';

export const MnistOptions = z.object({
  seeds: z.number().int().min(1).max(100).default(1).meta({ description: 'how many seeds; the tables hold means and intervals over them' }),
  seed: z.number().int().min(0).default(1).meta({ description: 'the first of them' }),
  quick: z
    .boolean()
    .default(false)
    .meta({ description: 'a small part of the data and few epochs: shows that it runs, reproduces nothing' }),
});
export type MnistOptions = z.infer<typeof MnistOptions>;

/**
 * Runs the experiment for every seed. The paper's numbers stand beside where the data are real and whole.
 * Throws SecateurError where the data are not ten classes of 1x28x28 images.
 */
export async function runMnist(options: Partial<MnistOptions>, deps: RecipeDeps): Promise<RecipeOutcome> {
  const { seeds, seed, quick } = MnistOptions.parse(options);
  checkData(deps.data);
  const scale = quick ? MNIST_QUICK : MNIST;
  const data = quick ? smaller(deps.data) : deps.data;
  const numbers = Array.from({ length: seeds }, (_, i) => seed + i);
  const { results, steps } = await runSeeds({ ...deps, data }, scale, numbers);
  // So that `secateur evaluate badnet.onnx --attack RUN` knows the trigger.
  await deps.store?.json('poison.json', results[0].record);
  const paper = !quick && data.train.count === MNIST_TRAIN && data.test.count === MNIST_TEST;
  return {
    result: {
      recipe: 'mnist',
      tables: tablesOf(results, { paper }),
      provenance: {
        ...deps.provenance,
        seeds: numbers,
        inputs: { train: data.train.sha256, test: data.test.sha256, ...steps.hashes },
        steps: steps.done,
      },
    },
    media: mediaOf(results[0], quick ? 'BadNets on MNIST (quick check)' : 'BadNets on MNIST'),
    line: headline(results),
    models: { badnet: results[0].badnets.pattern.model, clean: results[0].baseline.model },
  };
}

const MNIST_TRAIN = 60000;
const MNIST_TEST = 10000;

function checkData({ train, test }: RecipeData): void {
  for (const data of [train, test]) {
    const got = `${shapeText(data)}, ${data.classes.length} classes`;
    if (got !== '1x28x28, 10 classes')
      fail({ where: `data: ${data.source}`, what: 'not like MNIST', expected: '1x28x28, 10 classes', got });
  }
}

function smaller({ train, test }: RecipeData): RecipeData {
  const first = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);
  return {
    train: subset(train, first(Math.min(train.count, QUICK_IMAGES.train))),
    test: subset(test, first(Math.min(test.count, QUICK_IMAGES.test))),
  };
}
