/**
 * Signature bundles, two ways at once: the bytes as a bundle under each kind of trust, and the bytes as a payload that is signed anew, so that
 * the readers behind the signature are reached too. Whatever is accepted must be what was signed.
 */
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecateurError } from '../../src/core/errors.ts';
import { describeBundle } from '../../src/zoo/signing/describe.node.ts';
import { signEnvelope } from '../../src/zoo/signing/sign-envelope.node.ts';
import type { SigningTrust } from '../../src/zoo/signing/types.ts';
import { verifyDigests } from '../../src/zoo/signing/verify.node.ts';
import type { Sha256 } from '../../src/zoo/types.ts';
import type { FuzzTarget } from './target.ts';

const OMS = join(import.meta.dirname, '../../test/zoo/fixtures/oms');
const MODELS = join(OMS, 'model-transparency/scripts/tests');
const pem = (name: string): string => readFileSync(join(MODELS, 'keys/certificate', name), 'utf8');
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const own: SigningTrust = { method: 'key', publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
const TRUSTS: readonly SigningTrust[] = [
  { method: 'key', publicKey: pem('signing-key-pub.pem') },
  { method: 'certificate', authorities: [pem('ca-cert.pem')] },
  { method: 'sigstore', identity: 'stefanb@us.ibm.com', issuer: 'https://sigstore.verify.ibm.com/oauth2' },
];
/** The digests that the fixtures were signed with. */
const digest = (hex: string): Sha256 => `sha256:${hex}`;
const FILES = [
  { name: 'signme-1', digest: digest('f6310066c7320497ea554260c32c43660bff648cb2a61194832cc086077085e1') },
  { name: 'signme-2', digest: digest('32dcb1f8e1ae52d5963e56a6ba06ab58b424c15ed2a6b70d2feca1d089370028') },
];

const payloadOf = (bundle: Uint8Array): Uint8Array =>
  Buffer.from(JSON.parse(new TextDecoder().decode(bundle)).dsseEnvelope.payload, 'base64');

function accepted(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof SecateurError) return false;
    throw error;
  }
}

export const target: FuzzTarget = {
  name: 'bundle',
  seeds() {
    const bundles = readdirSync(MODELS)
      .filter((name) => name.startsWith('v'))
      .map((name) => readFileSync(join(MODELS, name, 'model.sig')));
    const sizes = join(OMS, 'model-transparency/tests/_signing/testdata/signing/TestPayload');
    const golden = readdirSync(sizes).map((name) => readFileSync(join(sizes, name)));
    return [...bundles, ...bundles.map(payloadOf), ...golden];
  },
  run(bytes) {
    const described = accepted(() => describeBundle(bytes));
    const signed = new TextEncoder().encode(signEnvelope(bytes, { key }).bundle);
    const o = { legacy: true, ignoreUnsigned: true, subset: [] as string[] };
    const statement = accepted(() => {
      const found = verifyDigests(signed, own, FILES, o);
      // Nothing that was signed may name a place outside of the model.
      const names = [...found.extra, ...found.notInstalled, ...found.ignored];
      for (const name of names) if (/(^|\/)\.\.(\/|$)|^\/|\\|\0/.test(name)) throw new Error(`took the name ${JSON.stringify(name)}`);
    });
    const described2 = accepted(() => describeBundle(signed));
    if (statement && !described2) throw new Error('verified, but cannot be explained');
    for (const trust of TRUSTS) {
      if (!accepted(() => verifyDigests(bytes, trust, FILES, o))) continue;
      if (accepted(() => verifyDigests(bytes, trust, [{ ...FILES[0], digest: FILES[1].digest }], { ...o, subset: undefined }))) {
        throw new Error('took a file with other bytes than were signed');
      }
      return 'a foreign signature';
    }
    return statement ? 'a statement' : described ? 'a bundle by somebody else' : 'neither';
  },
  words: [
    ...[
      'mediaType',
      'application/vnd.dev.sigstore.bundle.v0.3+json',
      'verificationMaterial',
      'publicKey',
      'hint',
      'rawBytes',
      'keyDetails',
    ],
    ...[
      'x509CertificateChain',
      'certificates',
      'certificate',
      'tlogEntries',
      'timestampVerificationData',
      'rfc3161Timestamps',
      'signedTimestamp',
    ],
    ...[
      'dsseEnvelope',
      'payload',
      'payloadType',
      'signatures',
      'sig',
      'keyid',
      '_type',
      'subject',
      'predicateType',
      'predicate',
      'resources',
    ],
    ...[
      'serialization',
      'method',
      'files',
      'shards',
      'hash_type',
      'allow_symlinks',
      'shard_size',
      'ignore_paths',
      'algorithm',
      'digest',
      'name',
    ],
    ...['sha256', 'blake2b', 'blake3', 'sha256-sharded-8', 'https://model_signing/Digests/v0.1', 'https://model_signing/signature/v1.0'],
    ...['https://in-toto.io/Statement/v1', 'f:0:8', '../x', '/abs', 'C:x', '.', '\\u0000', '\\ud83d', 'null', 'true', 'false', '{}', '[]'],
    ...['1e9', '-1', '1000000000.0', '9007199254740993', '",', '":', '[{', '}]', '==', '\xff\xfe', '<html>'],
    ...[
      'inclusionProof',
      'inclusionPromise',
      'checkpoint',
      'envelope',
      'canonicalizedBody',
      'logId',
      'keyId',
      'kindVersion',
      'integratedTime',
    ],
  ],
};
