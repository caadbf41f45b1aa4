/** What goes wrong when a data file is opened, in words. */
import { fail } from '../core/errors.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'no permission to read it',
  EPERM: 'no permission to read it',
  EISDIR: 'is a folder where a file is needed',
  ENOTDIR: 'is a file where a folder is needed',
  EMFILE: 'too many files are open',
};

/** Turns what `fs` threw into an error of ours; anything unknown keeps its own message. */
export function readError(error: unknown, where: string, path: string): never {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const message = error instanceof Error ? error.message : String(error);
  return fail({ where, what: `${path} cannot be read`, got: REASONS[code] ?? message, cause: error });
}
