/**
 * What the store put into a model's folder, on this machine. After `git pull` the lock knows only the new version; by this record files of the
 * old one that the new one lacks are told from files of the user.
 */
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSha256 } from '../digest.ts';
import { wrongPath } from '../paths.ts';
import type { Sha256 } from '../types.ts';
import { writeWhole } from './disk.node.ts';
import { OURS } from './state.node.ts';

export interface PlacedName {
  /** Relative to the model's folder. */
  readonly path: string;
  readonly digest: Sha256;
}

/** In a project; names of models hold slashes, so each record is called by a hash. */
const recordPath = (folder: string): string => `${OURS}/zoo/placed/${createHash('sha256').update(folder).digest('hex').slice(0, 32)}.json`;

/** The record of a folder, which is relative to the project; a damaged or foreign one is as good as none. */
export async function readPlaced(root: string, folder: string): Promise<PlacedName[]> {
  try {
    const data = JSON.parse(await readFile(join(root, recordPath(folder)), 'utf8')) as unknown;
    return isRecord(data) && data.folder === folder ? data.files.map(([path, digest]) => ({ path, digest })) : [];
  } catch {
    return [];
  }
}

/** Writes the record, or removes it where there are no files. Throws E_DISK. */
export async function writePlaced(root: string, folder: string, files: readonly PlacedName[]): Promise<void> {
  const path = join(root, recordPath(folder));
  if (files.length === 0) return await rm(path, { force: true });
  const text = `${JSON.stringify({ version: 1, folder, files: files.map((f) => [f.path, f.digest]) })}\n`;
  if ((await readFile(path, 'utf8').catch(() => '')) !== text) await writeWhole(path, text);
}

interface RecordFile {
  readonly folder: string;
  readonly files: readonly (readonly [string, Sha256])[];
}

function isRecord(data: unknown): data is RecordFile {
  const { version, files } = (data ?? {}) as { version?: unknown; files?: unknown };
  return version === 1 && Array.isArray(files) && files.every(isEntry);
}

/** Whoever wrote the record, it names files inside of the folder. */
export const isEntry = (entry: unknown): entry is readonly [string, Sha256] =>
  Array.isArray(entry) &&
  typeof entry[0] === 'string' &&
  wrongPath(entry[0]) === undefined &&
  typeof entry[1] === 'string' &&
  parseSha256(entry[1]) !== undefined;
