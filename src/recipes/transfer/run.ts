/** One seed of `transfer` and one of `strength`. */
import { strengthen } from '../../attack/strengthen.ts';
import { Rng } from '../../core/rng.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { Judgement } from '../../evaluate/judge.ts';
import { type Comparison, compareActivations } from '../../inspect/activations.ts';
import { backdoorNeurons, type NeuronReport, type NeuronRule } from '../../inspect/backdoor-neurons.ts';
import { chooseLayer } from '../../inspect/layers.ts';
import type { CutPoint } from '../../onnx/cut-points.ts';
import type { Model } from '../../onnx/model.ts';
import { triggered } from '../../poison/poison.ts';
import { probe } from '../../runtime/probe.ts';
import type { MadeModel, Steps, StudyDeps } from '../recipe.ts';
import { Ground, type UserNet } from './ground.ts';
import { type PickRule, QUIETS, RISES, type TransferScale } from './scale.ts';
import type { Task } from './task.ts';

/** The attacker's two networks, on signs at home. */
export interface AtHome {
  readonly clean: MadeModel & { readonly judgement: Judgement };
  readonly badnet: MadeModel & { readonly judgement: Judgement };
}

export interface TransferSeed {
  readonly ground: Ground;
  readonly home: AtHome;
  readonly outcomes: readonly { readonly task: Task; readonly clean: UserNet; readonly badnet: UserNet; readonly scratch: UserNet }[];
}

export const transferSteps = (tasks: number): number => 3 + tasks * 3;

export async function transferSeed(deps: StudyDeps, steps: Steps, scale: TransferScale, seed: number): Promise<TransferSeed> {
  const ground = new Ground(deps, steps, scale, seed);
  const home = await atHome(ground, steps);
  const outcomes: TransferSeed['outcomes'][number][] = [];
  for (const task of ground.tasks) {
    outcomes.push({
      task,
      clean: await ground.user(task, 'retrained-clean', home.clean.model),
      badnet: await ground.user(task, 'retrained-badnet', home.badnet.model),
      scratch: await ground.fromScratch(task),
    });
  }
  return { ground, home, outcomes };
}

export interface Strengthened {
  readonly k: number;
  /** What the user made of it. */
  readonly user: UserNet;
  /** The network itself on signs at home, where the attacker published it. */
  readonly home: Judgement;
}

/** What was strengthened by which rule. */
export interface RuleOutcome {
  readonly rule: PickRule;
  readonly channels: readonly number[];
  readonly user: UserNet;
}

export interface StrengthSeed {
  readonly ground: Ground;
  readonly home: AtHome;
  readonly task: Task;
  readonly point: CutPoint;
  readonly comparison: Comparison;
  readonly neurons: NeuronReport;
  /** The backdoor neurons that are strengthened. */
  readonly picked: readonly number[];
  /** What the layer does on the user's signs, before he retrains anything. */
  readonly abroad: Comparison;
  /** Channels picked for every pair of thresholds, by how they are looked at. */
  readonly counts: readonly {
    readonly at: NeuronRule['at'];
    readonly rise: number;
    readonly quiet: number;
    readonly count: number;
    readonly alone: number;
  }[];
  /** Backdoor neurons, by k. */
  readonly chosen: readonly Strengthened[];
  /** As many of the other channels, drawn by chance, by k; the first is the network as it was. */
  readonly others: readonly Strengthened[];
  /** Backdoor neurons, by k, in the hands of a user who trains at another rate. */
  readonly otherUser: readonly { readonly k: number; readonly user: UserNet }[];
  readonly otherChannels: readonly number[];
  readonly rules: readonly RuleOutcome[];
}

export const strengthSteps = (scale: TransferScale): number => 4 + scale.strengths.length * 3 - 1 + scale.rules.length;

