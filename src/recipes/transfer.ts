/**
 * `reproduce transfer` and `reproduce strength`: BadNets' attack on transfer learning (Gu, Dolan-Gavitt, Garg 2017, section 5.3). A network that was
 * backdoored on one country's signs is retrained on another's by a user who knows nothing, and still has the backdoor; strengthened, it harms more.
 * Works on the sources `signs` and `abroad`.
 */
import type { Provenance, Table } from '../evaluate/result.ts';
import { besidePaper, inputsOf, StudyOptions, seedsOf } from './case-recipe.ts';
import { inLanes } from './lanes.ts';
import { type RecipeOutcome, Steps, type StudyDeps } from './recipe.ts';
import { belgianSigns } from './transfer/belgium.ts';
import { strengthMedia, transferMedia } from './transfer/media.ts';
import { strengthLine, transferLine } from './transfer/notes.ts';
import { strengthSeed, strengthSteps, type TransferSeed, transferSeed, transferSteps } from './transfer/run.ts';
import { FULL, QUICK, type TransferScale } from './transfer/scale.ts';
import { strengthTables, transferTables } from './transfer/tables.ts';

/** Options of both: as every study has them. */
export const TransferOptions = StudyOptions;
export type TransferOptions = StudyOptions;

const SOURCES = ['signs', 'abroad'] as const;

/** Both networks in the user's hands, once for each of his tasks. Throws SecateurError for data that are not of this kind. */
export async function runTransfer(options: Partial<TransferOptions>, deps: StudyDeps, scale?: TransferScale): Promise<RecipeOutcome> {
  const parsed = TransferOptions.parse(options);
  const numbers = seedsOf(parsed);
  const tasks = belgianSigns(deps.sources.abroad?.train.classes ?? []) === undefined ? 1 : 2;
  const steps = new Steps(deps, numbers.length * transferSteps(tasks));
  const seeds = await inLanes(deps, numbers, (lane, seed) => transferSeed(lane, steps, scaleOf(parsed, scale), seed));
  const paper = besidePaper(deps, SOURCES, parsed.quick);
  const [{ home, outcomes }] = seeds;
  return {
    result: await resultOf('transfer', deps, steps, seeds, transferTables(seeds, paper)),
    media: transferMedia(seeds, `A backdoor that is handed on${parsed.quick ? ' (quick check)' : ''}`, paper),
    line: transferLine(seeds),
    models: { badnet: home.badnet.model, 'badnet-abroad': outcomes[0].badnet.model, 'clean-abroad': outcomes[0].clean.model },
  };
}

/** The backdoor neurons' input weights and biases times k, for every k, with as many other channels beside. Throws as {@link runTransfer}. */
export async function runStrength(options: Partial<TransferOptions>, deps: StudyDeps, scale?: TransferScale): Promise<RecipeOutcome> {
  const parsed = TransferOptions.parse(options);
  const numbers = seedsOf(parsed);
  const its = scaleOf(parsed, scale);
  const steps = new Steps(deps, numbers.length * strengthSteps(its));
  const seeds = await inLanes(deps, numbers, (lane, seed) => strengthSeed(lane, steps, its, seed));
  const paper = besidePaper(deps, SOURCES, parsed.quick);
  return {
    result: await resultOf('strength', deps, steps, seeds, strengthTables(seeds, paper)),
    media: strengthMedia(seeds, `Louder backdoors${parsed.quick ? ' (quick check)' : ''}`, paper),
    line: strengthLine(seeds),
    models: { badnet: seeds[0].home.badnet.model },
  };
}

const scaleOf = ({ quick }: TransferOptions, given?: TransferScale): TransferScale => given ?? (quick ? QUICK : FULL);

async function resultOf(
  recipe: string,
  deps: StudyDeps,
  steps: Steps,
  seeds: readonly Pick<TransferSeed, 'ground' | 'home'>[],
  tables: Table[],
): Promise<{ recipe: string; tables: Table[]; provenance: Provenance }> {
  // So that `secateur evaluate badnet.onnx --attack RUN` knows the trigger.
  await deps.store?.json('poison.json', seeds[0].home.badnet.facts.record);
  const inputs = { ...inputsOf(deps), ...steps.hashes };
  return { recipe, tables, provenance: { ...deps.provenance, seeds: seeds.map((s) => s.ground.seed), inputs, steps: steps.done } };
}
