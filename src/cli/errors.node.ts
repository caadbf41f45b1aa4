/** What a failure looks like to the person at the terminal: one message, an exit code, never a stack trace unless asked for. */
import { SecateurError } from '../core/errors.ts';
import { oneLong } from './output.node.ts';

export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

/** System error codes that are the machine's or the user's doing, and what can be done about them. */
const SYSTEM: Record<string, { what: string; hint: string }> = {
  ENOSPC: { what: 'the disk is full', hint: 'freeing some space, or --out on another disk. Nothing half-written was left behind' },
  EDQUOT: { what: 'the disk quota is used up', hint: 'freeing some space, or --out on another disk. Nothing half-written was left behind' },
  EACCES: { what: 'permission denied', hint: 'another folder with --out, or the permissions of this one' },
  EPERM: { what: 'not permitted', hint: 'another folder with --out, or the permissions of this one' },
  EROFS: { what: 'the disk is read-only', hint: 'another folder with --out' },
  ENOENT: { what: 'there is no such file or folder', hint: 'checking the path' },
  ENOTDIR: { what: 'a file stands where a folder should be', hint: 'checking the path' },
  EISDIR: { what: 'a folder stands where a file should be', hint: 'checking the path' },
  EEXIST: { what: 'it exists already', hint: 'another --out' },
  EMFILE: { what: 'too many open files', hint: '`ulimit -n 4096`, then the same command again' },
  ENOMEM: { what: 'out of memory', hint: 'a smaller --batch-size' },
};

/**
 * @param debug show the stack (SECATEUR_DEBUG=1)
 */
export function explain(error: unknown, debug: boolean): Failure {
  if (error instanceof SecateurError)
    return { text: withStack(`error: ${oneLong(error.message)}`, error, debug), exitCode: error.exitCode };
  const system = systemError(error);
  if (system) return { text: withStack(`error: ${oneLong(system.message)}`, error, debug), exitCode: 1 };
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const lines = [
    `error: ${oneLong(message)}`,
    'This is a bug in secateur. Please report it with the command you typed, what `secateur doctor` prints,',
    'and the output of the same command with SECATEUR_DEBUG=1 set.',
  ];
  return { text: withStack(lines.join('\n'), error, debug), exitCode: 1 };
}

function systemError(error: unknown): SecateurError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  const known = code === undefined || syscall === undefined ? undefined : SYSTEM[code];
  return known && new SecateurError({ where: path ?? `${syscall}`, ...known, cause: error });
}

function withStack(text: string, error: unknown, debug: boolean): string {
  if (!debug) return text;
  const parts = [text];
  for (let e: unknown = error; e instanceof Error; e = e.cause) parts.push(e.stack ?? String(e));
  return parts.join('\n\n');
}
