/** `reproduce face`, `speech`, `signs`: one case study of Fine-Pruning with all its attacks, defences and controls. */
import { z } from 'zod';
import type { CaseStudy } from './cases/case.ts';
import { face } from './cases/face.ts';
import { caseMedia } from './cases/media.ts';
import { outcome } from './cases/notes.ts';
import { BASELINE, type CaseSeed, type CaseWork, caseSteps, runCase } from './cases/run.ts';
import { signs } from './cases/signs.ts';
import { speech } from './cases/speech.ts';
import { caseTables } from './cases/tables.ts';
import { inLanes } from './lanes.ts';
import { type RecipeOutcome, Steps, type StudyDeps } from './recipe.ts';

export const CASES: readonly CaseStudy[] = [face, speech, signs];

export const StudyOptions = z.object({
  seeds: z.number().int().min(1).max(100).default(1).meta({ description: 'how many seeds; the tables hold means and intervals over them' }),
  seed: z.number().int().min(1).default(1).meta({ description: 'the first of them' }),
  quick: z.boolean().default(false).meta({ description: 'few epochs: shows that it runs, reproduces nothing' }),
});
export type StudyOptions = z.infer<typeof StudyOptions>;

/** The numbers of the seeds. */
export const seedsOf = ({ seed, seeds }: StudyOptions): number[] => Array.from({ length: seeds }, (_, i) => seed + i);

/** Whether the paper's numbers may stand beside: the data are real and the run is whole. */
export const besidePaper = (deps: StudyDeps, names: readonly string[], quick: boolean): boolean =>
  !quick && names.every((name) => !deps.sources[name].synthetic);

/** `face: /data/yaleb` -> its sha-256, for the provenance. */
export function inputsOf(deps: StudyDeps): Record<string, string> {
  return Object.fromEntries(
    Object.entries(deps.sources).flatMap(([name, { train, test }]) => [
      [`${name} train`, train.sha256],
      ...(test === undefined ? [] : [[`${name} test`, test.sha256]]),
    ]),
  );
}

/** Where several networks are run, their controls are for so many seeds only: they cost as much as the table itself. */
export const CONTROL_SEEDS = 2;

/** All seeds of some cases on one list of steps, several at a time where there are lanes. */
export async function runCases(
  deps: StudyDeps,
  studies: readonly CaseStudy[],
  options: StudyOptions,
  work: CaseWork,
): Promise<{ cases: CaseSeed[][]; steps: Steps }> {
  const { quick } = options;
  const numbers = seedsOf(options);
  const few = studies.length > 1;
  const workOf = (seed: number): CaseWork => ({ ...work, controls: work.controls && (!few || seed < numbers[0] + CONTROL_SEEDS) });
  // by seed first: a run that is stopped early has every network
  const tasks = numbers.flatMap((seed) => studies.map((study) => ({ seed, study })));
  const count = tasks.reduce((a, { seed, study }) => a + caseSteps(study, quick, workOf(seed)), 0);
  const steps = new Steps(deps, count);
  const done = await inLanes(deps, tasks, (lane, { seed, study }) => {
    const prefix = few ? `${study.name}-` : '';
    return runCase(lane, steps, study, { seed, quick, work: workOf(seed), prefix });
  });
  const cases = studies.map((study) => done.filter((seed) => seed.study === study));
  return { cases, steps };
}

/** One case with everything. Throws SecateurError where the data are not of its kind. */
export async function runCaseRecipe(study: CaseStudy, options: Partial<StudyOptions>, deps: StudyDeps): Promise<RecipeOutcome> {
  const parsed = StudyOptions.parse(options);
  const work = { defences: true, controls: true, extras: !parsed.quick };
  const { cases, steps } = await runCases(deps, [study], parsed, work);
  const [seeds] = cases;
  const real = besidePaper(deps, [study.name], parsed.quick);
  // So that `secateur evaluate badnet.onnx --attack RUN` knows the trigger.
  await deps.store?.json('poison.json', seeds[0].record);
  return {
    result: {
      recipe: study.name,
      tables: caseTables(seeds, real),
      provenance: { ...deps.provenance, seeds: seedsOf(parsed), inputs: { ...inputsOf(deps), ...steps.hashes }, steps: steps.done },
    },
    media: caseMedia(seeds, `${study.title}: ${parsed.quick ? 'a quick check' : 'a backdoor planted, found and cut'}`, real),
    line: `${study.name}: ${outcome(seeds, BASELINE)}`,
    models: { badnet: seeds[0].badnet.model, clean: seeds[0].clean.model },
  };
}
