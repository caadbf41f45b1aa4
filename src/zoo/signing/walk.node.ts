/** The files of a model on disk, by the rules of OMS: regular files only, names as they are, links not followed unasked. */
import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import type { ErrorParts } from '../../core/errors.ts';
import { isUnder } from './names.ts';
import type { SignatureCode } from './steps.ts';

export interface FoundFile {
  /** Relative to the model's root, `/` between parts; for a model that is one file its own name. */
  readonly name: string;
  /** Where it can be opened; for a link that was followed, its target. Absent for what is no regular file and was only listed. */
  readonly path?: string;
  /** Bytes. */
  readonly size: number;
}

export interface WalkOptions {
  /** Entries that are not looked at, with all below them. */
  readonly skip: readonly string[];
  /** Links: an error, followed where they stay within the model, or followed anywhere. */
  readonly links: 'refuse' | 'inside' | 'anywhere';
  /** Whether something that is no regular file may be listed at this name instead of refused. */
  lenient(name: string): boolean;
  /** Says no: how depends on whether one signs or verifies. */
  refuse(parts: Omit<ErrorParts, 'where'> & { readonly code: SignatureCode }): never;
  readonly signal?: AbortSignal;
}

/** Files of one model. */
const MOST_FILES = 1_000_000;
/** Folders within each other. */
const DEEPEST = 100;

/**
 * All files below a folder, or the one file that `root` is. Names that are not UTF-8 are an error: they would reach the signature as other
 * names (Node puts U+FFFD in their place).
 * Source: OMS v1.0 section 5; facts 2.5 nr 1 to 4.
 * @throws SecateurError through `o.refuse`: `E_SIG_LINK`, `E_SIG_FILE`
 */
export async function walkModel(root: string, o: WalkOptions): Promise<FoundFile[]> {
  const info = await stat(root).catch((cause: NodeJS.ErrnoException) =>
    o.refuse({ code: 'E_SIG_FILE', what: `${root} cannot be read`, expected: 'a folder or a file', got: cause.code, exitCode: 1, cause }),
  );
  if (info.isFile()) return [{ name: basename(root), path: await realpath(root), size: info.size }];
  if (!info.isDirectory())
    o.refuse({ code: 'E_SIG_FILE', what: `${root} is neither`, expected: 'a folder or a file', got: 'something else' });
  const found: FoundFile[] = [];
  await new Walk(await realpath(root), found, o).folder(root, '', []);
  return found;
}

class Walk {
  readonly #home: string;
  readonly #found: FoundFile[];
  readonly #o: WalkOptions;

  constructor(home: string, found: FoundFile[], o: WalkOptions) {
    this.#home = home;
    this.#found = found;
    this.#o = o;
  }

  /** `parents`: real paths of folders above that a link could lead back to. */
  async folder(path: string, prefix: string, parents: readonly string[]): Promise<void> {
    this.#o.signal?.throwIfAborted();
    if (parents.length >= DEEPEST) {
      this.#o.refuse({ code: 'E_SIG_FILE', what: `${prefix} is too deep`, expected: `at most ${DEEPEST} folders within each other` });
    }
    const entries = await readdir(path, { withFileTypes: true, encoding: 'buffer' }).catch((cause: NodeJS.ErrnoException) =>
      this.#o.refuse({ code: 'E_SIG_FILE', what: `${prefix || path} cannot be read`, got: cause.code, exitCode: 1, cause }),
    );
    const inside = [...parents, await realpath(path)];
    for (const entry of entries as unknown as Dirent<Buffer>[]) {
      if (!isUtf8(entry.name)) {
        const got = JSON.stringify(entry.name.toString('latin1'));
        const what = `a name in ${prefix || 'the folder'} is not UTF-8`;
        this.#o.refuse({ code: 'E_SIG_FILE', what, expected: 'names in UTF-8', got, hint: 'another name for it' });
      }
      const name = prefix + entry.name.toString('utf8');
      if (!this.#o.skip.some((skipped) => isUnder(name, skipped)))
        await this.#entry(entry, name, join(path, entry.name.toString('utf8')), inside);
    }
  }

  async #entry(entry: Dirent<Buffer>, name: string, path: string, inside: readonly string[]): Promise<void> {
    if (entry.isSymbolicLink()) return this.#link(name, path, inside);
    if (entry.isDirectory()) return this.folder(path, `${name}/`, inside);
    if (entry.isFile()) return this.#add({ name, path, size: (await stat(path)).size });
    const got = entry.isFIFO() ? 'a named pipe' : entry.isSocket() ? 'a socket' : 'a device';
    this.#odd(name, { code: 'E_SIG_FILE', what: `${name} is no regular file`, expected: 'files and folders', got });
  }

  async #link(name: string, path: string, inside: readonly string[]): Promise<void> {
    const hint = 'a copy with the links followed (cp -rL FROM TO), or --ignore for it';
    const refuse = (what: string, got: string): void =>
      this.#odd(name, { code: 'E_SIG_LINK', what, expected: 'files and folders', got, hint });
    if (this.#o.links === 'refuse') return refuse(`${name} is a symbolic link: what it points to can change without the model`, 'a link');
    const target = await realpath(path).catch(() => undefined);
    if (target === undefined) return refuse(`${name} is a symbolic link that leads nowhere`, 'a broken link');
    if (this.#o.links === 'inside' && target !== this.#home && !target.startsWith(this.#home + sep)) {
      return refuse(`${name} is a symbolic link that leads out of the model`, 'a link to another folder');
    }
    const info = await stat(target);
    if (info.isFile()) return this.#add({ name, path: target, size: info.size });
    if (!info.isDirectory()) return refuse(`${name} is a symbolic link to something that is no regular file`, 'a link');
    if (inside.includes(target)) return refuse(`${name} is a symbolic link back to a folder that it lies in`, 'a loop');
    return this.folder(target, `${name}/`, inside);
  }

  #odd(name: string, parts: Parameters<WalkOptions['refuse']>[0]): void {
    if (!this.#o.lenient(name)) this.#o.refuse(parts);
    this.#add({ name, size: 0 });
  }

  #add(file: FoundFile): void {
    if (this.#found.push(file) > MOST_FILES) {
      this.#o.refuse({ code: 'E_SIG_FILE', what: 'too many files', expected: `at most ${MOST_FILES}`, got: 'more' });
    }
  }
}
