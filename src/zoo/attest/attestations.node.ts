/**
 * Attestations beside a model: a file of JSON lines, each a Sigstore bundle with a DSSE envelope, so that one line is what `zoo explain` and
 * other programs read. It lies outside of the signed tree: adding one breaks no signature.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, SecateurError } from '../../core/errors.ts';
import { toBase64 } from '../../data/base64.ts';
import type { NamedDigest } from '../digest.ts';
import { MAX_BUNDLE, parseBundle } from '../signing/bundle.ts';
import { readPrivateKey, verifyBytes } from '../signing/keys.node.ts';
import { pae } from '../signing/pae.ts';
import { type SignedEnvelope, type SigningKey, signEnvelope } from '../signing/sign-envelope.node.ts';
import { Steps } from '../signing/steps.ts';
import { trustMatching } from '../signing/trust.node.ts';
import type { SigningTrust } from '../signing/types.ts';
import { verifyEnvelope } from '../signing/verify-envelope.node.ts';
import { codeOf, diskFailure, syncFolder } from '../store/disk.node.ts';
import { type Coverage, coverageOf, readStatement, type StatementFacts } from './covers.ts';

/** Bytes of such a file; a line has a few kB. */
const MAX_BYTES = MAX_BUNDLE;
const MOST_LINES = 10_000;

export interface AddedAttestation extends Omit<SignedEnvelope, 'bundle'> {
  /** False where the same statement by the same signer was there before: a file of them does not grow by repetition. */
  readonly added: boolean;
}

/**
 * Signs a statement and appends it, whole or not at all as far as the disk can; two programs that append at once do not disturb each other.
 * @throws SecateurError E_SIG_KEY and its like (exit code 2), E_DISK, E_ATTEST_FILE where what is there is no such file
 */
export async function appendAttestation(path: string, payload: Uint8Array, key: SigningKey): Promise<AddedAttestation> {
  const { bundle, ...signed } = signEnvelope(payload, key);
  const before = await readLines(path);
  const own = readPrivateKey(key.key, 'private key', key.passphrase);
  const signer = signerIn(new TextEncoder().encode(bundle));
  for (const { bytes } of before) {
    const same = parsed(bytes);
    if (same === undefined || Buffer.compare(same.payload, payload) !== 0 || signerIn(bytes) !== signer) continue;
    // A line that only looks like ours, damaged or by another hand, must not keep the true one out.
    if (verifyBytes(pae(same.payloadType, payload), same.signature, own)) return { ...signed, added: false };
  }
  await append(path, bundle);
  return { ...signed, added: true };
}

function parsed(bytes: Uint8Array) {
  try {
    return parseBundle(bytes, new Steps('attestation'));
  } catch (error) {
    if (error instanceof SecateurError) return undefined;
    throw error;
  }
}

/** What a bundle says of its signer: its key's hint, or its certificates. */
function signerIn(bytes: Uint8Array): string | undefined {
  const bundle = parsed(bytes);
  return bundle?.key?.hint ?? bundle?.certificates.map(toBase64).join(' ');
}

async function append(path: string, line: string): Promise<void> {
  let file: FileHandle | undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0);
    file = await open(path, flags, 0o644);
    const { size } = await file.stat();
    // A write that was cut short left a line without its end; what comes now must not become part of it.
    const last = size === 0 ? undefined : (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0];
    const bytes = Buffer.from(last === undefined || last === 0x0a ? line : `\n${line}`);
    const { bytesWritten } = await file.write(bytes);
    if (bytesWritten !== bytes.length) throw Object.assign(new Error('written in part'), { code: 'ENOSPC' });
    await file.sync();
  } catch (cause) {
    diskFailure(cause, path, 'cannot be written');
  } finally {
    await file?.close();
  }
  await syncFolder(dirname(path));
}

interface Line {
  /** From 1. */
  readonly line: number;
  readonly bytes: Uint8Array;
}

