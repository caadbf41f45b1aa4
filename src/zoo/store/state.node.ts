/** `.secateur/zoo` in a project: what belongs to this machine only (who is writing, unfinished changes, stamps) and is never committed. */
import { lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '../../core/errors.ts';
import { codeOf, diskFailure, ifThere, kindOf } from './disk.node.ts';

/** Name of our own folders, in a project and beside models. */
export const OURS = '.secateur';

/** Where a project's state is, whether it exists or not. */
export const statePath = (root: string): string => join(root, OURS, 'zoo');

/** Makes the folder, with a .gitignore that keeps it out of the repository. Throws E_LINK where a link stands in its place, and E_DISK. */
export async function stateFolder(root: string): Promise<string> {
  const folder = statePath(root);
  try {
    for (const path of [join(root, OURS), folder]) {
      const there = await ifThere(lstat(path));
      if (there !== undefined && !there.isDirectory()) refuseLink(path, kindOf(there));
    }
    await mkdir(folder, { recursive: true });
    await writeFile(join(root, OURS, '.gitignore'), '*\n', { flag: 'wx' }).catch((cause) => {
      if (codeOf(cause) !== 'EEXIST') throw cause;
    });
    return folder;
  } catch (cause) {
    return diskFailure(cause, folder, 'cannot be made');
  }
}

const HINTS = {
  'a folder': 'a real folder in its place; a larger disk can be mounted over the folder of all models',
  'a file': 'a real file in its place',
} as const;

/** A repository may hold links, and what is written through one lands where its author wanted. */
export function refuseLink(where: string, got: string, wanted: 'a folder' | 'a file' = 'a folder'): never {
  return fail({
    code: 'E_LINK',
    where,
    what: got === 'a symbolic link' ? 'nothing is written through links' : 'something else stands in the way',
    expected: `${wanted} of the project itself`,
    got,
    hint: HINTS[wanted],
    exitCode: 3,
  });
}
