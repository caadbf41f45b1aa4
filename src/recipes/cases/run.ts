/**
 * One seed of one case study: an honest network, a BadNet, the pruning-aware attack with both bias rules; every defence against each; and the
 * controls without which the numbers say little (the honest network defended, fine-tuning alone, training from scratch on the defender's images, how
 * quickly the backdoor is learnt again).
 */
import type { Round } from '../../attack/pruning-aware.ts';
import { sha256 } from '../../core/hash.ts';
import type { Dataset } from '../../data/dataset.ts';
import { predict } from '../../data/forward.ts';
import { Judge, type Judgement, type TriggeredTest } from '../../evaluate/judge.ts';
import { cleanRates } from '../../evaluate/rates.ts';
import type { Rate } from '../../evaluate/wilson.ts';
import { asleep, type SleepReport } from '../../inspect/asleep.ts';
import { type MarginSweep, marginSweep } from '../../inspect/margin-sweep.ts';
import { type ChannelsMoved, channelsMoved } from '../../inspect/moved.ts';
import { type Phase, pruningPhases } from '../../inspect/phases.ts';
import type { Model } from '../../onnx/model.ts';
import { writeModel } from '../../onnx/proto.ts';
import { type PoisonOptions, triggered } from '../../poison/poison.ts';
import type { EpochRecord } from '../../train/checkpoint.ts';
import { train } from '../../train/loop.ts';
import { buildNetwork } from '../../train/networks/registry.ts';
import { Bench, type PrunedSuspect, type RateSweep, type Suspect } from '../bench.ts';
import type { MadeModel, Source, Steps, StudyDeps } from '../recipe.ts';
import { type Relearnt, relearnAll } from '../relearning.ts';
import { attackRate, type CaseParts, type CaseScale, type CaseStudy, stepRate } from './case.ts';

/** How much of a case is done. */
export interface CaseWork {
  /** Fine-tuning and fine-pruning, not only the pruning curves. */
  readonly defences: boolean;
  /** The honest network defended, training from scratch, re-learning, the margin sweep. */
  readonly controls: boolean;
  /** What only the page of a single case shows: the network that the paper does not have, other rates of fine-tuning. */
  readonly extras: boolean;
}

export interface CaseNet {
  readonly model: Model;
  readonly history: readonly EpochRecord[];
  readonly judgement: Judgement;
  readonly predicted: { readonly clean: Int32Array; readonly attacked: Int32Array };
}

export interface CaseSuspect extends PrunedSuspect {
  /** Undefined where only pruning was asked for. */
  readonly defended?: Suspect;
  readonly phases: readonly Phase[];
  /** How far fine-tuning and fine-pruning moved the weights of the backdoor neurons, and of the others. */
  readonly moved?: { readonly tuned: ChannelsMoved; readonly finepruned: ChannelsMoved };
  /** The dead-channel check on the defender's clean images, in the layer that is pruned. */
  readonly asleep: SleepReport;
}

export interface CaseSeed {
  readonly study: CaseStudy;
  readonly scale: CaseScale;
  readonly seed: number;
  readonly source: Source;
  readonly parts: CaseParts;
  readonly triggeredTest: TriggeredTest;
  readonly record: unknown;
  readonly clean: CaseNet;
  readonly badnet: CaseNet;
  /** Clean accuracy of the honest network on the attacker's tuning images, which it was not trained on either. */
  readonly tune: Rate;
  /** `baseline`, `pruning-aware`, `pruning-aware (paper)`, `clean model`. */
  readonly suspects: readonly CaseSuspect[];
  readonly rounds: readonly Round[];
  readonly held: boolean;
  readonly controls?: {
    readonly scratch: Judgement;
    /** By network: what it was before it was taught the backdoor again. */
    readonly relearnt: readonly Relearnt[];
    readonly margins: MarginSweep;
  };
  readonly rates?: RateSweep;
  /** The network that the paper does not have, honest. */
  readonly better?: { readonly network: string; readonly judgement: Judgement };
}

export const BASELINE = 'baseline';
export const AWARE = 'pruning-aware';
export const AUTHORS = 'pruning-aware (paper)';
export const CLEAN = 'clean model';

/** Highest rate of the network that the paper does not have, which has batch norms and takes larger steps than the others. */
const BETTER_RATE = 0.1;

/** Margins of the sweep, in units of the pre-activation. */
const MARGINS = [0, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];
const FEW_MARGINS = [0.1, 1, 10];

/** Steps of one seed, for the progress line. */
export function caseSteps(study: CaseStudy, quick: boolean, work: CaseWork): number {
  const scale = quick ? study.quick : study.scale;
  const nets = 2 + 1 + scale.pruningAware.bias.length;
  // pruned and examined for each suspect; tuned and fine-pruned for those that are defended
  const defended = work.defences ? (work.controls ? 3 : 2) : 0;
  const suspects = defended * 4 + (4 - defended) * 2;
  return (
    nets + suspects + (work.controls ? 3 : 0) + (work.extras ? 2 * scale.otherRates.length + (scale.better === undefined ? 0 : 1) : 0) + 1
  );
}

/**
 * All that a case's networks are made of: which images are whose, the attack, the scale, the network as it begins. Steps of that name are found by
 * other recipes (`shared-steps.node.ts`).
 */
export function sharedKey(study: CaseStudy, scale: CaseScale, seed: number, parts: CaseParts, attack: Omit<PoisonOptions, 'seed'>): string {
  const { channels, height, width, classes } = parts.train;
  const first = writeModel(buildNetwork(scale.network, seed, { channels, height, width, classes: classes.length, ...scale.normalize }));
  const images = [parts.train, parts.validation, parts.tune, parts.test].map((part) => part.sha256);
  return sha256(JSON.stringify({ study: study.name, scale, seed, images, attack, first: sha256(first) }));
}

