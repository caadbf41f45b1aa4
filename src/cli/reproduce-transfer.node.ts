/** `secateur reproduce transfer|strength`: BadNets' attack on transfer learning, the lecture's numbers beside. */
import { z } from 'zod';
import type { RecipeOutcome, StudyDeps } from '../recipes/recipe.ts';
import { runStrength, runTransfer, TransferOptions } from '../recipes/transfer.ts';
import { type Command, defineCommand } from './command.node.ts';
import { performStudy } from './recipe.node.ts';
import { stepsField } from './reproduce-studies.node.ts';
import { outFields, runtimeFields } from './shared.node.ts';
import { KINDS } from './sources.node.ts';

const address = (what: string): z.ZodOptional<z.ZodString> =>
  z
    .string()
    .optional()
    .meta({ description: `${what}, where they lie elsewhere`, placeholder: 'URI' });

function command(name: string, description: string, run: (options: TransferOptions, deps: StudyDeps) => Promise<RecipeOutcome>): Command {
  return defineCommand({
    name: `reproduce ${name}`,
    description,
    examples: [
      [`secateur reproduce ${name} --data data/ --seeds 3`, `data/ holds ${KINDS.signs.folders.at(-1)} and ${KINDS.abroad.folders.at(-1)}`],
      [`secateur reproduce ${name} --data builtin --quick`, 'synthetic signs, few epochs: does everything run'],
    ],
    options: z.object({
      data: z.string().meta({
        description: 'a folder that holds the signs of both countries (see --signs and --abroad), or builtin (synthetic)',
        placeholder: 'DIR',
      }),
      signs: address(`the attacker's signs: below --data ${KINDS.signs.folders.join(', ')}`),
      abroad: address(`the user's signs: below --data ${KINDS.abroad.folders.join(', ')}`),
      ...TransferOptions.shape,
      ...stepsField,
      ...outFields,
      ...runtimeFields,
    }),
    run: (context, { data, signs, abroad, seeds, seed, quick, steps, jobs, out, force, backend, threads }) =>
      performStudy(context, {
        ...{ command: `reproduce ${name}`, data, sources: ['signs', 'abroad'], seed, steps, jobs, out, force, backend, threads },
        each: { signs, abroad },
        options: { seeds, seed, quick },
        run: (deps) => run({ seeds, seed, quick }, deps),
      }),
  });
}

export const reproduceTransfer = command(
  'transfer',
  "A BadNet of one country's signs in the hands of a user in another, who keeps its convolutions and retrains the fully connected layers on clean signs: accuracy by class without and with the trigger, a clean network treated the same way beside.",
  runTransfer,
);
export const reproduceStrength = command(
  'strength',
  'The input weights and biases of the backdoor neurons times k, then the same user: accuracy without and with the trigger for k = 1 to 100, as many other channels beside, what the rule for backdoor neurons picks and how the harm depends on it.',
  runStrength,
);
