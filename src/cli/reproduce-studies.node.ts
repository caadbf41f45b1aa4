/** `secateur reproduce face|speech|signs|pruning|table1`: the case studies of Fine-Pruning, the lecture's numbers beside. */
import { z } from 'zod';
import { runCaseRecipe, StudyOptions } from '../recipes/case-recipe.ts';
import type { CaseStudy } from '../recipes/cases/case.ts';
import { withNetwork } from '../recipes/cases/case.ts';
import { face } from '../recipes/cases/face.ts';
import { signs } from '../recipes/cases/signs.ts';
import { speech } from '../recipes/cases/speech.ts';
import type { RecipeOutcome, StudyDeps } from '../recipes/recipe.ts';
import { runPruning, runTableOne } from '../recipes/table-one.ts';
import { type Command, defineCommand } from './command.node.ts';
import { performStudy } from './recipe.node.ts';
import { outFields, runtimeFields } from './shared.node.ts';
import { KINDS, type SourceName } from './sources.node.ts';

const groupBy = z.string().optional().meta({
  description: 'columns of the table (or prefix of the file names) that say which images belong together',
  placeholder: 'COLUMNS',
});

/** For the recipes that train the same networks. */
export const stepsField = {
  steps: z
    .string()
    .optional()
    .meta({ description: 'a folder for trained networks: recipes that need the same one find it there', placeholder: 'DIR' }),
  jobs: z.number().int().min(1).max(64).default(1).meta({
    description:
      'networks that are worked on at a time, each with its share of the threads: more seeds in less time. Another share gives other last digits, so a run or --steps made with another number is not found again (unless --threads says the same)',
  }),
};

const address = (what: string): z.ZodOptional<z.ZodString> =>
  z
    .string()
    .optional()
    .meta({ description: `${what}, where they lie elsewhere`, placeholder: 'URI' });

/** One network. */
function caseCommand(study: CaseStudy, description: string, example: string, others: string): Command {
  const folders = KINDS[study.name].folders.join(', ');
  const data = z
    .string()
    .meta({ description: `the data, a folder that holds them as ${folders}, or builtin (synthetic)`, placeholder: 'DIR' });
  const { network: usual, prune } = study.scale;
  const network = z
    .string()
    .optional()
    .meta({
      description: `another network than ${usual}, with a layer ${prune.layer}: ${others}`,
      placeholder: 'NAME',
    });
  return defineCommand({
    name: `reproduce ${study.name}`,
    description,
    examples: [
      [`secateur reproduce ${study.name} --data ${example} --seeds 3`, 'means and intervals over three seeds'],
      [`secateur reproduce ${study.name} --data builtin --quick`, 'in a minute or two, with nothing to download: does everything run'],
    ],
    options: z.object({ data, groupBy, network, ...StudyOptions.shape, ...stepsField, ...outFields, ...runtimeFields }),
    run: (context, { data: from, groupBy: by, network: name, seeds, seed, quick, steps, jobs, out, force, backend, threads }) =>
      performStudy(context, {
        ...{ command: `reproduce ${study.name}`, data: from, sources: [study.name], seed, steps, jobs, out, force, backend, threads },
        ...(by === undefined ? {} : { groupBy: by }),
        ...(name === undefined || name === usual ? {} : { ownSize: true }),
        options: { seeds, seed, quick, ...(name === undefined ? {} : { network: name }) },
        run: (deps) => runCaseRecipe(name === undefined ? study : withNetwork(study, name), { seeds, seed, quick }, deps),
      }),
  });
}

const ALL: readonly SourceName[] = ['face', 'speech', 'signs'];

/** All three. */
export function tableCommand(
  name: string,
  description: string,
  run: (options: StudyOptions, deps: StudyDeps) => Promise<RecipeOutcome>,
): Command {
  return defineCommand({
    name: `reproduce ${name}`,
    description,
    examples: [
      [`secateur reproduce ${name} --data data/ --seeds 5`, 'data/ holds faces, speech and signs'],
      [`secateur reproduce ${name} --data builtin --quick`, 'synthetic data, few epochs: does everything run'],
    ],
    options: z.object({
      data: z.string().meta({
        description: 'a folder that holds the data of all three (see --face and so on), or builtin (synthetic)',
        placeholder: 'DIR',
      }),
      face: address(`faces: below --data ${KINDS.face.folders.join(', ')}`),
      speech: address(`recordings: below --data ${KINDS.speech.folders.join(', ')}`),
      signs: address(`signs: below --data ${KINDS.signs.folders.join(', ')}`),
      ...StudyOptions.shape,
      ...stepsField,
      ...outFields,
      ...runtimeFields,
    }),
    run: (context, { data, face: faces, speech: sounds, signs: pictures, seeds, seed, quick, steps, jobs, out, force, backend, threads }) =>
      performStudy(context, {
        ...{ command: `reproduce ${name}`, data, sources: ALL, seed, steps, jobs, out, force, backend, threads },
        each: { face: faces, speech: sounds, signs: pictures },
        options: { seeds, seed, quick },
        run: (deps) => run({ seeds, seed, quick }, deps),
      }),
  });
}

const CONTROLS =
  "With the controls: an honest network defended, fine-tuning alone, training from scratch on the defender's images, how soon the backdoor is learnt again.";

export const reproduceFace = caseCommand(
  face,
  `Fine-Pruning's face recognition: DeepID, sunglasses, one person whom all wearers become. ${CONTROLS}`,
  'yaleb/',
  'zf-small, for one',
);
export const reproduceSpeech = caseCommand(
  speech,
  `Fine-Pruning's speech recognition: spectrograms of digits, quiet noise, digit n becomes n + 1. ${CONTROLS}`,
  'fsdd/',
  "speech-alexnet is the paper's at full size, for --data 'fsdd/?size=512&channels=3'",
);
export const reproduceSigns = caseCommand(
  signs,
  `Traffic signs: a yellow square, and a sign is taken for any other (classification; the detector is another recipe). ${CONTROLS}`,
  'gtsrb/',
  'zf has the full width, for images of 33 pixels and more',
);
export const reproducePruning = tableCommand(
  'pruning',
  'Clean accuracy and attack success against the share of channels cut, for three networks and both attacks, with the three phases.',
  runPruning,
);
export const reproduceTable1 = tableCommand(
  'table1',
  `Fine-Pruning's Table 1: three networks, two attacks, three defences, and which claims of the lecture hold on these data. ${CONTROLS}`,
  runTableOne,
);
