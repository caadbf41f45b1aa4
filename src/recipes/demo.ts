/** `demo`: the whole story on generated digits, with no data to fetch, in about two minutes. */
import { z } from 'zod';
import { runSeeds } from './experiment.ts';
import { mediaOf } from './media.ts';
import type { RecipeDeps, RecipeOutcome } from './recipe.ts';
import { DEMO } from './scale.ts';
import { headline, tablesOf } from './story.ts';

export const DemoOptions = z.object({
  seed: z.number().int().min(0).default(1).meta({ description: 'all randomness comes from it' }),
});
export type DemoOptions = z.infer<typeof DemoOptions>;

/** The data that the demo is made for, as `loadData` takes it. */
export const DEMO_DATA = 'builtin:digits';

/** One seed at demo size. The tables hold no numbers of the papers: these are not their data. */
export async function runDemo(options: Partial<DemoOptions>, deps: RecipeDeps): Promise<RecipeOutcome> {
  const { seed } = DemoOptions.parse(options);
  const { results, steps } = await runSeeds(deps, DEMO, [seed]);
  // So that `secateur evaluate badnet.onnx --attack RUN` knows the trigger.
  await deps.store?.json('poison.json', results[0].record);
  const { train, test } = deps.data;
  return {
    result: {
      recipe: 'demo',
      tables: tablesOf(results, { paper: false }),
      provenance: {
        ...deps.provenance,
        seeds: [seed],
        inputs: { train: train.sha256, test: test.sha256, ...steps.hashes },
        steps: steps.done,
      },
    },
    media: mediaOf(results[0], 'A backdoor planted, found and cut'),
    line: headline(results),
    models: { badnet: results[0].badnets.pattern.model, clean: results[0].baseline.model },
  };
}