export async function strengthSeed(deps: StudyDeps, steps: Steps, scale: TransferScale, seed: number): Promise<StrengthSeed> {
  const ground = new Ground(deps, steps, scale, seed);
  const [task] = ground.tasks;
  const home = await atHome(ground, steps);
  const { model } = home.badnet;
  const { point, comparison, abroad } = await steps.measure(ground.name('backdoor-neurons'), () => looked(deps, ground, task, model));
  const pick = (rule: Partial<NeuronRule>): NeuronReport => backdoorNeurons(comparison.clean, comparison.triggered, rule, point.rankBy);
  const neurons = pick(scale.rule);
  const counts = (['place', 'average'] as const).flatMap((at) =>
    RISES.flatMap((rise) => QUIETS.map((quiet) => ({ at, rise, quiet, ...counted(pick({ at, rise, quiet })) }))),
  );
  const picked = chosenBy(scale.rule, neurons);
  const otherChannels = drawOthers(seed, point.channels, picked);

  const asItWas = await ground.user(task, 'retrained-badnet', model);
  const { otherRate } = scale.user;
  const louder = async (name: string, channels: readonly number[], k: number): Promise<{ model: Model; user: UserNet }> => {
    const strong = strengthen(model, point, channels, k);
    return { model: strong, user: channels.length === 0 ? asItWas : await ground.user(task, name, strong) };
  };
  const swept = async (name: string, channels: readonly number[]): Promise<Strengthened[]> => {
    const found: Strengthened[] = [{ k: 1, user: asItWas, home: home.badnet.judgement }];
    for (const k of scale.strengths.slice(1)) {
      const { model: strong, user } = await louder(`${name}-times-${k}`, channels, k);
      found.push({ k, user, home: await ground.judge.judge(strong) });
    }
    return found;
  };
  const chosen = await swept('backdoor-neurons', picked);
  const others = await swept('other-channels', otherChannels);
  const otherUser: { k: number; user: UserNet }[] = [];
  for (const k of scale.strengths) {
    // Nothing to multiply: one network for every k.
    const same = picked.length === 0 ? otherUser[0] : undefined;
    const strong = strengthen(model, point, picked, k);
    otherUser.push({ k, user: same?.user ?? (await ground.user(task, `rate-${otherRate}-times-${k}`, strong, otherRate)) });
  }
  const rules: RuleOutcome[] = [];
  for (const [i, rule] of scale.rules.entries()) {
    const channels = chosenBy(rule, pick(rule));
    rules.push({ rule, channels, user: (await louder(`rule-${i + 1}-times-${scale.ruleStrength}`, channels, scale.ruleStrength)).user });
  }
  return { ground, home, task, point, comparison, neurons, picked, abroad, counts, chosen, others, otherUser, otherChannels, rules };
}

async function atHome(ground: Ground, steps: Steps): Promise<AtHome> {
  const clean = await ground.clean();
  const badnet = await ground.badnet();
  return steps.measure(ground.name('at-home'), async () => ({
    clean: { ...clean, judgement: await ground.judge.judge(clean.model) },
    badnet: { ...badnet, judgement: await ground.judge.judge(badnet.model) },
  }));
}

/** The attacker looks at his network with images of his own, neither the judge's nor the user's; what it does abroad is for the report alone. */
async function looked(
  deps: StudyDeps,
  ground: Ground,
  task: Task,
  model: Model,
): Promise<{ point: CutPoint; comparison: Comparison; abroad: Comparison }> {
  const { runtime } = deps;
  const { point } = chooseLayer(model, await probe(runtime, model, { batch: 2 }), ground.scale.home.prune.layer);
  const compare = (data: Dataset<'tune' | 'test'>, maps: boolean): Promise<Comparison> =>
    compareActivations(runtime, model, point, data, triggered(data, ground.attack), { maps });
  return { point, comparison: await compare(ground.parts.tune, true), abroad: await compare(task.test, false) };
}

const counted = ({ backdoor, exclusive }: NeuronReport): { count: number; alone: number } => ({
  count: backdoor.length,
  alone: exclusive.length,
});

/** What a rule has strengthened. */
export const chosenBy = ({ alone }: PickRule, { backdoor, exclusive }: NeuronReport): readonly number[] =>
  alone && exclusive.length > 0 ? exclusive : backdoor;

/** As many channels as were chosen, of those that were not; all of them where there are fewer. */
function drawOthers(seed: number, channels: number, chosen: readonly number[]): number[] {
  const rest = Array.from({ length: channels }, (_, c) => c).filter((c) => !chosen.includes(c));
  return Rng.from(seed, 'other channels')
    .shuffle(rest)
    .slice(0, chosen.length)
    .sort((a, b) => a - b);
}
