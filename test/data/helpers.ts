/** Files and data sets small enough to write by hand, and the text of errors. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { SecateurError } from '../../src/core/errors.ts';
import { Rng } from '../../src/core/rng.ts';
import type { Dataset, Role } from '../../src/data/dataset.ts';
import { makeDataset } from '../../src/data/make.ts';

/** The message of the user error that `run` ends in; a stray exception or none at all fails the test. */
export async function messageOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof SecateurError) return error.message;
    throw error;
  }
  throw new Error('expected an error, got none');
}

/** A folder that goes away after the tests of the file. */
export function tempFolder(): { dir: string; write: (path: string, bytes: Uint8Array | string) => string } {
  const dir = mkdtempSync(join(tmpdir(), 'secateur-data-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return {
    dir,
    write(path, bytes) {
      const full = join(dir, path);
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, bytes);
      return full;
    },
  };
}

/** An IDX file with these dimensions and elements. */
export function idx(dims: readonly number[], data: Uint8Array | readonly number[], type = 0x08): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * dims.length + data.length);
  bytes.set([0, 0, type, dims.length]);
  const view = new DataView(bytes.buffer);
  for (const [i, d] of dims.entries()) view.setUint32(4 + 4 * i, d);
  bytes.set(data, 4 + 4 * dims.length);
  return bytes;
}

/** Images of noise with labels in turn. */
export function noise<R extends Role>(
  role: R,
  count: number,
  { channels = 1, height = 6, width = 5, classes = 3, seed = 1 } = {},
): Dataset<R> {
  const rng = Rng.from(seed, 'noise');
  return makeDataset({
    role,
    source: 'noise',
    channels,
    height,
    width,
    pixels: Uint8Array.from({ length: count * channels * height * width }, () => rng.int(256)),
    labels: Int32Array.from({ length: count }, (_, i) => i % classes),
    classes: Array.from({ length: classes }, (_, i) => `class ${i}`),
  });
}
