/** Files that the commands about signatures take. */
import { readFile, stat } from 'node:fs/promises';
import { fail } from '../core/errors.ts';
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
