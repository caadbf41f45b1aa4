/** models.lock, written: the same lock gives the same bytes on every machine, so that a diff of it shows what changed and nothing else. */
import { compareNames } from './digest.ts';
import type { Lock, LockedModel } from './types.ts';

/**
 * The bytes of a lock, as text: models and files in code-point order, fields in a fixed order, two spaces, a line end at the end, no
 * time and no machine in it. `parseLock` gives the same lock back.
 */
export function writeLock({ lockfileVersion, models }: Lock): string {
  const entries = sorted(models).map(([name, model]) => `    ${JSON.stringify(name)}: ${indented(JSON.stringify(plain(model), null, 2))}`);
  const body = entries.length === 0 ? '{}' : `{\n${entries.join(',\n')}\n  }`;
  return `{\n  "lockfileVersion": ${lockfileVersion},\n  "models": ${body}\n}\n`;
}

/** Line ends in JSON's own layout only: within strings they are escaped. */
const indented = (json: string): string => json.replaceAll('\n', '\n    ');

const sorted = (models: Lock['models']): [string, LockedModel][] => [...models].sort((a, b) => compareNames(a[0], b[0]));

/** Only the fields of the format, in its order; names of models are not keys of an object here, which would put `123` first. */
function plain({
  source,
  requested,
  resolved,
  include,
  files,
  treeDigest,
  omsRoot,
  integrity,
  signature,
  lintRules,
}: LockedModel): unknown {
  return {
    source,
    requested,
    resolved,
    include,
    files: byPath(files).map(({ path, size, digest, url, format, lint, claims }) => ({
      path,
      size,
      digest,
      url,
      format,
      lint,
      claims: claims.map(({ from, algorithm, value, matched }) => ({ from, algorithm, value, matched })),
    })),
    treeDigest,
    omsRoot,
    integrity,
    signature: signature && {
      method: signature.method,
      bundle: signature.bundle,
      bundleDigest: signature.bundleDigest,
      signer: signature.signer,
    },
    lintRules,
  };
}

const byPath = (files: LockedModel['files']): LockedModel['files'] => [...files].sort((a, b) => compareNames(a.path, b.path));

/** A lock with a model added or replaced. */
export function withModel({ lockfileVersion, models }: Lock, name: string, model: LockedModel): Lock {
  return { lockfileVersion, models: new Map(sorted(new Map(models).set(name, { ...model, files: byPath(model.files) }))) };
}

/** A lock without a model; the same lock where it has none of that name. */
export function withoutModel(lock: Lock, name: string): Lock {
  if (!lock.models.has(name)) return lock;
  return { lockfileVersion: lock.lockfileVersion, models: new Map([...lock.models].filter(([other]) => other !== name)) };
}
