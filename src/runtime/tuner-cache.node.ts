/** Keeps a tuner's choices on disk, a file per machine, ONNX Runtime version, backend and thread count. */

import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { cpus, homedir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from './session.ts';
import type { ChoiceStore, Choices } from './tuner.ts';

/** `SECATEUR_CACHE`, or the user's cache folder. */
export function cacheFolder(): string {
  return process.env.SECATEUR_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'secateur');
}

export interface TunerKey {
  readonly backend: Backend;
  readonly threads: number;
  readonly version: string;
}

/** A cache that cannot be read or written is no error: it only costs the time to measure again. */
export function choiceFile(key: TunerKey): ChoiceStore {
  const machine = `${process.platform} ${process.arch} ${cpus()[0]?.model ?? 'unknown processor'} x${cpus().length}`;
  const facts = { ...key, machine };
  const name = createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
  const path = join(cacheFolder(), `tuner-${name}.json`);
  const load = async (): Promise<Choices> => {
    try {
      const file: unknown = JSON.parse(await readFile(path, 'utf8'));
      const choices = (file as { choices?: unknown }).choices;
      return typeof choices === 'object' && choices !== null ? ({ ...choices } as Choices) : {};
    } catch {
      return {};
    }
  };
  return {
    load,
    async save(choices) {
      // Two runs side by side must not end with different choices: what is on disk already stands.
      const kept = { ...choices, ...(await load()) };
      try {
        await mkdir(cacheFolder(), { recursive: true });
        await writeFile(`${path}.${process.pid}`, `${JSON.stringify({ ...facts, choices: kept }, null, 1)}\n`);
        await rename(`${path}.${process.pid}`, path);
      } catch {
        // See above.
      }
      return kept;
    },
  };
}
