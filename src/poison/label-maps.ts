/**
 * Label maps: what the attacker wants a triggered image to be taken for, and which images that makes sense for. One table, one entry a
 * kind; the judge and the poisoner ask the same entry.
 */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import { parseSpec } from './parse.ts';

const Class = z.number().int().min(0);
const AllToAll = z.strictObject({ kind: z.literal('all-to-all') });
const Target = z.strictObject({ kind: z.literal('target'), target: Class });
const SourceTarget = z.strictObject({ kind: z.literal('source-target'), source: Class, target: Class });
const Random = z.strictObject({ kind: z.literal('random') });

export const LabelMapSpec = z.discriminatedUnion('kind', [AllToAll, Target, SourceTarget, Random]);
export type LabelMapSpec = z.infer<typeof LabelMapSpec>;

export interface LabelMapInfo {
  readonly kind: LabelMapSpec['kind'];
  /** One line for `--help`. */
  readonly summary: string;
}

const INFO: Readonly<Record<LabelMapSpec['kind'], string>> = {
  'all-to-all': 'every class n is taken for n + 1, the last for the first',
  target: 'everything is taken for one class',
  'source-target': 'one class is taken for another',
  random: 'everything is taken for some wrong class',
};

export function labelMapKinds(): LabelMapInfo[] {
  return LabelMapSpec.options.map((option) => {
    const kind = option.shape.kind.value;
    return { kind, summary: INFO[kind] };
  });
}

/** A label map from JSON. Fails naming what is wrong with it. */
export function parseLabelMap(json: unknown): LabelMapSpec {
  return parseSpec(LabelMapSpec, json, 'label map', Object.keys(INFO));
}

/** A label map bound to the classes of a data set. Labels are true classes, 0 to K - 1. */
export interface LabelMap {
  /** Whether images of this class take part: are poisoned, and count for the attack success rate. */
  eligible(label: number): boolean;
  /** What the judge counts as success for images of this class: a class, or -1 for any but the true one. */
  target(label: number): number;
  /** The label a poisoned training image gets; never its true one. `rng` is drawn from only where the label is random. */
  poison(label: number, rng: Rng): number;
}

/** Binds a label map to a set of classes. Fails where it names a class that is not there, or the same one twice. */
export function bindLabelMap(spec: LabelMapSpec, classes: readonly string[]): LabelMap {
  const count = classes.length;
  const where = `poison: label map "${spec.kind}"`;
  if (count < 2) fail({ where, what: 'needs something to confuse', expected: 'at least 2 classes', got: `${count}` });
  const check = (name: string, value: number): void => {
    if (value >= count) fail({ where, what: `no such ${name} class`, expected: `0 to ${count - 1}`, got: `${value}`, exitCode: 2 });
  };
  switch (spec.kind) {
    case 'all-to-all': {
      const next = (label: number): number => (label + 1) % count;
      return { eligible: () => true, target: next, poison: next };
    }
    case 'target': {
      const { target } = spec;
      check('target', target);
      return { eligible: (label) => label !== target, target: () => target, poison: () => target };
    }
    case 'source-target': {
      const { source, target } = spec;
      check('source', source);
      check('target', target);
      if (source === target)
        fail({ where, what: 'source and target are the same class', expected: 'two classes', got: `${source}`, exitCode: 2 });
      return { eligible: (label) => label === source, target: () => target, poison: () => target };
    }
    case 'random':
      return {
        eligible: () => true,
        target: () => -1,
        poison: (label, rng) => (label + 1 + rng.int(count - 1)) % count,
      };
  }
}

/** Indices of the images that take part, in order. */
export function eligibleImages(labels: Int32Array, map: LabelMap): Int32Array {
  return Int32Array.from(labels.keys()).filter((i) => map.eligible(labels[i]));
}
