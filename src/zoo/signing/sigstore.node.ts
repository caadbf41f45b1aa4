/** Keyless signatures: a certificate of minutes, issued to an identity, and a log that says when it was used. Checked without a network. */
import { bundleFromJSON } from '@sigstore/bundle';
import { type TrustMaterial, toSignedEntity, Verifier } from '@sigstore/verify';
import type { ParsedBundle } from './bundle.ts';
import type { Steps } from './steps.ts';
import { PUBLIC_GOOD_ROOT } from './trusted-root.ts';
import { readTrustedRoot } from './trusted-root-read.node.ts';
import type { SigningTrust } from './types.ts';

/** Read once: a policy checks many models. */
let publicGood: TrustMaterial | undefined;

type SigstoreTrust = Extract<SigningTrust, { method: 'sigstore' }>;

/**
 * `identity (issuer)` of whoever signed, once the log's proof, the times, the certificate under the instance's authority and the signature
 * hold, and identity and issuer are, as whole strings, those that the user named. The library's own policy takes identities as patterns in
 * which `a.b@x.org` fits `aXb@x.org.evil.net`, and takes anyone where it is given none; so nothing is left to it.
 * Source: Sigstore client specification, verification.
 * @throws SecateurError `E_SIG_SIGSTORE`, `E_SIG_IDENTITY`, `E_SIG_ISSUER`, `E_SIG_TRUSTED_ROOT`
 */
export function verifyKeyless(bundle: ParsedBundle, trust: SigstoreTrust, steps: Steps): string {
  const own = trust.trustedRoot !== undefined;
  publicGood ??= readTrustedRoot(PUBLIC_GOOD_ROOT, 'built-in trusted root');
  const material = trust.trustedRoot === undefined ? publicGood : readTrustedRoot(trust.trustedRoot, 'trusted root');
  let identity: { subjectAlternativeName?: string; extensions?: { issuer?: string } } | undefined;
  try {
    const read = bundleFromJSON(bundle.plain());
    const { content } = read;
    // Both readers must have decoded the same bytes, or one would check what the other does not use.
    if (content.$case !== 'dsseEnvelope' || !content.dsseEnvelope.payload.equals(bundle.payload))
      throw new Error('the envelope is read differently');
    identity = new Verifier(material).verify(toSignedEntity(read)).identity;
  } catch (cause) {
    const reason = cause instanceof Error ? reasonOf(cause) : String(cause);
    steps.refuse({
      code: 'E_SIG_SIGSTORE',
      what: `the keyless signature does not hold: ${reason}`,
      expected: `certificate, time and log entry of ${own ? 'the given trusted root' : "Sigstore's public instance"}`,
      hint: own ? undefined : '--trusted-root FILE if a private or newer instance signed this',
      cause,
    });
  }
  const name = identity?.subjectAlternativeName ?? '';
  const issuer = identity?.extensions?.issuer ?? '';
  steps.done(`signed by ${name || 'nobody by name'} according to ${issuer || 'no issuer'}, in a transparency log`);
  if (name !== trust.identity) {
    const what = 'somebody else signed this';
    steps.refuse({ code: 'E_SIG_IDENTITY', what, expected: trust.identity, got: name || 'no name' });
  }
  if (issuer !== trust.issuer) {
    const what = `the name is right (${name}), but somebody else says that it is theirs`;
    steps.refuse({ code: 'E_SIG_ISSUER', what, expected: trust.issuer, got: issuer || 'no issuer' });
  }
  return `${name} (${issuer})`;
}

/** The library's words, and those of what it failed over. */
function reasonOf(error: Error): string {
  const texts = [error.message];
  for (let inner = error.cause; inner instanceof Error && texts.length < 4; inner = inner.cause) texts.push(inner.message);
  return texts.join(': ');
}
