/** What models.json asks of a model, and what of it the lock shows to be missing. */

import { globMatches } from './globs.ts';
import { isLoaded } from './integrity.ts';
import type { LockedFile, LockedModel, LockedSignature, Manifest, PolicyRule, SigningMethod, SigstoreIdentity } from './types.ts';
import { INTEGRITIES, VERDICTS } from './types.ts';

export { globMatches } from './globs.ts';

/** A rule that does not hold for a model. */
export interface PolicyFinding {
  readonly rule: PolicyRule;
  readonly mode: 'enforce' | 'warn';
  /** What the rule is not content with. */
  readonly about: 'vouched' | 'formats' | 'lint';
  /** One sentence without full stop. */
  readonly says: string;
}

/** The signers of one rule: a signature by any one of them satisfies it. */
export interface SignerSet {
  readonly match: string;
  readonly mode: 'enforce' | 'warn';
  readonly keys: readonly string[];
  readonly authorities: readonly string[];
  readonly identities: readonly SigstoreIdentity[];
}

/** The rules whose glob matches a name; all of them hold at once. */
export const rulesFor = ({ policy }: Pick<Manifest, 'policy'>, name: string): PolicyRule[] =>
  policy.filter((rule) => globMatches(rule.match, name));

/** The signers of every rule that wants a signature of the model: each set must be satisfied. Empty: none is wanted. */
export function signersFor(manifest: Pick<Manifest, 'policy'>, name: string): SignerSet[] {
  return rulesFor(manifest, name)
    .filter((rule) => rule.require === 'signature')
    .map(({ match, mode = 'enforce', keys = [], authorities = [], identities = [] }) => ({ match, mode, keys, authorities, identities }));
}

/**
 * What the rules for a model find wrong with its entry in the lock, in the order of the rules. A signature is taken at the lock's word
 * here, as far as its method and name go: whether it verifies is for the caller to check against {@link signersFor}.
 */
export function checkPolicy(manifest: Pick<Manifest, 'policy'>, name: string, model: LockedModel): PolicyFinding[] {
  return rulesFor(manifest, name).flatMap((rule) => {
    const found = { vouched: vouched(rule, model), formats: formats(rule, model), lint: lint(rule, model) };
    return (['vouched', 'formats', 'lint'] as const).flatMap((about) =>
      found[about].map((says): PolicyFinding => ({ rule, mode: rule.mode ?? 'enforce', about, says })),
    );
  });
}

function vouched(rule: PolicyRule, { integrity, signature }: LockedModel): string[] {
  switch (rule.require) {
    case 'lock':
      return [];
    case 'claim':
      if (INTEGRITIES.indexOf(integrity) >= INTEGRITIES.indexOf('matched-published-claim')) return [];
      return ['a published hash that matched is wanted, and the files have none'];
    case 'signature':
      if (signature === undefined) return ['a signature is wanted, and the lock has none'];
      return mayBe(rule, signature) ? [] : [`a signature by another signer is wanted, and the lock has one by ${signature.signer}`];
  }
}

/** Whether the signature could be by a signer of the rule, as far as can be told without reading keys. */
function mayBe({ keys, authorities, identities = [] }: PolicyRule, { method, signer }: LockedSignature): boolean {
  const possible: Record<SigningMethod, boolean> = {
    key: keys !== undefined,
    certificate: authorities !== undefined,
    sigstore: identities.some((i) => `${i.identity} (${i.issuer})` === signer),
  };
  return possible[method];
}

function formats({ formats: allowed }: PolicyRule, { files }: LockedModel): string[] {
  if (allowed === undefined) return [];
  // Files of weights belong to the ONNX file that names them; texts and pictures are none of a model.
  const free = new Set<string>([...allowed, ...(allowed.includes('onnx') ? ['onnx-data'] : [])]);
  const wrong = files.filter((f) => isLoaded(f) && !free.has(f.format));
  if (wrong.length === 0) return [];
  return [`formats may be ${allowed.join(', ') || 'none'}, and ${listed(wrong, (f) => `${f.path} is ${f.format}`)}`];
}

function lint({ lint: worst = 'flagged' }: PolicyRule, { files }: LockedModel): string[] {
  const wrong = files.filter((f) => VERDICTS.indexOf(f.lint) > VERDICTS.indexOf(worst));
  if (wrong.length === 0) return [];
  return [`files must be ${worst === 'ok' ? 'ok' : `${worst} at worst`}, and ${listed(wrong, (f) => `${f.path} is ${f.lint}`)}`];
}

/** Files that a sentence names. */
const NAMED = 3;

function listed(files: readonly LockedFile[], text: (file: LockedFile) => string): string {
  const more = files.length > NAMED ? ` and ${files.length - NAMED} more` : '';
  return `${files.slice(0, NAMED).map(text).join(', ')}${more}`;
}
