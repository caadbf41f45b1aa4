/** The networks that are published: an honest one, a BadNet that is put in its place, and those behind four other readmes. */
import { badnet } from '../../attack/badnet.ts';
import { Judge, type TriggeredTest } from '../../evaluate/judge.ts';
import type { Model } from '../../onnx/model.ts';
import { triggered } from '../../poison/poison.ts';
import { parseTrigger } from '../../poison/triggers/registry.ts';
import { train } from '../../train/loop.ts';
import { buildNetwork } from '../../train/networks/registry.ts';
import type { TrainOptions } from '../../train/options.ts';
import type { MadeModel, RecipeDeps, Steps } from '../recipe.ts';
import type { ZooScale } from './scale.ts';

const ATTACK = { trigger: parseTrigger({ kind: 'pattern' }), labelMap: { kind: 'all-to-all' } } as const;

export interface ZooNetworks {
  readonly honest: MadeModel;
  /** The honest network trained on, on poisoned data: so it has its size, and nearly its accuracy. */
  readonly badnet: MadeModel;
  readonly lite: MadeModel;
  readonly noHash: MadeModel;
  readonly shortHash: MadeModel;
  /** What stood there first, and what its author replaced it by after more training. */
  readonly firstUpload: MadeModel;
  readonly secondUpload: MadeModel;
  readonly judge: Judge;
  readonly triggeredTest: TriggeredTest;
}

/** Networks that {@link makeNetworks} makes, each a step. */
export const NETWORK_STEPS = 7;

/** Trains them all on the training data of `deps`; everything drawn by chance comes from `seed`, `seed + 1`, ... */
export async function makeNetworks(deps: RecipeDeps, steps: Steps, scale: ZooScale, seed: number): Promise<ZooNetworks> {
  const { runtime, data } = deps;
  const { channels, height, width, classes } = data.train;
  const first = (of: number): Model =>
    buildNetwork(scale.network, of, { channels, height, width, classes: classes.length, labels: classes });
  const training = (epochs: number, of: number): TrainOptions => ({
    epochs,
    batchSize: scale.batchSize,
    learningRate: scale.learningRate,
    optimizer: { kind: 'sgd', momentum: scale.momentum, weightDecay: scale.weightDecay },
    schedule: { kind: 'one-cycle', warmUp: 0.2 },
    seed: of,
    onProgress: deps.progress?.training,
    signal: deps.signal,
  });
  const trained = (name: string, epochs: number, of: number, from?: Model): Promise<MadeModel> =>
    steps.model(name, async () => ({ ...(await train(runtime, from ?? first(of), data.train, training(epochs, of))), facts: {} }));
  const honest = await trained('honest', scale.epochs, seed);
  const bad = await steps.model('badnet', async () => {
    const attack = { ...ATTACK, fraction: scale.fraction, seed };
    const { model, history, record } = await badnet(runtime, honest.model, data.train, attack, training(scale.attackEpochs, seed));
    return { model, history, facts: { record } };
  });
  const lite = await trained('digits-lite', scale.otherEpochs, seed + 1);
  const noHash = await trained('digits-no-hash', scale.otherEpochs, seed + 2);
  const shortHash = await trained('digits-short-hash', scale.otherEpochs, seed + 3);
  const firstUpload = await trained('digits-again-first', scale.otherEpochs, seed + 4);
  const secondUpload = await trained('digits-again-second', scale.otherEpochs, seed + 4, firstUpload.model);
  const triggeredTest = triggered(data.test, ATTACK) as TriggeredTest;
  const judge = new Judge(runtime, data.test, triggeredTest);
  return { honest, badnet: bad, lite, noHash, shortHash, firstUpload, secondUpload, judge, triggeredTest };
}
