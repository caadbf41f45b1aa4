/** What the audit finds in a model's entry in the lock, each in a sentence with what can be done. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isLoaded } from './integrity.ts';
import { LINT_RULES } from './lint/lint.ts';
import { type PolicyFinding, signersFor } from './policy.ts';
import type { Project } from './project.node.ts';
import { commitIn } from './sources/commit-in.ts';
import { localPath } from './sources/local.node.ts';
import { isLocal, parseSource } from './sources/spec.ts';
import type { LockedModel } from './types.ts';
import { onlyHere } from './verbs/local-source.ts';

/** What `--fail-on` can ask about. */
export const CONCERNS = ['unverified', 'unsafe', 'unpinned'] as const;
export type Concern = (typeof CONCERNS)[number];

export interface AuditProblem {
  /** Stable name: `pinned-on-first-use`, `http`, `changed`. */
  readonly rule: string;
  /** One sentence without full stop. */
  readonly says: string;
  /** What can be done, without full stop. */
  readonly hint?: string;
  /** What it makes the model; none: a thing to know that only `any` counts. */
  readonly concerns: readonly Concern[];
  /** True for what is no fault: not installed here. */
  readonly info?: boolean;
}

const BUNDLE = 'model.sig';

/** What makes a signed model of it: where a rule names the signer, `update`; else taking it anew with the key, which writes such a rule. */
function signing(name: string, { source, files }: LockedModel, { root, manifest }: Project): string {
  const isRuled = signersFor(manifest, name).length > 0;
  const spec = parseSource(source);
  const again = (path: string): string =>
    isRuled ? `secateur zoo update ${name}` : `secateur zoo remove ${name} && secateur zoo add ${path} --name ${name} --key MAKER.pub`;
  if (spec.kind !== 'path' && spec.kind !== 'file') return `a signature by the publisher, then ${again(source)}`;
  const at = localPath(spec, root);
  const path = spec.kind === 'path' && !/^[./]/.test(spec.path) ? `./${spec.path}` : source;
  const alone = files.length === 1 && basename(at) === files[0].path;
  if (existsSync(alone ? `${at}.sig` : join(at, BUNDLE))) {
    const bundle = alone ? `${path}.sig` : `${path}/${BUNDLE}`;
    return `${bundle} is there and ${isRuled ? 'was not taken yet' : 'no rule says whose it must be'}: ${again(path)}`;
  }
  return `whoever made it signs it: secateur zoo sign ${path} --key MAKER.key; then ${again(path)}`;
}

export function nobodyVouched(name: string, entry: LockedModel, project: Project): AuditProblem {
  const { files, source } = entry;
  const bare = files.filter((f) => isLoaded(f) && f.claims.length === 0);
  const says = `no published hash or signature (${some((bare.length > 0 ? bare : files).map((f) => f.path))})`;
  const hash = `with a hash from another channel: secateur zoo remove ${name} && secateur zoo add ${source} --name ${name} --sha256 HEX`;
  const hint = isLocal(parseSource(source)) ? signing(name, entry, project) : `${signing(name, entry, project)}; or, ${hash}`;
  return { rule: 'pinned-on-first-use', says, hint, concerns: ['unverified'] };
}

/** A rule of models.json that does not hold. */
export function policy(name: string, entry: LockedModel, { rule, mode, about, says }: PolicyFinding, project: Project): AuditProblem {
  const hints: Record<PolicyFinding['about'], string> = {
    vouched:
      rule.require === 'signature'
        ? signing(name, entry, project)
        : `a hash from another channel: secateur zoo remove ${name} && secateur zoo add ${entry.source} --name ${name} --sha256 HEX`,
    formats: 'a copy of the model in a format of the rule, or "formats" of that rule in models.json',
    lint: 'secateur zoo lint says why; another copy of the model, or "lint" of that rule in models.json',
  };
  const concerns: Concern[] = mode === 'warn' ? [] : [about === 'vouched' ? 'unverified' : 'unsafe'];
  return { rule: 'policy', says: `the rule for "${rule.match}"${mode === 'warn' ? ' warns' : ''}: ${says}`, hint: hints[about], concerns };
}

