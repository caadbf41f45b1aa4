/**
 * What this machine has hashed before: a file whose size, times and number on the disk are those of then has the bytes of then, unless somebody
 * with rights on this disk took pains. Saves time where a look is enough; what must be sure does not ask here (facts 7.1).
 */
import type { BigIntStats } from 'node:fs';
import { lstat, readFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { SecateurError } from '../../core/errors.ts';
import { parseSha256 } from '../digest.ts';
import type { Sha256 } from '../types.ts';
import { ifThere, writeWhole } from './disk.node.ts';
import { stateFolder, statePath } from './state.node.ts';

/**
 * Nanoseconds by which a file must be older than its hashing began: one that is written again within a tick of the disk's clock keeps its
 * times. Times without a fraction come from a disk that counts seconds, on FAT every other one.
 */
const TICK = 50_000_000n;
const COARSE_TICK = 2_000_000_000n;
const SECOND = 1_000_000_000n;

interface Stamp {
  readonly digest: Sha256;
  /** Size, device, number, times of content and of status, in this order. */
  readonly was: string;
  /** When the hashing began, ns since 1970 by this machine's clock. */
  readonly at: string;
}

export interface Stamps {
  /** The digest that the file had when it was hashed in this very state, if that is known. */
  digestOf(path: string, stat: BigIntStats): Sha256 | undefined;
  /**
   * Remembers a hash.
   * @param before status before the first byte was read
   * @param after status after the last; nothing is remembered where it differs
   * @param began {@link clock} before the first
   */
  remember(path: string, digest: Sha256, before: BigIntStats, after: BigIntStats, began: bigint): void;
  /** Writes down what is new; files that are gone are forgotten. Does nothing where the project cannot be written to. */
  save(): Promise<void>;
}

/** Now, as stamps count it. */
export const clock = (): bigint => BigInt(Date.now()) * 1_000_000n;

/** Reads a project's stamps; a damaged or foreign file of stamps is as good as none. */
export async function openStamps(root: string): Promise<Stamps> {
  const known = new Map<string, Stamp>();
  const text = await readFile(join(statePath(root), 'stamps.json'), 'utf8').catch(() => '{}');
  try {
    const data = JSON.parse(text) as { version?: unknown; files?: unknown };
    if (data.version === 1 && Array.isArray(data.files)) {
      for (const entry of data.files as unknown[]) {
        if (!Array.isArray(entry) || !entry.every((part) => typeof part === 'string')) continue;
        const [path, digest, was, at] = entry as string[];
        const parsed = parseSha256(digest ?? '');
        if (parsed !== undefined && was !== undefined && /^[0-9]{1,20}$/.test(at ?? '')) known.set(path, { digest: parsed, was, at });
      }
    }
  } catch {
    known.clear();
  }
  return new DiskStamps(resolve(root), known);
}

class DiskStamps implements Stamps {
  readonly #root: string;
  readonly #known: Map<string, Stamp>;
  #changed = false;

  constructor(root: string, known: Map<string, Stamp>) {
    this.#root = root;
    this.#known = known;
  }

  digestOf(path: string, stat: BigIntStats): Sha256 | undefined {
    const stamp = this.#known.get(this.#key(path));
    if (stamp === undefined || stamp.was !== stateOf(stat)) return undefined;
    return isSettled(stat, BigInt(stamp.at)) ? stamp.digest : undefined;
  }

  remember(path: string, digest: Sha256, before: BigIntStats, after: BigIntStats, began: bigint): void {
    const was = stateOf(before);
    if (was !== stateOf(after)) return;
    this.#known.set(this.#key(path), { digest, was, at: String(began) });
    this.#changed = true;
  }

  async save(): Promise<void> {
    for (const key of this.#known.keys()) {
      const stat = await ifThere(lstat(join(this.#root, key))).catch(() => undefined);
      if (stat === undefined) this.#changed = this.#known.delete(key) || this.#changed;
    }
    if (!this.#changed) return;
    const files = [...this.#known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, { digest, was, at }]) => [path, digest, was, at]);
    const text = `${JSON.stringify({ version: 1, files }, undefined, 1)}\n`;
    try {
      await writeWhole(join(await stateFolder(this.#root), 'stamps.json'), text);
      this.#changed = false;
    } catch (cause) {
      // Verifying a project that cannot be written to is no error; the next time takes as long again.
      if (!(cause instanceof SecateurError && cause.parts.code === 'E_DISK')) throw cause;
    }
  }

  #key(path: string): string {
    return relative(this.#root, resolve(path)).split(sep).join('/');
  }
}

const stateOf = (s: BigIntStats): string => `${s.size} ${s.dev} ${s.ino} ${s.mtimeNs} ${s.ctimeNs}`;

function isSettled({ mtimeNs, ctimeNs }: BigIntStats, began: bigint): boolean {
  const last = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return last + (ctimeNs % SECOND === 0n ? COARSE_TICK : TICK) < began;
}
