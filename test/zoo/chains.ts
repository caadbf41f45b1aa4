/** Certificates made by openssl for a test: authorities, leaves, and whatever a rule must refuse. */
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Issued {
  readonly pem: string;
  readonly der: Buffer;
  readonly key: KeyObject;
  readonly keyPem: string;
}

export interface Wish {
  readonly name: string;
  /** Absent: signs itself. */
  readonly issuer?: Issued;
  /** Lines of an openssl extension section. */
  readonly extensions?: readonly string[];
  /** Default 3650. */
  readonly days?: number;
  /** Kind of key: `EC:P-256` (default), `RSA:1024`. */
  readonly algorithm?: string;
  /** Default sha256. */
  readonly hash?: string;
  /** The issuer's RSA key signs with PSS. */
  readonly pss?: boolean;
}

export const AUTHORITY = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
export const LEAF = ['basicConstraints=CA:FALSE', 'keyUsage=critical,digitalSignature', 'extendedKeyUsage=codeSigning'];

const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });

function keyOf(algorithm: string): KeyObject {
  const [type, size] = algorithm.split(':');
  if (type === 'EC') return generateKeyPairSync('ec', { namedCurve: size }).privateKey;
  // Two authorities of a test may share it: it takes long to find.
  return size === '2048' ? rsa : generateKeyPairSync('rsa', { modulusLength: Number(size) }).privateKey;
}

/** A certificate of version 3; an authority's by default where it signs itself, else a leaf that may sign code. */
export function issue({ name, issuer, days = 3650, algorithm = 'EC:P-256', hash = 'sha256', extensions, pss }: Wish): Issued {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-chain-'));
  const file = (named: string, text: string): string => {
    writeFileSync(join(folder, named), text);
    return join(folder, named);
  };
  const key = keyOf(algorithm);
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  try {
    const by =
      issuer === undefined
        ? ['-key', file('key', keyPem)]
        : [
            ...['-force_pubkey', file('pub', createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString())],
            ...['-CA', file('ca', issuer.pem), '-CAkey', file('cakey', issuer.keyPem), '-CAcreateserial'],
          ];
    const extfile = file('ext', (extensions ?? (issuer === undefined ? AUTHORITY : LEAF)).join('\n'));
    const args = [
      'x509',
      '-new',
      '-subj',
      `/CN=${name}`,
      ...by,
      '-days',
      `${days}`,
      `-${hash}`,
      '-extfile',
      extfile,
      ...(pss ? ['-sigopt', 'rsa_padding_mode:pss'] : []),
    ];
    const pem = execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return { pem, der: new X509Certificate(pem).raw, key, keyPem };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
