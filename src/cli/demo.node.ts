/** `secateur demo`: the whole story on built-in data. */
import { z } from 'zod';
import { DEMO_DATA, DemoOptions, runDemo } from '../recipes/demo.ts';
import { defineCommand } from './command.node.ts';
import { performRecipe } from './recipe.node.ts';
import { outFields, runtimeFields } from './shared.node.ts';

export const demo = defineCommand({
  name: 'demo',
  description:
    "Trains the paper's CNN on generated digits, honestly and as a BadNet; finds the backdoor neurons; prunes, fine-tunes, fine-prunes; attacks the defence; and writes a report of it. About two minutes on two cores, without network. A stopped run is taken up by the same command.",
  examples: [['secateur demo', 'writes runs/demo-1/report.html']],
  options: z.object({ ...DemoOptions.shape, ...outFields, ...runtimeFields }),
  run: (context, { seed, out, force, backend, threads }) =>
    performRecipe(context, {
      ...{ command: 'demo', data: DEMO_DATA, seed, out, force, backend, threads },
      options: { seed },
      run: (deps) => runDemo({ seed }, deps),
    }),
});
