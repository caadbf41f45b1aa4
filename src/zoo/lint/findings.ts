/** What the linter collects about a file. */
import { printable, SecateurError } from '../../core/errors.ts';
import type { FormatKind, LintFinding, LintReport, LintVerdict } from '../types.ts';

/** A file can give cause for any number of findings; a person reads a few. */
const SHOWN = 40;
/** UTF-16 units of a name out of a file. */
const LONGEST_NAME = 120;

/** A name out of a file in quotes, in one line and of bounded length. */
export const quoted = (name: string): string => `"${printable(name, LONGEST_NAME).replace(/[\n\t]/g, ' ')}"`;

export class Findings {
  /** By rule and text: a file that does one thing a thousand times is told so once. */
  readonly #list = new Map<string, LintFinding>();
  #refused = 0;
  #left = 0;

  /** Worth knowing; can be loaded with care. */
  flag(rule: string, says: string): void {
    this.#add({ rule, verdict: 'flagged', says });
  }

  /** Loading it can run code, or it is malformed. */
  refuse(rule: string, says: string): void {
    this.#add({ rule, verdict: 'refused', says });
    this.#refused++;
  }

  get refused(): boolean {
    return this.#refused > 0;
  }

  #add(finding: LintFinding): void {
    const key = `${finding.rule} ${finding.says}`;
    if (this.#list.has(key)) return;
    // The first refusal stays in sight however many flags there are.
    if (this.#list.size >= SHOWN && !(finding.verdict === 'refused' && this.#refused === 0)) this.#left++;
    else this.#list.set(key, { ...finding, says: printable(finding.says, 1000).replace(/[\n\t]/g, ' ') });
  }

  /** Takes over what was found in a part of the file. */
  within(part: string, report: LintReport): void {
    for (const { rule, verdict, says } of report.findings) {
      const text = `${quoted(part)}: ${says}`;
      if (verdict === 'refused') this.refuse(rule, text);
      else this.flag(rule, text);
    }
  }

  /**
   * Runs a parser whose refusals are findings.
   * @returns undefined where it refused
   */
  attempt<T>(rule: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SecateurError)) throw error;
      const { what, expected, got } = error.parts;
      this.refuse(rule, [what, expected && `expected ${expected}`, got && `got ${got}`].filter(Boolean).join(', '));
      return undefined;
    }
  }

  report(kind: FormatKind): LintReport {
    // refusals first, otherwise in the order in which they were found
    const order = [...this.#list.values()];
    const findings = [...order.filter((f) => f.verdict === 'refused'), ...order.filter((f) => f.verdict === 'flagged')];
    if (this.#left > 0) {
      const verdict = this.#refused > 0 ? 'refused' : 'flagged';
      findings.push({ rule: 'more', verdict, says: `${this.#left} more findings of these kinds` });
    }
    const verdict: LintVerdict = this.#refused > 0 ? 'refused' : findings.length > 0 ? 'flagged' : 'ok';
    return { kind, verdict, findings };
  }
}
