/**
 * A file that says who is at work, so that two processes never do the same thing at once. It is made whole or not at all, its owner keeps
 * it fresh, and an owner that died is taken over without two ever taking over at once.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, uptime } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, diskFailure, ifThere } from './disk.node.ts';

/** An owner touches its file this often, in ms. */
const BEAT = 2000;
/** An owner on another machine whose file stood still for so long while we watched is dead, in ms. */
const SILENCE = 60_000;
/** Between looks, in ms: soon at first, since most work is short. */
const LOOK = { first: 20, last: 250 };

interface Owner {
  /** Tells this taking of the file from every other one. */
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** Numbers are given to processes anew after a while, and by every container: these tell the same number apart. */
  readonly started?: string;
  readonly space?: string;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Called once where another owner is waited for, with who it is. */
  onWait?(says: string): void;
}

/** Gives the file up. */
export type Release = () => Promise<void>;

/**
 * Takes the file at `path`, waiting for its owner to finish or taking over from a dead one.
 * @throws E_DISK where the folder cannot be written; the signal's reason when it fires
 */
export async function own(path: string, { signal, onWait }: WaitOptions = {}): Promise<Release> {
  const watch = new Watch();
  for (let wait = LOOK.first; ; wait = Math.min(wait * 1.5, LOOK.last)) {
    signal?.throwIfAborted();
    const taken = await tryOwn(path, watch);
    if (typeof taken === 'function') return taken;
    if (!watch.told) onWait?.(`waiting for ${taken}`);
    watch.told = true;
    await sleep(wait, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** As {@link own} without waiting: undefined where somebody else has it. */
export async function ownNow(path: string): Promise<Release | undefined> {
  const taken = await tryOwn(path, new Watch());
  return typeof taken === 'function' ? taken : undefined;
}

/** Takes the file if it is free or its owner dead; else who has it. */
async function tryOwn(path: string, watch: Watch): Promise<Release | string> {
  const me: Owner = { token: randomUUID(), ...self() };
  try {
    if (await createWhole(path, me)) return hold(path, me);
    const seen = await readOwner(path);
    if (seen === undefined) return 'another process';
    if (!(await watch.isDead(path, seen))) return nameOf(seen, me);
    await takeAway(path, seen, me);
    return (await createWhole(path, me)) ? hold(path, me) : 'another process';
  } catch (cause) {
    return diskFailure(cause, dirname(path), 'cannot be written');
  }
}

const nameOf = ({ pid, host }: Owner, me: Owner): string =>
  pid === 0 ? 'another process' : `process ${pid}${host === me.host ? '' : ` on ${host}`}`;

/** Writes the file elsewhere and gives it its name only if that is free: nobody ever reads half of it. */
async function createWhole(path: string, owner: Owner): Promise<boolean> {
  const beside = `${path}.${owner.token}.new`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(beside, JSON.stringify(owner), { flag: 'wx' });
  try {
    await link(beside, path);
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') return false;
    // Some file systems know no second names; a reader that meets the file half written looks again.
    if (codeOf(cause) !== 'EPERM' && codeOf(cause) !== 'ENOTSUP' && codeOf(cause) !== 'ENOSYS') throw cause;
    return await writeFile(path, JSON.stringify(owner), { flag: 'wx' }).then(
      () => true,
      (again) => {
        if (codeOf(again) === 'EEXIST') return false;
        throw again;
      },
    );
  } finally {
    await unlink(beside).catch(() => undefined);
  }
}

async function readOwner(path: string): Promise<Owner | undefined> {
  const text = await ifThere(readFile(path, 'utf8'));
  if (text === undefined) return undefined;
  try {
    const owner = JSON.parse(text) as Owner;
    if (/^[0-9a-f-]{36}$/.test(owner.token) && Number.isInteger(owner.pid) && owner.pid > 0) return owner;
  } catch {
    // Said below.
  }
  // A power cut left it empty, or it is being written just now: somebody's of whom nothing is known but whether the file changes.
  return { token: createHash('sha256').update(text).digest('hex').slice(0, 36), pid: 0, host: '' };
}

/**
 * Removes a dead owner's file. Only who first makes the file `.TOKEN.take-1` may do so, hence nobody removes the file of whoever came after
 * the dead one; if that one dies before it is done, `.take-2` is next.
 */
async function takeAway(path: string, dead: Owner, me: Owner): Promise<void> {
  for (let turn = 1; ; turn++) {
    const claim = `${path}.${dead.token}.take-${turn}`;
    if (!(await createWhole(claim, me))) {
      const other = await readOwner(claim);
      if (other !== undefined && (await new Watch().isDead(claim, other))) continue;
      return;
    }
    if ((await readOwner(path))?.token === dead.token) await unlink(path);
    const folder = dirname(path);
    for (const name of await readdir(folder)) {
      if (name.startsWith(`${basename(path)}.${dead.token}.`)) await rm(join(folder, name), { force: true });
    }
    return;
  }
}

/** Keeps the file fresh until it is given up. */
function hold(path: string, me: Owner): Release {
  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, BEAT);
  // Work that is done ends the program even if it forgot to release.
  timer.unref();
  let held = true;
  return async () => {
    if (!held) return;
    held = false;
    clearInterval(timer);
    if ((await readOwner(path))?.token === me.token) await unlink(path).catch(() => undefined);
  };
}

/** What one waiter has seen of an owner. Another machine's clock may be wrong, so only standing still before our eyes counts. */
class Watch {
  told = false;
  #beat: string | undefined;
  #since = 0;

  async isDead(path: string, owner: Owner): Promise<boolean> {
    const me = self();
    const times = await ifThere(stat(path, { bigint: true }));
    if (owner.host === me.host && owner.space === me.space) {
      if (bootOf(owner) === undefined || bootOf(me) === undefined || bootOf(owner) === bootOf(me)) return !isRunning(owner);
      // This machine before it was started anew, or another one of the same name: that one would have been heard of since.
      if (times !== undefined && Number(times.mtimeMs) < Date.now() - uptime() * 1000) return true;
    }
    const beat = `${owner.token} ${times?.mtimeNs}`;
    const now = performance.now();
    if (beat !== this.#beat) [this.#beat, this.#since] = [beat, now];
    return now - this.#since > SILENCE;
  }
}

const bootOf = ({ started }: Pick<Owner, 'started'>): string | undefined => started?.split(' ')[0];

function isRunning({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (cause) {
    // EPERM: it runs, as somebody else.
    if (codeOf(cause) === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return started === undefined || now === undefined || now === started;
}

function self(): Omit<Owner, 'token'> {
  const space = quietly(() => readlinkSync('/proc/self/ns/pid'));
  return { pid: process.pid, host: hostname(), started: startOf(process.pid), space };
}

/** When a process began, in the kernel's own count since a start of the machine that is named too; undefined where there is no /proc. */
function startOf(pid: number): string | undefined {
  return quietly(() => {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program stands in brackets and may hold blanks: fields are counted from behind it; the start is field 22.
    const field = text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
    return field === undefined ? undefined : `${boot} ${field}`;
  });
}

function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
