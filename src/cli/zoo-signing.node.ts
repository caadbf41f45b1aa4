/** Files that the commands about signatures take. */
import { readFile, stat } from 'node:fs/promises';
import { relative } from 'node:path';
import { fail } from '../core/errors.ts';
import { findProject, modelFolder, readProject } from '../zoo/project.node.ts';
import { MAX_BUNDLE } from '../zoo/signing/bundle.ts';

/**
 * The bytes of a key, certificate or bundle.
 * @param where the option or argument, as typed
 * @throws SecateurError (exit code 2) where it cannot be read or is far larger than such files are
 */
export async function readSigningFile(path: string, where: string): Promise<Buffer> {
  try {
    const info = await stat(path);
    if (!info.isFile() || info.size > MAX_BUNDLE) {
      const got = info.isFile() ? `${info.size} bytes` : 'something else';
      const expected = `a file of at most ${MAX_BUNDLE} bytes`;
      return fail({ code: 'E_SIG_READ', where, what: `${path} is no such file`, expected, got, exitCode: 2 });
    }
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    return fail({ code: 'E_SIG_READ', where, what: `${path} cannot be read`, got: code, exitCode: 2, cause });
  }
}

/**
 * Whether a model's path is a folder.
 * @throws SecateurError (exit code 2) where nothing is there; a name of the lock is told where its files are
 */
export async function isModelFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    const root = findProject();
    const project = root === undefined ? undefined : await readProject(root);
    const installed = project?.lock.models.has(path) ? relative('.', modelFolder(project, path)) : undefined;
    const hint = installed === undefined ? undefined : `${installed}, where the model of that name is, or \`secateur zoo verify ${path}\``;
    const expected = 'the path of a folder or file';
    return fail({ code: 'E_SIG_READ', where: path, what: 'no such file or folder', expected, hint, exitCode: 2, cause });
  }
}
