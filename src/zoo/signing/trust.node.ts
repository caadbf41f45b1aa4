/** Which of several trusted signers a bundle could be by. */
import { parseBundle } from './bundle.ts';
import { keyHint, readPublicKey } from './keys.node.ts';
import { Steps } from './steps.ts';
import type { SigningTrust } from './types.ts';
import { hintOfPem } from './verify-envelope.node.ts';

export type { SigningTrust } from './types.ts';

/**
 * Those of a policy's signers that could have made this bundle, by what the bundle says of itself: the method, and the key's hint where it
 * gives one. Whether one of them DID sign is for `verifyDigests` to say. Empty where none could.
 * @throws SecateurError where the bundle cannot be read (`E_SIG_...`), or a key of the policy (`E_SIG_KEY`, exit code 2)
 */
export function trustMatching(bundleBytes: Uint8Array, candidates: readonly SigningTrust[], where = 'signature'): SigningTrust[] {
  const bundle = parseBundle(bundleBytes, new Steps(where));
  const { hint, pem } = bundle.key ?? {};
  const named = hint !== undefined && hint !== '' ? hint : pem === undefined ? undefined : hintOfPem(pem);
  return candidates.filter((trust) => {
    if (trust.method !== bundle.method) return false;
    return trust.method !== 'key' || named === undefined || keyHint(readPublicKey(trust.publicKey, 'public key')) === named;
  });
}
