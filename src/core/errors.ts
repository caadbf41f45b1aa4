/**
 * The one error type. Its message reads: `where: what, expected E, got G. Try T`, with the code before it where there is one.
 * Everything a user can cause is thrown as this; anything else that reaches the command line is a bug and says so.
 */

/** 1 error, 2 wrong usage, 3 a check failed, 130 interrupted. */
export type ExitCode = 1 | 2 | 3 | 130;

export interface ErrorParts {
  /** Where a program or a CI job must tell failures apart: `E_INTEGRITY`. Stands first in the message. */
  readonly code?: string;
  /** Stage or file, as the user knows it: `grad`, `data: train-images.idx3`, `--layer`. */
  readonly where: string;
  readonly what: string;
  readonly expected?: string;
  readonly got?: string;
  /** A sentence without full stop and without the word Try: `--freeze-before norm2 to train only the layers after it`. */
  readonly hint?: string;
  readonly exitCode?: ExitCode;
  readonly cause?: unknown;
}

/** Longer parts of a message are a file's doing. */
const LONGEST = 4000;

/**
 * Text that may hold names out of a file, fit for a terminal: without control characters, which could move the cursor or recolour what
 * was printed before, without marks that turn the direction of writing, and of a length that a person can be shown.
 */
export function printable(text: string, longest: number = LONGEST): string {
  const short = text.length <= longest ? text : `${text.slice(0, longest / 2)}... (${text.length} characters in all)`;
  return short.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (c) => {
    return c === '\n' || c === '\t' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

export class SecateurError extends Error {
  readonly parts: ErrorParts;
  readonly exitCode: ExitCode;

  constructor(parts: ErrorParts) {
    const facts = [printable(parts.what)];
    if (parts.expected !== undefined) facts.push(`expected ${printable(parts.expected)}`);
    if (parts.got !== undefined) facts.push(`got ${printable(parts.got)}`);
    const hint = parts.hint === undefined ? '' : ` Try ${printable(parts.hint)}.`;
    const code = parts.code === undefined ? '' : `${parts.code} `;
    super(`${code}${printable(parts.where)}: ${facts.join(', ')}.${hint}`, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'SecateurError';
    this.parts = parts;
    this.exitCode = parts.exitCode ?? 1;
  }
}

/** Throws a {@link SecateurError}; for use in expressions (`x ?? fail({...})`). */
export function fail(parts: ErrorParts): never {
  throw new SecateurError(parts);
}
