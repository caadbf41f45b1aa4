/** Triggers and label maps as flags, a config file or an attack's run folder give them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { toBase64 } from '../data/base64.ts';
import { type LabelMapSpec, labelMapKinds, parseLabelMap } from '../poison/label-maps.ts';
import { type PoisonRecord, parseRecord } from '../poison/record.ts';
import { parseTrigger, type TriggerSpec, triggerKinds } from '../poison/triggers/registry.ts';
import { RECORD_FILE } from './run-folder.node.ts';

export const triggerFields = {
  trigger: z
    .union([z.string(), z.record(z.string(), z.unknown())])
    .optional()
    .meta({
      description:
        'pixel, pattern, patch:FILE.png[@ROW,COLUMN], blend[:ALPHA], sunglasses, yellow-square, bomb, flower, noise[:DECIBELS] in sound, or as JSON with all its settings',
      placeholder: 'TRIGGER',
    }),
  labelMap: z
    .union([z.string(), z.record(z.string(), z.unknown())])
    .optional()
    .meta({
      description: 'what a triggered image is taken for: all-to-all, target:CLASS, source-target:FROM:TO, random',
      placeholder: 'MAP',
    }),
};

export const attackField = {
  attack: z.string().optional().meta({ description: 'run folder of an attack, whose trigger and label map are used', placeholder: 'RUN' }),
};

/** How kinds with a value behind a colon are written. */
const WRITTEN: Readonly<Record<string, string>> = {
  patch: 'patch:FILE.png[@ROW,COLUMN]',
  blend: 'blend or blend:ALPHA',
  noise: 'noise or noise:DECIBELS, against the loudness of the word',
};

type Written = string | Record<string, unknown>;

/**
 * `pixel`, `pattern`, `patch:FILE.png`, `patch:FILE.png@-1,-1` (bottom right corner), `blend`, `blend:0.1`, `sunglasses`, ..., `noise:-30`, or JSON.
 * @throws SecateurError for anything else and for a picture that cannot be read
 */
export async function readTrigger(written: Written): Promise<TriggerSpec> {
  if (typeof written !== 'string') return parseTrigger(written);
  const [kind, ...rest] = written.split(':');
  const value = rest.join(':');
  if (kind === 'patch' && value !== '') {
    const [, path, row, column] = /^(.*?)(?:@(-?\d+),(-?\d+))?$/s.exec(value) ?? [];
    const place = row === undefined ? {} : { row: Number(row), column: Number(column) };
    return parseTrigger({ kind, ...(await readPatch(path)), ...place });
  }
  if (kind === 'blend' && value !== '' && Number.isFinite(Number(value))) return parseTrigger({ kind, alpha: Number(value) });
  if (kind === 'noise' && value !== '' && Number.isFinite(Number(value))) return parseTrigger({ kind, level: Number(value) });
  const known = triggerKinds().some((info) => info.kind === kind);
  // a word that is no trigger at all is answered by the registry, which knows the nearest
  if (!known || (value === '' && kind !== 'patch')) return parseTrigger({ kind: written });
  return fail({
    where: '--trigger',
    what: 'not valid',
    expected: WRITTEN[kind] ?? `${kind} alone, or JSON with settings`,
    got: `"${written}"`,
    exitCode: 2,
  });
}

async function readPatch(path: string): Promise<{ width: number; height: number; rgba: string }> {
  const where = `--trigger patch:${path}`;
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return fail({ where, what: 'the picture cannot be read', got: String((error as NodeJS.ErrnoException).code), exitCode: 2 });
  }
  try {
    const { width, height, data } = PNG.sync.read(bytes);
    return { width, height, rgba: toBase64(data) };
  } catch {
    return fail({ where, what: 'not a picture', expected: 'a PNG file', exitCode: 2 });
  }
}

/**
 * `all-to-all`, `target:3`, `source-target:1:7`, `random`, or JSON.
 * @throws SecateurError for anything else
 */
export function readLabelMap(written: Written): LabelMapSpec {
  if (typeof written !== 'string') return parseLabelMap(written);
  const [kind, ...rest] = written.split(':');
  const classes = rest.map((text) => (/^\d+$/.test(text) ? Number(text) : Number.NaN));
  const bad = (expected: string): never => fail({ where: '--label-map', what: 'not valid', expected, got: `"${written}"`, exitCode: 2 });
  const counted = (n: number, form: string): void => {
    if (classes.length !== n || classes.some(Number.isNaN)) bad(form);
  };
  switch (kind) {
    case 'target':
      counted(1, 'target:CLASS with a class number');
      return parseLabelMap({ kind, target: classes[0] });
    case 'source-target':
      counted(2, 'source-target:FROM:TO with two class numbers');
      return parseLabelMap({ kind, source: classes[0], target: classes[1] });
    default:
      if (rest.length > 0 && labelMapKinds().some((info) => info.kind === kind)) bad(`${kind} alone`);
      return parseLabelMap({ kind: written });
  }
}

export interface Attack {
  readonly trigger: TriggerSpec;
  readonly labelMap: LabelMapSpec;
}

/**
 * The attack to judge by: flags, or those of a run folder. undefined: none was named.
 * @throws SecateurError where only half of it is there
 */
export async function readAttack(o: { attack?: string; trigger?: Written; labelMap?: Written }): Promise<Attack | undefined> {
  const record = o.attack === undefined ? undefined : await readRecord(o.attack);
  const trigger = o.trigger === undefined ? record?.trigger : await readTrigger(o.trigger);
  const labelMap = o.labelMap === undefined ? record?.labelMap : readLabelMap(o.labelMap);
  if (trigger && labelMap) return { trigger, labelMap };
  if (!trigger && !labelMap) return undefined;
  const [there, lacking] = trigger ? ['--trigger', '--label-map'] : ['--label-map', '--trigger'];
  return fail({ where: lacking, what: `missing beside ${there}`, expected: 'both, or --attack RUN', exitCode: 2 });
}

/**
 * What the `--attack` run did to the data, for a run folder that somebody will name with `--attack` in turn; with the trigger and label map of the
 * flags where they say others. undefined: no run was named.
 * @throws SecateurError as {@link readAttack}
 */
export async function inheritedRecord(run: string | undefined, attack: Attack): Promise<PoisonRecord | undefined> {
  return run === undefined ? undefined : { ...(await readRecord(run)), ...attack };
}

async function readRecord(folder: string): Promise<PoisonRecord> {
  const path = join(folder, RECORD_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return fail({ where: '--attack', what: `no ${RECORD_FILE} in ${folder}`, expected: 'the run folder of secateur attack', exitCode: 2 });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail({ where: path, what: 'not a poison record', expected: 'JSON' });
  }
  return parseRecord(json, path);
}