/** Lines that are not empty; none where there is no such file. */
async function readLines(path: string): Promise<Line[]> {
  const lines: Line[] = [];
  const bytes = await readWhole(path);
  for (let at = 0, line = 1; at < bytes.length; line++) {
    const found = bytes.indexOf(0x0a, at);
    const end = found < 0 ? bytes.length : found;
    const part = bytes.subarray(at, bytes[end - 1] === 0x0d && end > at ? end - 1 : end);
    if (part.length > 0) lines.push({ line, bytes: part });
    if (lines.length > MOST_LINES) {
      fail({ code: 'E_ATTEST_FILE', where: path, what: 'too many attestations', expected: `at most ${MOST_LINES} lines` });
    }
    at = end + 1;
  }
  return lines;
}

async function readWhole(path: string): Promise<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    const stat = await file.stat();
    if (!stat.isFile()) return fail({ code: 'E_ATTEST_FILE', where: path, what: 'is no plain file' });
    if (stat.size > MAX_BYTES) {
      const expected = `at most ${MAX_BYTES} bytes`;
      return fail({ code: 'E_ATTEST_FILE', where: path, what: 'too large', expected, got: `${stat.size}` });
    }
    return await file.readFile();
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return new Uint8Array(0);
    if (codeOf(cause) === 'ELOOP') return fail({ code: 'E_ATTEST_FILE', where: path, what: 'is a symbolic link' });
    return diskFailure(cause, path, 'cannot be read');
  } finally {
    await file?.close();
  }
}

/**
 * `verified`: signed by a signer of the user's and about these bytes. `elsewhere`: signed so, but about other bytes. `stranger`: signed by
 * nobody whom the user named, so nothing of it was read. `broken`: it claims such a signer and does not hold, or is no attestation.
 */
export type AttestationState = 'verified' | 'elsewhere' | 'stranger' | 'broken';

export interface CheckedAttestation {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly state: AttestationState;
  readonly signer?: string;
  readonly statement?: StatementFacts;
  readonly coverage?: Coverage;
  /** Why it is broken. */
  readonly problem?: string;
  /** Code of that. */
  readonly code?: string;
}

/**
 * Checks every line against the user's signers and a model's files; the order of lines means nothing (in-toto bundle specification).
 * @throws SecateurError E_DISK, E_ATTEST_FILE; E_SIG_KEY (exit code 2) where a key of the user's cannot be used
 */
export async function checkAttestations(
  path: string,
  trust: readonly SigningTrust[],
  files: readonly NamedDigest[],
): Promise<CheckedAttestation[]> {
  return (await readLines(path)).map(({ line, bytes }) => checkLine(line, bytes, `${path}:${line}`, trust, files));
}

function checkLine(
  line: number,
  bytes: Uint8Array,
  where: string,
  trust: readonly SigningTrust[],
  files: readonly NamedDigest[],
): CheckedAttestation {
  try {
    const candidates = trustMatching(bytes, trust, where);
    if (candidates.length === 0) return { line, state: 'stranger' };
    const { signer, payload } = firstThatHolds(candidates, (one) => verifyEnvelope(bytes, one, { where }));
    const statement = readStatement(payload, `${where}: payload`);
    const coverage = coverageOf(statement, files);
    return { line, state: coverage.same ? 'verified' : 'elsewhere', signer, statement, coverage };
  } catch (error) {
    // Exit code 2 is about what the user gave, which is no fault of the line.
    if (!(error instanceof SecateurError) || error.exitCode === 2) throw error;
    return { line, state: 'broken', problem: error.message, code: error.parts.code };
  }
}

function firstThatHolds<T, R>(candidates: readonly T[], work: (candidate: T) => R): R {
  let first: unknown;
  for (const candidate of candidates) {
    try {
      return work(candidate);
    } catch (error) {
      if (!(error instanceof SecateurError) || error.exitCode === 2) throw error;
      first ??= error;
    }
  }
  throw first;
}
