/** A Sigstore bundle with a DSSE envelope: which method signed, and the bytes that were signed. Nothing here is verified. */
import { type JsonNode, parseJsonBytes, toPlain } from '../strict-json.ts';
import type { SigningMethod } from '../types.ts';
import { strictBase64 } from './base64.ts';
import { READING, type Steps } from './steps.ts';
import { BUNDLE_MEDIA_TYPE, PAYLOAD_TYPE } from './types.ts';

/** Bytes of a bundle: 64 MiB hold some 200,000 files. */
export const MAX_BUNDLE = 2 ** 26;
/** Values of a payload; a file takes four. */
const MAX_VALUES = 2_000_000;
/** A chain that people make has three. */
const MAX_CERTIFICATES = 10;
const MAX_LOG_ENTRIES = 16;

export interface ParsedBundle {
  readonly method: SigningMethod;
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  /** What the bundle SAYS about its key: SHA-256 (hex) of the PEM text of the SPKI, or, in old bundles, the PEM itself. */
  readonly key?: { readonly hint?: string; readonly pem?: string };
  /** DER, leaf first; one for keyless bundles, none for key bundles. */
  readonly certificates: readonly Uint8Array[];
  /** Entries of a transparency log that the bundle holds. */
  readonly logEntries: number;
  /** RFC 3161 time stamps that the bundle holds. */
  readonly timestamps: number;
  /** All of it as plain objects, for the library that checks keyless bundles. */
  plain(): unknown;
}

/**
 * Reads a bundle strictly: size, UTF-8, JSON without double keys, exact media type, the fields of the envelope and of one of the three
 * signing methods, canonical base64, exactly one signature.
 * Source: Sigstore bundle v0.3; OMS v1.0 section 4 and `bundle.schema.json`; DSSE envelope.
 * @throws SecateurError `E_SIG_EMPTY`, `E_SIG_SIZE`, `E_SIG_HTML`, `E_SIG_JSON`, `E_SIG_MEDIA`, `E_SIG_FORM`, `E_SIG_BASE64`, `E_SIG_COUNT`,
 * `E_SIG_LOG`, `E_SIG_PAYLOAD_TYPE`
 */
export function parseBundle(bytes: Uint8Array, steps: Steps): ParsedBundle {
  const { where } = steps;
  if (bytes.length === 0) steps.refuse({ code: 'E_SIG_EMPTY', what: 'the file is empty', expected: 'a signature bundle', got: '0 bytes' });
  if (bytes.length > MAX_BUNDLE) {
    steps.refuse({ code: 'E_SIG_SIZE', what: 'too large for a bundle', expected: `at most ${MAX_BUNDLE} bytes`, got: `${bytes.length}` });
  }
  if (looksLikePage(bytes)) {
    const hint = 'to open the address in a browser: it may want a login';
    steps.refuse({ code: 'E_SIG_HTML', what: 'this is a web page', expected: 'a signature bundle (JSON)', got: 'HTML', hint });
  }
  const root = steps.reading('E_SIG_JSON', () => parseJsonBytes(bytes, where, { code: READING, maxValues: MAX_VALUES, exitCode: 3 }));
  const { material, envelope } = steps.reading('E_SIG_FORM', () => {
    root.object();
    const mediaType = root.field('mediaType').string();
    if (mediaType !== BUNDLE_MEDIA_TYPE) {
      const at = root.field('mediaType').where;
      steps.refuse({ code: 'E_SIG_MEDIA', where: at, what: 'another type of bundle', expected: BUNDLE_MEDIA_TYPE, got: mediaType });
    }
    root.only('mediaType', 'verificationMaterial', 'dsseEnvelope');
    return { material: readMaterial(root.field('verificationMaterial'), steps), envelope: readEnvelope(root.field('dsseEnvelope'), steps) };
  });
  steps.done('its form is right');
  return { ...material, ...envelope, plain: () => toPlain(root) };
}

/** A page of HTML or XML where a bundle was expected: a login, a proxy's message. */
function looksLikePage(bytes: Uint8Array): boolean {
  const start = String.fromCharCode(...bytes.subarray(0, 64)).replace(/^[\xef\xbb\xbf\s]+/, '');
  return start.startsWith('<');
}

