/** `zoo verify`: is what lies on this disk what the lock says, and is it signed by whom the policy wants? Needs no network. */
import type { SecateurError } from '../../core/errors.ts';
import { checkPolicy, type PolicyFinding } from '../policy.ts';
import { modelFolder, type Project, readProject } from '../project.node.ts';
import type { Verification } from '../signing/verify.node.ts';
import { recover } from '../store/place.node.ts';
import { openStamps } from '../store/stamps.node.ts';
import { type FilesCheck, verifyFiles } from '../store/verify-files.node.ts';
import type { LockedModel } from '../types.ts';
import { isRuled } from './enforce.ts';
import { chosen, isFor, onBytes, ours } from './install.node.ts';
import { type FormatChange, lintAgain } from './lint-again.node.ts';
import { verifyLockedSignature } from './locked-signature.node.ts';
import type { VerbOptions } from './options.ts';

export interface VerifyOptions extends VerbOptions {
  readonly names?: readonly string[];
  /** Files whose size and times are as at the last check are not read again. */
  readonly quick?: boolean;
}

export interface VerifiedModel {
  readonly name: string;
  /** Undefined: in models.json only. */
  readonly entry?: LockedModel;
  /** Where models.json asks for something else than was locked; no failure of the bytes. A sentence without full stop. */
  readonly stale?: string;
  readonly files?: FilesCheck;
  /** Files that are of another format, or judged otherwise, than the lock says; looked for only where all files are as locked. */
  readonly formats: readonly FormatChange[];
  readonly signature?: Verification;
  readonly signatureError?: SecateurError;
  readonly policy: readonly PolicyFinding[];
  readonly ok: boolean;
}

export interface VerifyOutcome {
  readonly models: readonly VerifiedModel[];
  readonly ok: boolean;
  /** Bytes that were hashed. */
  readonly bytes: number;
}

/** Checks all models, also after one that is not right. Files beside a model that no lock mentions are told, and are no failure. */
export async function verifyModels(root: string, o: VerifyOptions = {}): Promise<VerifyOutcome> {
  for (const text of await recover(root)) o.onNote?.(text);
  const project = await readProject(root);
  const stamps = await openStamps(root);
  const models: VerifiedModel[] = [];
  let bytes = 0;
  for (const name of chosen(project, o.names)) {
    o.signal?.throwIfAborted();
    const entry = project.lock.models.get(name);
    if (entry === undefined) {
      models.push({ name, formats: [], policy: [], ok: false });
      continue;
    }
    const check = { stamps, fresh: o.quick !== true, signal: o.signal, onBytes: onBytes(o, name) };
    const files = await verifyFiles(modelFolder(project, name), entry, check);
    bytes += files.bytes;
    const asLocked = files.changed.length === 0 && files.missing.length === 0;
    // a second name on the disk is told as such, and the linter says no more of it
    const linted = asLocked && files.linked.length === 0 ? await lintAgain(modelFolder(project, name), entry) : undefined;
    const formats = linted?.differing ?? [];
    const policy = checkPolicy(project.manifest, name, linted?.entry ?? entry);
    let signature: Verification | undefined;
    let signatureError: SecateurError | undefined;
    try {
      signature = await verifyLockedSignature(project, name, entry, o.onNote);
    } catch (error) {
      signatureError = ours(error);
    }
    const taken = formats.every((f) => !f.refused) || isRuled(project.manifest, name);
    const ok = asLocked && taken && signatureError === undefined && !policy.some((p) => p.mode === 'enforce');
    const stale = staleness(project, name, entry);
    models.push({ name, entry, ...(stale !== undefined && { stale }), files, formats, signature, signatureError, policy, ok });
  }
  await stamps.save();
  return { models, ok: models.every((m) => m.ok), bytes };
}

function staleness({ manifest }: Project, name: string, entry: LockedModel): string | undefined {
  const wanted = manifest.models.get(name);
  if (wanted === undefined) return 'in models.lock but not in models.json';
  return isFor(entry, wanted) ? undefined : `models.json asks for ${wanted.source}, which is not what was locked (secateur zoo install)`;
}
