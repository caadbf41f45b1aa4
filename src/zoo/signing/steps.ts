/** What was checked so far, so that a refusal says how far a signature held: a hash that differs under a good signature is another story. */
import { type ErrorParts, fail, SecateurError } from '../../core/errors.ts';

export type SignatureCode = `E_SIG_${string}`;

export class Steps {
  readonly where: string;
  readonly #done: string[] = [];

  /** `where`: how the bundle is called in messages. */
  constructor(where: string) {
    this.where = where;
  }

  /** Notes what holds: `signed by the key sha256:...`. */
  done(what: string): void {
    this.#done.push(what);
  }

  /** ` (up to here: its form is right; signed by ...)`, for the end of a sentence. */
  get told(): string {
    return this.#done.length === 0 ? ' (nothing of it holds so far)' : ` (up to here: ${this.#done.join('; ')})`;
  }

  /** Throws with exit code 3 (a check failed) unless the parts say otherwise; the sentence ends with what held before. */
  refuse(parts: Omit<ErrorParts, 'where'> & { readonly code: SignatureCode; readonly where?: string }): never {
    fail({ exitCode: 3, ...parts, where: parts.where ?? this.where, what: `${parts.what}${this.told}` });
  }

  /** Runs readers of JSON, whose errors know line and column, and gives those errors a code and what held before. */
  reading<T>(code: SignatureCode, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SecateurError) || error.parts.code !== READING) throw error;
      return this.refuse({ ...error.parts, code, exitCode: 3, where: error.parts.where });
    }
  }
}

/** Code of a document while it is read; {@link Steps.reading} puts the cause's own in its place. */
export const READING = 'E_SIG_READING';
