/**
 * Signature bundles again, past the syntax: the input decides which fields of a right bundle or statement are replaced, dropped or doubled.
 * Statements are signed anew, and half of the time their digest is made to fit, so that every check behind the signature sees wrong values.
 */
import { generateKeyPairSync } from 'node:crypto';
import { SecateurError } from '../../src/core/errors.ts';
import { type Json as Canonical, canonicalJson } from '../../src/zoo/signing/canonical-json.ts';
import { describeBundle } from '../../src/zoo/signing/describe.node.ts';
import { rootOf } from '../../src/zoo/signing/resource-order.ts';
import { signEnvelope } from '../../src/zoo/signing/sign-envelope.node.ts';
import type { SigningTrust } from '../../src/zoo/signing/types.ts';
import { verifyDigests } from '../../src/zoo/signing/verify.node.ts';
import type { Sha256 } from '../../src/zoo/types.ts';
import { target as bundle } from './bundle.ts';
import { Choices, edit, type Json } from './lock-fields.ts';
import type { FuzzTarget } from './target.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const own: SigningTrust = { method: 'key', publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
const hex = (byte: number): string => byte.toString(16).padStart(2, '0').repeat(32);
const NAMES = ['model.onnx', 'onnx/model.onnx', 'readme.md'];
const FILES = NAMES.map((name, i) => ({ name, digest: `sha256:${hex(i)}` as Sha256 }));
const FORMS = [
  { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: ['.git', 'model.sig'] },
  { method: 'files', hash_type: 'blake3', allow_symlinks: true },
  { method: 'shards', hash_type: 'sha256', allow_symlinks: false, shard_size: 8, ignore_paths: [] },
];

function sample(choose: Choices): Json {
  const serialization = FORMS[choose.below(4) % 3];
  const shards = serialization.method === 'shards';
  const resources = NAMES.map((name, i) => ({ name: shards ? `${name}:0:8` : name, digest: hex(i), algorithm: serialization.hash_type }));
  const legacy = choose.below(6) === 0;
  const digest = { sha256: rootOf(resources).slice('sha256:'.length) };
  const files = NAMES.map((name, i) => ({ name, digest: { sha256: hex(i) }, annotations: { actual_hash_algorithm: 'file-sha256' } }));
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: legacy ? files : [{ name: 'model', digest }],
    predicateType: legacy ? 'https://model_signing/Digests/v0.1' : 'https://model_signing/signature/v1.0',
    predicate: legacy ? {} : ({ resources, serialization } as unknown as Json),
  };
}

/** Makes the subject's digest that of the resources, where they have digests at all. */
function refit(value: Json): Json {
  const { subject, predicate } = (value ?? {}) as { subject?: Json; predicate?: { resources?: Json } };
  const resources = predicate?.resources;
  if (!Array.isArray(subject) || !Array.isArray(resources)) return value;
  const digests = resources.flatMap((r) => {
    const { digest } = (r ?? {}) as { digest?: Json };
    return typeof digest === 'string' && /^([0-9a-f]{2})+$/.test(digest) ? [{ digest }] : [];
  });
  const first = subject[0] as { digest?: Json } | null | undefined;
  if (first !== null && typeof first === 'object') first.digest = { sha256: rootOf(digests).slice('sha256:'.length) };
  return value;
}

export const target: FuzzTarget = {
  name: 'bundle-fields',
  seeds: () => [32, 64, 128].map((size) => Uint8Array.from({ length: size }, (_, i) => (i * 91 + size) & 0xff)),
  run(bytes) {
    const choose = new Choices(bytes);
    let value = sample(choose);
    for (let n = choose.below(4); n > 0; n--) value = edit(value, choose);
    if (choose.below(2) === 0) value = refit(value);
    let text = signEnvelope(new TextEncoder().encode(canonicalJson(value as Canonical)), { key }).bundle;
    if (choose.below(4) === 3) text = JSON.stringify(edit(JSON.parse(text) as Json, choose));
    const signed = new TextEncoder().encode(text);
    const o = { legacy: choose.below(2) === 0, ignoreUnsigned: choose.below(2) === 0, subset: choose.below(2) === 0 ? [] : undefined };
    const found = verifyDigests(signed, own, FILES, o);
    if (describeBundle(signed).statement === undefined) throw new Error('verified, but cannot be explained');
    for (const name of [...found.extra, ...found.notInstalled, ...found.ignored]) {
      if (/(^|\/)\.\.(\/|$)|^\/|\\|\0/.test(name)) throw new Error(`took the name ${JSON.stringify(name)}`);
    }
    // What is accepted must depend on the bytes: with every digest another, nothing that is signed and here may pass.
    const others = FILES.map(({ name }) => ({ name, digest: `sha256:${hex(0xee)}` as Sha256 }));
    try {
      verifyDigests(signed, own, others, o);
    } catch (error) {
      if (error instanceof SecateurError) return 'a statement';
      throw error;
    }
    throw new Error('took files with other bytes than were signed');
  },
  words: bundle.words,
};