const METHODS = { publicKey: 'key', x509CertificateChain: 'certificate', certificate: 'sigstore' } as const;

function readMaterial(node: JsonNode, steps: Steps): Omit<ParsedBundle, 'payloadType' | 'payload' | 'signature' | 'plain'> {
  node.only(...Object.keys(METHODS), 'tlogEntries', 'timestampVerificationData');
  const fields = (Object.keys(METHODS) as (keyof typeof METHODS)[]).filter((name) => node.optional(name) !== undefined);
  if (fields.length !== 1) {
    const got = fields.length === 0 ? 'none of them' : fields.join(' and ');
    node.refuse('the verification material does not say how it was signed', `exactly one of ${Object.keys(METHODS).join(', ')}`, got);
  }
  const field = fields[0];
  const method = METHODS[field];
  const logEntries = node.optional('tlogEntries')?.array({ max: MAX_LOG_ENTRIES }).length ?? 0;
  for (const entry of node.optional('tlogEntries')?.array() ?? []) entry.object();
  const stamps = node.optional('timestampVerificationData');
  const timestamps = stamps?.optional('rfc3161Timestamps')?.array({ max: MAX_LOG_ENTRIES }).length ?? 0;
  if (method === 'sigstore' && logEntries === 0) {
    const hint = 'to ask whoever signed for the complete bundle';
    const what = 'signed without a key of its own, and no entry of a transparency log says when';
    steps.refuse({ code: 'E_SIG_LOG', where: node.where, what, expected: 'tlogEntries with at least one entry', got: 'none', hint });
  }
  const body = node.field(field);
  const der = (holder: JsonNode): Uint8Array => base64Field(holder.field('rawBytes'), steps, 2 ** 17);
  if (method === 'key') return { method, logEntries, timestamps, certificates: [], key: readKey(body, steps) };
  const holders = method === 'sigstore' ? [body] : body.field('certificates').array({ min: 1, max: MAX_CERTIFICATES });
  return { method, logEntries, timestamps, certificates: holders.map(der) };
}

function readKey(node: JsonNode, steps: Steps): { hint?: string; pem?: string } {
  const raw = node.optional('rawBytes');
  const hint = node.optional('hint')?.string({ max: 1000 });
  if (raw === undefined) {
    if (hint === undefined) node.refuse('the public key is not named', 'the field "hint"', 'neither hint nor rawBytes');
    return { hint };
  }
  return { hint, pem: new TextDecoder().decode(base64Field(raw, steps, 2 ** 16)) };
}

function readEnvelope(node: JsonNode, steps: Steps): Pick<ParsedBundle, 'payloadType' | 'payload' | 'signature'> {
  node.only('payload', 'payloadType', 'signatures');
  const type = node.field('payloadType');
  const payloadType = type.string();
  if (payloadType !== PAYLOAD_TYPE) {
    const what = 'something else than an in-toto statement was signed';
    steps.refuse({ code: 'E_SIG_PAYLOAD_TYPE', where: type.where, what, expected: PAYLOAD_TYPE, got: payloadType });
  }
  const payload = base64Field(node.field('payload'), steps, MAX_BUNDLE);
  const signatures = node.field('signatures');
  const all = signatures.array();
  if (all.length !== 1) {
    const what = 'which signature counts is not clear';
    steps.refuse({ code: 'E_SIG_COUNT', where: signatures.where, what, expected: 'exactly one signature', got: `${all.length}` });
  }
  const keyid = all[0].only('sig', 'keyid').optional('keyid');
  if (keyid !== undefined && keyid.kind !== 'null') keyid.string();
  return { payloadType, payload, signature: base64Field(all[0].field('sig'), steps, 2 ** 13) };
}

function base64Field(node: JsonNode, steps: Steps, max: number): Uint8Array {
  const bytes = strictBase64(node.string({ min: 1, max }));
  if (bytes !== undefined) return bytes;
  const expected = 'letters, digits, + and /, padded with =, without spare bits';
  return steps.refuse({ code: 'E_SIG_BASE64', where: node.where, what: `${node.label} is not base64`, expected, got: 'other text' });
}
