/**
 * What a killed run needs to go on and end with the same weights: everything the step graph carries (parameters, momenta, running
 * statistics, step counter), the place in the data, the sums of the epoch under way, and the settings that must not differ.
 * Shuffling and augmentation need no state of their own: they are drawn anew from (seed, epoch) and (seed, epoch, step).
 * The container is an ONNX file without nodes: tensors as initialisers, the rest as JSON in its metadata.
 */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import type { Model } from '../onnx/model.ts';

/** One epoch as it stands in metrics.jsonl. */
export const EpochRecord = z.object({
  /** From 1. */
  epoch: z.number().int(),
  /** Mean over the epoch's images, each seen with the weights of its time. */
  loss: z.number(),
  trainAccuracy: z.number(),
  /** The rate of the epoch's last step. */
  learningRate: z.number(),
  seconds: z.number(),
  imagesPerSecond: z.number(),
  /** What the evaluate callback gave. */
  evaluated: z.record(z.string(), z.number()),
});
export type EpochRecord = z.infer<typeof EpochRecord>;

/** Names and values that two runs must share for one to go on where the other stopped. */
export type Settings = Record<string, string | number>;

const Position = z.object({
  version: z.literal(1),
  settings: z.record(z.string(), z.union([z.string(), z.number()])),
  /** Backend, threads, forms of the operators: others may go on, but then the weights are not the same bit by bit. */
  machine: z.string(),
  /** Epoch under way, from 0, and the next step in it. */
  epoch: z.number().int(),
  step: z.number().int(),
  /** Sums over the epoch so far. */
  sums: z.object({ loss: z.number(), correct: z.number(), seen: z.number(), seconds: z.number() }),
  history: z.array(EpochRecord),
});

export type Position = z.infer<typeof Position>;

export interface Checkpoint extends Position {
  readonly state: Readonly<Record<string, Tensor>>;
}

/** Where checkpoints are kept; `checkpoint.node.ts` has the one on disk. */
export interface CheckpointStore {
  /** undefined: nothing there yet. */
  load(): Promise<Checkpoint | undefined>;
  /** Replaces the last one in a single move: whoever is killed in here leaves the old one whole. */
  save(checkpoint: Checkpoint): Promise<void>;
}

const KEY = 'secateur.checkpoint';

/** The checkpoint as an ONNX model, ready to be saved. */
export function toModel({ state, ...position }: Checkpoint): Model {
  const model = new GraphBuilder({ name: 'checkpoint' }).build();
  for (const [name, tensor] of Object.entries(state)) model.graph.initializers.set(name, tensor);
  model.metadata.set(KEY, JSON.stringify(position));
  return model;
}

/**
 * The inverse of {@link toModel}.
 * @param where what to call the file in messages
 * @throws SecateurError where the model is no checkpoint of this version
 */
export function fromModel(model: Model, where: string): Checkpoint {
  const bad = (got: string): never =>
    fail({ where, what: 'not a checkpoint', expected: 'one written by this version of secateur', got, hint: 'a new run without --resume' });
  const text = model.metadata.get(KEY) ?? bad('an ONNX file without training state');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    bad('training state that is not JSON');
  }
  const position = Position.safeParse(json);
  if (!position.success) return bad(`training state without a valid ${position.error.issues[0].path.join('.') || 'content'}`);
  return { ...position.data, state: Object.fromEntries(model.graph.initializers) };
}

/** Setting -> the flag that sets it, for the message below. */
const FLAGS: Record<string, string> = {
  batchSize: '--batch-size',
  learningRate: '--lr',
  weightDecay: '--weight-decay',
  data: '--data',
  network: 'the network',
  masks: 'the masks',
  trained: 'the trained parameters',
};

const shown = (value: string | number | undefined): string =>
  value === undefined ? 'nothing' : typeof value === 'string' && /^[0-9a-f]{64}$/.test(value) ? `${value.slice(0, 12)}...` : String(value);

/**
 * Refuses to go on with settings other than the checkpoint's, naming the first that differs.
 * @throws SecateurError
 */
export function checkSettings(saved: Settings, now: Settings): void {
  for (const key of new Set([...Object.keys(saved), ...Object.keys(now)])) {
    if (saved[key] === now[key]) continue;
    const name = FLAGS[key] ?? `--${key}`;
    fail({
      where: 'checkpoint',
      what: 'it was made with other settings and cannot be resumed with these',
      expected: `${name} ${shown(saved[key])}`,
      got: shown(now[key]),
      hint: 'the settings of the first run, or a new run in another --out folder',
    });
  }
}
