/** The policy and the format lint, where they stop a verb. */
import { fail } from '../../core/errors.ts';
import { checkPolicy, rulesFor } from '../policy.ts';
import type { LintReport, LockedModel, Manifest } from '../types.ts';
import type { VerbOptions } from './options.ts';

/** Whether a rule that is enforced speaks of the model: then it says which verdicts are taken. */
export const isRuled = (manifest: Manifest, name: string): boolean => rulesFor(manifest, name).some((rule) => rule.mode !== 'warn');

/** Throws E_POLICY for the first finding of a rule that is enforced; the others are said. */
export function enforce(manifest: Manifest, name: string, entry: LockedModel, o: Pick<VerbOptions, 'onNote'>): void {
  const findings = checkPolicy(manifest, name, entry);
  for (const { mode, rule, says } of findings) if (mode === 'warn') o.onNote?.(`${name}: ${says} (rule for "${rule.match}")`);
  const broken = findings.find((f) => f.mode === 'enforce');
  if (broken === undefined) return;
  fail({
    code: 'E_POLICY',
    where: name,
    what: `${broken.says} (rule for "${broken.rule.match}" in models.json)`,
    hint: 'a model that keeps the rule, or to change the rule in models.json where you can answer for it',
    exitCode: 3,
  });
}

/** Where no rule speaks of the model, what is refused needs the user's word. Throws SecateurError E_FORMAT (exit code 3). */
export function refuseFormats(manifest: Manifest, name: string, lint: ReadonlyMap<string, LintReport>, hint: string): void {
  if (isRuled(manifest, name)) return;
  for (const [path, { verdict, findings, kind }] of lint) {
    if (verdict !== 'refused') continue;
    const worst = findings.find((f) => f.verdict === 'refused');
    fail({
      code: 'E_FORMAT',
      where: `${name}: ${path}`,
      what: `${worst?.says ?? 'refused'} (${kind}, rule ${worst?.rule ?? 'unknown'})`,
      hint,
      exitCode: 3,
    });
  }
}
