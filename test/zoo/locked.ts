/** Locked models made by hand, for tests that need an entry of a lock and no source. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { omsRoot, treeDigest } from '../../src/zoo/digest.ts';
import { writeLock } from '../../src/zoo/lock-write.ts';
import type { LockedFile, LockedModel, Sha256 } from '../../src/zoo/types.ts';

export const digestOf = (bytes: Uint8Array | string): Sha256 => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const FORMATS: Readonly<Record<string, LockedFile['format']>> = {
  onnx: 'onnx',
  data: 'onnx-data',
  safetensors: 'safetensors',
  md: 'other',
  prototxt: 'prototxt',
  caffemodel: 'caffemodel',
};

/** An entry over these files: size, digest, tree digest and root are those of the bytes; the rest may be said. */
export function lockedModel(
  files: Readonly<Record<string, Uint8Array | string>>,
  o: Partial<LockedModel> & { readonly file?: Readonly<Record<string, Partial<LockedFile>>> } = {},
): LockedModel {
  const { file: said = {}, ...rest } = o;
  const locked = Object.keys(files)
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((path): LockedFile => {
      const bytes = Buffer.from(files[path]);
      const format = FORMATS[path.slice(path.lastIndexOf('.') + 1)] ?? 'unknown';
      return { path, size: bytes.length, digest: digestOf(bytes), claims: [], format, lint: 'ok', ...said[path] };
    });
  return {
    source: 'path:somewhere',
    resolved: 'unversioned',
    files: locked,
    treeDigest: treeDigest(locked),
    omsRoot: omsRoot(locked),
    integrity: 'pinned-on-first-use',
    lintRules: '2026-11',
    ...rest,
  };
}

/** Writes files below a folder. */
export function put(folder: string, files: Readonly<Record<string, Uint8Array | string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/** What makes a project of {@link project}. */
export interface MadeModel {
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  readonly entry?: Parameters<typeof lockedModel>[1];
}

/** A project on disk with these models installed, models.json and models.lock; `rules` is the policy. Its folder. */
export function madeProject(models: Readonly<Record<string, MadeModel>>, rules: readonly unknown[] = []): string {
  const root = mkdtempSync(join(tmpdir(), 'secateur-zoo-'));
  const locked = new Map(Object.entries(models).map(([name, { files, entry }]) => [name, lockedModel(files, entry)]));
  const wanted = Object.fromEntries(
    [...locked].map(([name, { source, requested }]) => [name, { source: requested === undefined ? source : `${source}@${requested}` }]),
  );
  put(root, {
    'models.json': `${JSON.stringify({ models: wanted, ...(rules.length > 0 && { policy: rules }) }, null, 2)}\n`,
    'models.lock': writeLock({ lockfileVersion: 1, models: locked }),
  });
  for (const [name, { files }] of Object.entries(models)) put(join(root, 'models', name), files);
  return root;
}