export async function runCase(
  deps: StudyDeps,
  steps: Steps,
  study: CaseStudy,
  options: { readonly seed: number; readonly quick: boolean; readonly work: CaseWork; readonly prefix: string },
): Promise<CaseSeed> {
  const { seed, quick, work, prefix } = options;
  const source = deps.sources[study.name];
  const scale = quick ? study.quick : study.scale;
  const parts = study.parts(source, scale, seed);
  const attack = study.attack(parts, scale, seed);
  const triggeredTest = triggered(parts.test, attack) as TriggeredTest;
  const judge = new Judge(deps.runtime, parts.test, triggeredTest);
  const shared = sharedKey(study, scale, seed, parts, attack);
  const bench = new Bench(deps, steps, { scale, seed, prefix, shared, parts, test: parts.test, triggeredTest, judge, attack });

  const clean = await bench.trained('clean', parts.train, scale.epochs);
  const badnet = await bench.badnet('badnet', scale.badnetEpochs);
  const step3 = await bench.step3(clean.model);
  const handed = new Map<string, Model>([[BASELINE, badnet.model]]);
  for (const bias of scale.pruningAware.bias) {
    handed.set(bias.rule === 'margin' ? AWARE : AUTHORS, (await bench.step4(clean.model, step3, bias)).model);
  }
  handed.set(CLEAN, clean.model);
  const suspects: CaseSuspect[] = [];
  for (const [name, model] of handed) {
    // the two bias rules differ in channels that nothing wakes: fine-tuning both would measure one thing twice
    const wanted = work.defences && name !== AUTHORS && (name !== CLEAN || work.controls);
    const defended = wanted ? await bench.suspect(name, model) : undefined;
    suspects.push(await examined(deps, study, parts, defended ?? (await bench.prunedOnly(name, model)), defended));
  }
  const judged = async (made: MadeModel): Promise<CaseNet> => {
    const { clean: onClean, attacked } = await judge.predictions(made.model);
    return {
      model: made.model,
      history: made.history,
      judgement: await judge.judge(made.model),
      predicted: { clean: onClean, attacked: attacked as Int32Array },
    };
  };
  let better: CaseSeed['better'];
  if (work.extras && scale.better !== undefined) {
    const { network, epochs } = scale.better;
    const made = await bench.step(bench.name(`clean-${network}`), async () => {
      const training = { ...bench.training(epochs), learningRate: BETTER_RATE };
      const { model, history } = await train(deps.runtime, bench.first(network), parts.train, training);
      return { model, history, facts: {} };
    });
    better = { network, judgement: await judge.judge(made.model) };
  }
  const baseline = suspects.find((s) => s.name === BASELINE)?.defended;
  const rates = work.extras && baseline !== undefined ? await bench.rates(baseline, scale.otherRates) : undefined;
  let controls: CaseSeed['controls'];
  if (work.controls) {
    const scratch = await bench.trained('from-scratch', parts.validation, scale.scratchEpochs);
    const relearnt = await steps.measure(bench.name('re-learning'), () => relearning(deps, bench, study, suspects));
    const margins = await steps.measure(bench.name('margin-sweep'), () =>
      marginSweep(deps.runtime, clean.model, step3, parts, parts.validation, quick ? FEW_MARGINS : MARGINS),
    );
    controls = { scratch: await judge.judge(scratch.model), relearnt, margins };
  }
  return steps.measure(bench.name('judging'), async () => ({
    study,
    scale,
    seed,
    source,
    parts,
    triggeredTest,
    record: badnet.facts.record,
    clean: await judged(clean),
    badnet: await judged(badnet),
    tune: await accuracyOn(deps, clean.model, parts.tune),
    suspects,
    rounds: step3.rounds,
    held: step3.holds,
    ...(controls && { controls }),
    ...(better && { better }),
    ...(rates && { rates }),
  }));
}

async function examined(
  deps: StudyDeps,
  study: CaseStudy,
  parts: CaseParts,
  suspect: PrunedSuspect,
  defended: Suspect | undefined,
): Promise<CaseSuspect> {
  const { name, model, judgements, pruning, curve, comparison, neurons, pruned } = suspect;
  const steps = curve.map((step) => ({ accuracy: step.accuracy.value, success: stepRate(study, step).value }));
  const moved = defended && {
    tuned: channelsMoved(model, defended.tuned, pruning.point, neurons.backdoor),
    finepruned: channelsMoved(defended.pruned, defended.finepruned, pruning.point, neurons.backdoor),
  };
  return {
    ...{ name, model, judgements, pruning, curve, comparison, neurons, pruned },
    ...(defended && { defended }),
    ...(moved && { moved }),
    phases: pruningPhases(steps),
    asleep: await asleep(deps.runtime, model, parts.validation, { layer: pruning.point.layer }),
  };
}

async function accuracyOn({ runtime }: StudyDeps, model: Model, data: Dataset): Promise<Rate> {
  const { labels } = await predict(runtime, model, data);
  return cleanRates(labels, data.labels, data.classes.length).accuracy;
}

/** What was cured, and what never had the backdoor, are shown the same few poisoned images. */
function relearning(deps: StudyDeps, bench: Bench, study: CaseStudy, suspects: readonly CaseSuspect[]): Promise<Relearnt[]> {
  const find = (name: string): Suspect | undefined => suspects.find((s) => s.name === name)?.defended;
  const subjects = { [BASELINE]: find(BASELINE), [AWARE]: find(AWARE), [CLEAN]: find(CLEAN) };
  return relearnAll(deps, bench.setup, subjects, (judgement) => attackRate(study, judgement).value);
}
