/** `reproduce zoo`: a network is swapped behind its address, and who notices. The supply-chain part of the lecture as a run on a server of this machine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { subset } from '../data/make.ts';
import { type RecipeData, type RecipeDeps, type RecipeOutcome, Steps } from './recipe.ts';
import { headline, zooMedia } from './zoo/media.ts';
import { makeNetworks, NETWORK_STEPS } from './zoo/networks.ts';
import { Publisher } from './zoo/publisher.node.ts';
import { FULL, QUICK, QUICK_IMAGES } from './zoo/scale.ts';
import { uploadsOf } from './zoo/site.node.ts';
import { zooTables } from './zoo/tables.ts';
import { STORY_PARTS, tell } from './zoo/tell.node.ts';
import type { RunCommand } from './zoo/users.node.ts';

export const ZooOptions = z.object({
  seed: z.number().int().min(0).default(1).meta({ description: 'all randomness of training comes from it' }),
  quick: z.boolean().default(false).meta({ description: 'few images and epochs: the same story with worse networks' }),
});
export type ZooOptions = z.infer<typeof ZooOptions>;

/** @param command runs the command lines of those users who have Secateur */
export async function runZoo(options: Partial<ZooOptions>, deps: RecipeDeps, command: RunCommand): Promise<RecipeOutcome> {
  const { seed, quick } = ZooOptions.parse(options);
  const data = quick ? smaller(deps.data) : deps.data;
  const steps = new Steps(deps, NETWORK_STEPS + STORY_PARTS);
  const networks = await makeNetworks({ ...deps, data }, steps, quick ? QUICK : FULL, seed);
  const server = await Publisher.open();
  const dir = await mkdtemp(join(tmpdir(), 'secateur-reproduce-zoo-'));
  try {
    const story = await tell({
      ...{ server, uploads: uploadsOf(networks), dir, command, judge: networks.judge, signal: deps.signal },
      part: (name, work) => steps.measure(name, work),
    });
    // So that `secateur evaluate badnet.onnx --attack RUN` knows the trigger.
    await deps.store?.json('poison.json', networks.badnet.facts.record);
    const { train, test } = data;
    return {
      result: {
        recipe: 'zoo',
        tables: zooTables(story),
        provenance: {
          ...deps.provenance,
          seeds: [seed],
          inputs: { train: train.sha256, test: test.sha256, ...steps.hashes },
          steps: steps.done,
        },
      },
      media: await zooMedia(story, networks, data, quick),
      line: headline(story),
      models: { clean: networks.honest.model, badnet: networks.badnet.model },
    };
  } finally {
    await server.close();
    await rm(dir, { recursive: true, force: true });
  }
}

function smaller({ train, test }: RecipeData): RecipeData {
  const first = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);
  return {
    train: subset(train, first(Math.min(train.count, QUICK_IMAGES.train))),
    test: subset(test, first(Math.min(test.count, QUICK_IMAGES.test))),
  };
}
