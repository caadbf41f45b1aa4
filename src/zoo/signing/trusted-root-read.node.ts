/** trusted_root.json of a Sigstore instance, read strictly into the form that @sigstore/verify takes. */
import { type TrustMaterial, toTrustMaterial } from '@sigstore/verify';
import { SecateurError } from '../../core/errors.ts';
import { type JsonNode, parseJson } from '../strict-json.ts';
import { strictBase64 } from './base64.ts';

type TrustedRoot = Parameters<typeof toTrustMaterial>[0];

const CODE = 'E_SIG_TRUSTED_ROOT';
const ROOT_TYPE = 'application/vnd.dev.sigstore.trustedroot+json;version=0.1';
const ROOT_TYPES = [ROOT_TYPE, 'application/vnd.dev.sigstore.trustedroot.v0.1+json', 'application/vnd.dev.sigstore.trustedroot.v0.2+json'];
/** What `model_signing --trust_config` takes: the root is one field of it. */
const CONFIG_TYPE = 'application/vnd.dev.sigstore.clienttrustconfig.v0.1+json';
const MAX_CHARS = 2 ** 22;

/** Numbers of the protobuf enum `PublicKeyDetails` for the kinds that logs have; the library only asks whether it is RSA in PKCS#1. */
const KEY_DETAILS: Readonly<Record<string, number>> = {
  PKCS1_RSA_PKCS1V5: 1,
  PKIX_RSA_PKCS1V5: 3,
  PKIX_ECDSA_P256_SHA_256: 5,
  PKIX_ED25519: 7,
  PKIX_RSA_PKCS1V15_2048_SHA256: 9,
  PKIX_RSA_PKCS1V15_3072_SHA256: 10,
  PKIX_RSA_PKCS1V15_4096_SHA256: 11,
  PKIX_ECDSA_P384_SHA_384: 12,
  PKIX_ECDSA_P521_SHA_512: 13,
};

/**
 * Keys of logs and certificates of authorities of a Sigstore instance.
 * Source: Sigstore protobuf-specs, `sigstore_trustroot.proto`; also the `clienttrustconfig` that holds one.
 * @throws SecateurError `E_SIG_TRUSTED_ROOT`, exit code 2, with line and column
 */
export function readTrustedRoot(text: string, where: string): TrustMaterial {
  const file = parseJson(text, where, { code: CODE, maxChars: MAX_CHARS, exitCode: 2 });
  const type = file.field('mediaType').string();
  const root = type === CONFIG_TYPE ? file.field('trustedRoot') : file;
  if (type !== CONFIG_TYPE || root.optional('mediaType') !== undefined) root.field('mediaType').oneOf(ROOT_TYPES);
  const certificateAuthorities = listOf(root, 'certificateAuthorities', readAuthority);
  if (certificateAuthorities.length === 0) root.refuse('no authority is named', 'certificateAuthorities with at least one entry', 'none');
  const material: unknown = {
    mediaType: ROOT_TYPE,
    tlogs: listOf(root, 'tlogs', readLog),
    certificateAuthorities,
    ctlogs: listOf(root, 'ctlogs', readLog),
    timestampAuthorities: listOf(root, 'timestampAuthorities', readAuthority),
  };
  try {
    return toTrustMaterial(material as TrustedRoot);
  } catch (cause) {
    if (cause instanceof SecateurError) throw cause;
    return root.refuse(
      'a key or certificate in it cannot be read',
      'DER in base64',
      cause instanceof Error ? cause.message : 'other bytes',
    );
  }
}

const listOf = <T>(root: JsonNode, name: string, read: (node: JsonNode) => T): T[] =>
  (root.optional(name)?.array({ max: 100 }) ?? []).map(read);

function readAuthority(node: JsonNode): unknown {
  const certificates = node.field('certChain').field('certificates').array({ min: 1, max: 10 });
  return {
    uri: node.optional('uri')?.string() ?? '',
    certChain: { certificates: certificates.map((certificate) => ({ rawBytes: bytesOf(certificate.field('rawBytes')) })) },
    validFor: readRange(node.optional('validFor')),
  };
}

function readLog(node: JsonNode): unknown {
  const key = node.field('publicKey');
  const details = key.field('keyDetails').oneOf(Object.keys(KEY_DETAILS));
  const checkpoint = node.optional('checkpointKeyId');
  return {
    baseUrl: node.optional('baseUrl')?.string() ?? '',
    publicKey: {
      rawBytes: bytesOf(key.field('rawBytes')),
      keyDetails: KEY_DETAILS[details],
      validFor: readRange(key.optional('validFor')),
    },
    logId: { keyId: bytesOf(node.field('logId').field('keyId')) },
    checkpointKeyId: checkpoint === undefined ? undefined : { keyId: bytesOf(checkpoint.field('keyId')) },
  };
}

function readRange(node: JsonNode | undefined): { start?: Date; end?: Date } | undefined {
  if (node === undefined) return undefined;
  const time = (name: string): Date | undefined => {
    const field = node.optional(name);
    if (field === undefined) return undefined;
    const date = new Date(
      field.string({ pattern: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/, expected: 'a time such as 2021-01-12T11:53:27Z' }),
    );
    return Number.isNaN(date.getTime()) ? field.refuse('no such time', 'a time such as 2021-01-12T11:53:27Z', field.string()) : date;
  };
  return { start: time('start'), end: time('end') };
}

function bytesOf(node: JsonNode): Buffer {
  const bytes = strictBase64(node.string({ min: 1, max: 2 ** 17 }));
  return bytes === undefined ? node.refuse(`${node.label} is not base64`, 'base64', 'other text') : Buffer.from(bytes);
}
