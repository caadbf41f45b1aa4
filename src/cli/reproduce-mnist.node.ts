/** `secateur reproduce mnist`: the tables of BadNets' MNIST experiment and Fine-Pruning's defences, the papers' numbers beside. */
import { z } from 'zod';
import { MnistOptions, runMnist } from '../recipes/mnist.ts';
import { defineCommand } from './command.node.ts';
import { performRecipe } from './recipe.node.ts';
import { dataField, outFields, runtimeFields } from './shared.node.ts';

export const reproduceMnist = defineCommand({
  name: 'reproduce mnist',
  description:
    'An honest network and BadNets with both triggers and three fractions of poison; per-class errors; backdoor neurons and filters; pruning, fine-tuning and fine-pruning against the baseline attack and the pruning-aware attack; the same defences on the honest network. A stopped run is taken up by the same command.',
  examples: [
    ['secateur reproduce mnist --data mnist/ --seeds 3', 'means and intervals over three seeds'],
    ['secateur reproduce mnist --data mnist/ --quick', 'in a minute: does everything run'],
  ],
  options: z.object({ ...dataField, ...MnistOptions.shape, ...outFields, ...runtimeFields }),
  run: (context, { data, seeds, seed, quick, out, force, backend, threads }) =>
    performRecipe(context, {
      ...{ command: 'reproduce mnist', data, seed, out, force, backend, threads },
      options: { seeds, seed, quick },
      run: (deps) => runMnist({ seeds, seed, quick }, deps),
    }),
});
