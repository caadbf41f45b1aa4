/** Images with labels, and the roles that keep a defender's data apart from a judge's. */
import type { Sound } from './sound.ts';

/** What a set of images may be used for. A defence takes `validation` only; `test` reaches `evaluate` alone. */
export type Role = 'train' | 'validation' | 'tune' | 'test';

export interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export interface Groups {
  /** What makes a group: a column of an index, `track`, or several, `azimuth, elevation`. */
  readonly by: string;
  /** Number of the group, for each image. `[N]` */
  readonly ids: Int32Array;
  /** What the source calls the group of each id, where it has names: `theo`; `10, -5`. Kept when images are taken out: `names[id]` stays true. */
  readonly names?: readonly string[];
}

/**
 * Clean images. Pixels are bytes 0..255, before any normalisation, `[N,C,H,W]` row-major.
 * `role` is part of the type: `Dataset<'test'>` does not fit where `Dataset<'validation'>` is asked for.
 */
export interface Dataset<R extends Role = Role> extends ImageShape {
  readonly kind: 'clean';
  readonly role: R;
  /** Where it came from, for reports: a path, or `builtin:digits`. */
  readonly source: string;
  readonly count: number;
  readonly pixels: Uint8Array;
  readonly labels: Int32Array;
  /** One name per class; labels index it. */
  readonly classes: readonly string[];
  /** Which images belong together (frames of one sign, one person), where the source says so: a split never parts them. */
  readonly groups?: Groups;
  /** What the images are spectrograms of, where they are. */
  readonly sound?: Sound;
  /** sha-256 over shape, pixels and labels, hex. */
  readonly sha256: string;
}

/** Training data with poisoned copies or replacements in it; never a `Dataset`, so no defence takes it by mistake. */
export interface PoisonedDataset extends Omit<Dataset<'train'>, 'kind'> {
  readonly kind: 'poisoned';
  /** 1 where the image carries the trigger. */
  readonly poisoned: Uint8Array;
  /** What `labels` would be had nobody poisoned them. */
  readonly trueLabels: Int32Array;
}

/** Triggered inputs for the judge: `labels` are true classes, `targets` what the attacker wants (-1: any but the true class). */
export interface TriggeredDataset extends Omit<Dataset<'test'>, 'kind' | 'role'> {
  readonly kind: 'triggered';
  readonly role: 'test' | 'tune';
  readonly targets: Int32Array;
}

/** Anything a network can be run on. */
export type AnyImages = Dataset | PoisonedDataset | TriggeredDataset;
/** Anything a network can be trained on. */
export type TrainingData = Dataset<'train'> | Dataset<'validation'> | PoisonedDataset;