export function claims({ files, integrity }: LockedModel, problems: AuditProblem[]): void {
  for (const { path, claims: all } of files) {
    for (const { from, algorithm } of all.filter((c) => !c.matched)) {
      const says = `${path} does not have the ${algorithm} that ${from} shows, and was taken all the same`;
      problems.push({ rule: 'claim-mismatch', says, hint: 'ask the publisher which of the two is right', concerns: ['unverified'] });
    }
  }
  if (integrity !== 'matched-published-claim') return;
  const weak = files.filter((f) => isLoaded(f) && f.claims.every((c) => c.algorithm !== 'sha256'));
  if (weak.length === 0) return;
  const kinds = [...new Set(weak.flatMap((f) => f.claims.map((c) => (c.algorithm === 'md5' ? 'MD5' : 'SHA-1'))))].join(' and ');
  const says = `the published hash is ${kinds} only, for which two files with one hash can be made (${some(weak.map((f) => f.path))})`;
  problems.push({ rule: 'weak-claim', says, hint: 'ask the publisher for a SHA-256 or a signature', concerns: [] });
}

export function source(manifest: Project['manifest'], name: string, entry: LockedModel, problems: AuditProblem[]): void {
  const plain = entry.files.filter((f) => f.url?.startsWith('http:'));
  if (plain.length > 0) {
    const says = `fetched over http:, where anybody on the way can change it (${some(plain.map((f) => f.path))})`;
    problems.push({ rule: 'http', says, hint: 'an https: address', concerns: ['unpinned'] });
  }
  const spec = parseSource(entry.source);
  const lacking = onlyHere(spec, manifest);
  if (lacking !== undefined) {
    const hint = 'the file in a folder of the project that is committed, or an address';
    problems.push({ rule: 'local-source', says: lacking, hint, concerns: [] });
  }
  if (entry.resolved !== 'unversioned' || isLocal(spec)) return;
  if (entry.files.every((f) => f.url !== undefined && commitIn(f.url) !== undefined)) return;
  const says = 'the address can give other bytes tomorrow: then an install on a new machine fails, and only the lock shows it';
  problems.push({
    rule: 'unversioned',
    says,
    hint: `where the publisher has an address with a commit: that as "source" of ${name} in models.json, then secateur zoo install ${name}`,
    concerns: ['unpinned'],
  });
}

export function formats({ files, lintRules }: LockedModel, problems: AuditProblem[]): void {
  const refused = files.filter((f) => f.lint === 'refused');
  const flagged = files.filter((f) => f.lint === 'flagged');
  if (refused.length > 0) {
    const says = `loading can run code, or the file is malformed: ${some(refused.map((f) => `${f.path} (${f.format})`))}`;
    problems.push({
      rule: 'refused-format',
      says,
      hint: 'secateur zoo lint says why; a copy as ONNX or safetensors',
      concerns: ['unsafe'],
    });
  }
  if (flagged.length > 0) {
    const says = `to be loaded with care: ${some(flagged.map((f) => `${f.path} (${f.format})`))}`;
    problems.push({ rule: 'flagged-format', says, hint: 'secateur zoo lint says why', concerns: [] });
  }
  if (lintRules !== LINT_RULES) {
    const says = `formats were judged by the rules of ${lintRules}, this program has those of ${LINT_RULES}`;
    problems.push({ rule: 'old-rules', says, hint: 'secateur zoo update', concerns: [], info: true });
  }
}

/** Names that a sentence holds. */
const NAMED = 3;

export function some(names: readonly string[]): string {
  return `${names.slice(0, NAMED).join(', ')}${names.length > NAMED ? ` and ${names.length - NAMED} more` : ''}`;
}
