/** Signatures under certificate authorities: paths that hold and every way in which one does not. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { certificateFields } from '../../src/zoo/signing/certificate-fields.ts';
import { DerError, derOid, derTime } from '../../src/zoo/signing/der.ts';
import { signEnvelope } from '../../src/zoo/signing/sign-envelope.node.ts';
import { verifyDigests } from '../../src/zoo/signing/verify.node.ts';
import { AUTHORITY, type Issued, issue, LEAF } from './chains.ts';
import { bundleOf, digests, FOREIGN, MODELS, refusal, statement } from './oms.ts';

const files = digests({ 'model.onnx': 'net' });
const DAY = 86_400_000;
const root = issue({ name: 'root', algorithm: 'RSA:2048' });
const middle = issue({ name: 'middle', issuer: root, extensions: [...AUTHORITY.slice(1), 'basicConstraints=critical,CA:TRUE,pathlen:0'] });
const leaf = issue({ name: 'release', issuer: middle, days: 1 });

const chainOf = (...certificates: readonly Issued[]): Record<string, unknown> => ({
  x509CertificateChain: { certificates: certificates.map(({ der }) => ({ rawBytes: der.toString('base64') })) },
  tlogEntries: [],
});
const signed = (by: Issued, ...above: readonly Issued[]): Uint8Array =>
  bundleOf(by.key, statement(files), { material: chainOf(by, ...above) });
const under = (...authorities: readonly Issued[]) => ({ method: 'certificate' as const, authorities: authorities.map(({ pem }) => pem) });
const verify = (bundle: Uint8Array, trust = under(root), o = {}) => verifyDigests(bundle, trust, files, { where: 'm.sig', ...o });
const print = ({ pem }: Issued): string => new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
const named = (name: string, who: Issued): string => `CN=${name} (sha256:${print(who).slice(0, 12)}...)`;
const FORM = '(up to here: its form is right)';

describe('paths that hold', () => {
  it('leaf, intermediate, root; the signer is the fingerprint that openssl shows', () => {
    expect(verify(signed(leaf, middle))).toMatchObject({ method: 'certificate', signer: `sha256:${print(leaf)}`, warnings: [] });
  });

  it('the root in the bundle as well, certificates out of order, others among them', () => {
    const stranger = issue({ name: 'stranger' });
    expect(verify(signed(leaf, stranger, root, middle)).files).toBe(1);
  });

  it('an intermediate that the user trusts, alone; several authorities, in one text or in several', () => {
    const stranger = issue({ name: 'stranger' });
    expect(verify(signed(leaf), under(middle)).files).toBe(1);
    expect(verify(signed(leaf, middle), under(stranger, root)).files).toBe(1);
    expect(verify(signed(leaf, middle), { method: 'certificate', authorities: [`notes\n${stranger.pem}\n${root.pem}`] }).files).toBe(1);
  });

  it('code signing without a key usage, and a key usage without code signing', () => {
    for (const extensions of [
      ['extendedKeyUsage=codeSigning'],
      ['keyUsage=digitalSignature'],
      ['keyUsage=nonRepudiation', 'extendedKeyUsage=codeSigning'],
    ]) {
      expect(verify(signed(issue({ name: 'x', issuer: root, extensions }))).files).toBe(1);
    }
  });

  it("each of the three curves signs with the leaf's own hash", () => {
    for (const size of ['P-384', 'P-521']) {
      const other = issue({ name: size, issuer: middle, algorithm: `EC:${size}` });
      expect(verify(signed(other, middle)).signer).toBe(`sha256:${print(other)}`);
    }
  });
});

describe('paths that do not', () => {
  it('an expired leaf under a chain that is valid otherwise', async () => {
    const now = new Date(Date.now() + 2 * DAY);
    const { text, exit } = await refusal(() => verify(signed(leaf, middle), under(root), { now }));
    const { notBefore, notAfter } = certificateFields(leaf.der);
    const day = (date: Date): string => date.toISOString().slice(0, 10);
    expect(exit).toBe(3);
    expect(text).toBe(
      `E_SIG_EXPIRED m.sig: a certificate of the chain is not valid any more: ${named('release', leaf)} ${FORM}, expected ${day(notBefore)} to ${day(notAfter)}, got ${day(now)}. ` +
        'Try to ask whoever signed for a new signature; nothing in this one proves when it was made.',
    );
  });

  it('an authority that has expired, and one of tomorrow', async () => {
    const short = issue({ name: 'short', issuer: root, extensions: AUTHORITY, days: 1 });
    const long = issue({ name: 'long', issuer: short });
    const late = { now: new Date(Date.now() + 2 * DAY) };
    expect((await refusal(() => verify(signed(long, short), under(root), late))).text).toContain(
      `not valid any more: ${named('short', short)}`,
    );
    const early = { now: new Date(Date.now() - DAY) };
    expect((await refusal(() => verify(signed(leaf, middle), under(root), early))).text).toContain(
      `not valid yet: ${named('release', leaf)}`,
    );
    // A second path that is valid is taken.
    expect(verify(signed(long, short), under(root, issue({ name: 'else' }))).files).toBe(1);
  });

  it('an authority that the user does not trust', async () => {
    const stranger = issue({ name: 'root' });
    expect((await refusal(() => verify(signed(leaf, middle, root), under(stranger)))).text).toMatch(
      /^E_SIG_CHAIN m\.sig: no path leads from the signing certificate to an authority of yours(: .*)? \(up to here: its form is right\), expected CN=root \(sha256:[0-9a-f]{12}\.\.\.\), got CN=release \(sha256:[0-9a-f]{12}\.\.\.\), issued by CN=middle\.$/,
    );
    expect((await refusal(() => verify(signed(leaf), under(root)))).code).toBe('E_SIG_CHAIN');
  });

  it('somebody else who calls himself like the authority', async () => {
    const forged = issue({ name: 'middle', extensions: AUTHORITY });
    const mine = issue({ name: 'release', issuer: forged });
    const { text } = await refusal(() => verify(signed(mine, middle)));
    expect(text).toContain(`names ${named('middle', middle)} as its issuer, which has not signed it`);
  });

  it('a leaf that issues: neither without CA:TRUE nor without keyCertSign', async () => {
    const below = issue({ name: 'below', issuer: leaf });
    expect((await refusal(() => verify(signed(below, leaf, middle)))).text).toContain(`${named('release', leaf)} is no authority`);
    const odd = issue({
      name: 'odd',
      issuer: root,
      extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature'],
    });
    expect((await refusal(() => verify(signed(issue({ name: 'x', issuer: odd }), odd)))).text).toMatch(
      /CN=odd \(sha256:.*\) may not sign certificates/,
    );
    // Alone it may sign models, as the leaves of the foreign fixtures do.
    expect(verify(signed(odd)).files).toBe(1);
  });

  it('more authorities than a path length allows', async () => {
    const third = issue({ name: 'third', issuer: middle, extensions: AUTHORITY });
    const { text } = await refusal(() => verify(signed(issue({ name: 'x', issuer: third }), third, middle)));
    expect(text).toContain(`${named('middle', middle)} allows 0 authorities below it, not 1`);
  });

  it('a signature of the chain with SHA-1', async () => {
    const old = issue({ name: 'old', issuer: root, hash: 'sha1' });
    expect((await refusal(() => verify(signed(old)))).text).toContain(
      `${named('old', old)} is signed with MD5, SHA-1 or something unknown (1.2.840.113549.1.1.5)`,
    );
  });

  it('a signature of the chain with RSA-PSS: by the hash that it names, which is SHA-1 where it names none', async () => {
    expect(verify(signed(issue({ name: 'new', issuer: root, pss: true }))).files).toBe(1);
    const old = issue({ name: 'old', issuer: root, pss: true, hash: 'sha1' });
    expect((await refusal(() => verify(signed(old)))).text).toContain(
      `${named('old', old)} is signed with MD5, SHA-1 or something unknown (1.2.840.113549.1.1.10)`,
    );
  });

  it('an RSA authority of 1024 bits', async () => {
    const small = issue({ name: 'small', algorithm: 'RSA:1024' });
    const { text } = await refusal(() => verify(signed(issue({ name: 'x', issuer: small })), under(small)));
    expect(text).toContain(`${named('small', small)} has an RSA key of 1024 bits, fewer than 2048`);
  });

  it('a critical extension that is not understood', async () => {
    const strict = issue({ name: 'strict', issuer: root, extensions: [...LEAF, '1.2.3.4=critical,ASN1:NULL'] });
    expect((await refusal(() => verify(signed(strict)))).text).toBe(
      `E_SIG_CERTIFICATE m.sig: ${named('strict', strict)} has a critical extension that is not understood (1.2.3.4) ${FORM}.`,
    );
    const limited = issue({
      name: 'limited',
      issuer: root,
      extensions: [...AUTHORITY, 'nameConstraints=critical,permitted;DNS:example.org'],
    });
    const { text } = await refusal(() => verify(signed(issue({ name: 'x', issuer: limited }), limited)));
    expect(text).toContain(`${named('limited', limited)} has a critical extension that is not understood (2.5.29.30)`);
  });

  it('an authority for web servers, one for some names that does not insist on it, one whose key is short', async () => {
    const reason = async (name: string, extensions: readonly string[], algorithm?: string): Promise<string> => {
      const above = issue({ name, issuer: root, extensions: [...AUTHORITY, ...extensions], algorithm });
      const { code, text } = await refusal(() => verify(signed(issue({ name: 'x', issuer: above }), above)));
      expect(code).toBe('E_SIG_CHAIN');
      return text.replaceAll(named(name, above), name);
    };
    expect(await reason('web', ['extendedKeyUsage=serverAuth'])).toContain(': web may not sign certificates for code ');
    expect(await reason('names', ['nameConstraints=permitted;DNS:example.org'])).toContain(
      ': names has a critical extension that is not understood (2.5.29.30) ',
    );
    expect(await reason('short', [], 'EC:secp112r1')).toContain(': short has a key on the curve secp112r1, which is too short or unknown ');
    const both = issue({ name: 'both', issuer: root, extensions: [...AUTHORITY, 'extendedKeyUsage=serverAuth,codeSigning'] });
    expect(verify(signed(issue({ name: 'x', issuer: both }), both)).files).toBe(1);
  });

  it('a certificate for servers, and keys that do not sign models', async () => {
    const server = issue({ name: 'server', issuer: root, extensions: ['keyUsage=keyEncipherment', 'extendedKeyUsage=serverAuth'] });
    expect((await refusal(() => verify(signed(server)))).text).toBe(
      `E_SIG_USAGE m.sig: the signing certificate is not meant for signatures: ${named('server', server)} ${FORM}, expected usage Digital Signature or Code Signing, got extended usages 1.3.6.1.5.5.7.3.1.`,
    );
    // As every certificate of a web server is: whoever has one of the same authority is no publisher of models.
    const web = issue({ name: 'web', issuer: root, extensions: ['keyUsage=digitalSignature', 'extendedKeyUsage=serverAuth,clientAuth'] });
    expect((await refusal(() => verify(signed(web)))).code).toBe('E_SIG_USAGE');
    const bare = issue({ name: 'bare', issuer: root, extensions: ['keyUsage=keyEncipherment'] });
    expect((await refusal(() => verify(signed(bare)))).text).toContain('expected usage Digital Signature or Code Signing, got neither.');
    const any = issue({ name: 'any', issuer: root, extensions: ['extendedKeyUsage=anyExtendedKeyUsage'] });
    expect(verify(signed(any)).files).toBe(1);
    const rsa = issue({ name: 'rsa', issuer: root, algorithm: 'RSA:2048' });
    const bundle = bundleOf(leaf.key, statement(files), { material: chainOf(rsa) });
    expect((await refusal(() => verify(bundle))).text).toBe(
      `E_SIG_USAGE m.sig: the signing certificate has a key that model signatures are not made with ${FORM}, expected EC P-256, P-384 or P-521, got RSA.`,
    );
  });

  it('the right chain and a signature by another key', async () => {
    const thief = bundleOf(issue({ name: 'thief' }).key, statement(files), { material: chainOf(leaf, middle) });
    expect((await refusal(() => verify(thief))).text).toMatch(
      /^E_SIG_SIGNATURE m\.sig: this signature over these bytes is not by the certificate CN=release .* \(up to here: its form is right; its certificates lead to an authority of yours\), expected ECDSA P-256 with sha256/,
    );
  });

  it('certificates that cannot be read, or carry more behind them', async () => {
    const bundle = (der: Buffer) =>
      bundleOf(leaf.key, statement(files), {
        material: { x509CertificateChain: { certificates: [{ rawBytes: der.toString('base64') }] } },
      });
    for (const der of [Buffer.from('hello'), leaf.der.subarray(0, 200), Buffer.concat([leaf.der, Buffer.from('more')])]) {
      expect((await refusal(() => verify(bundle(der)))).text).toBe(
        `E_SIG_CERTIFICATE m.sig: certificate 1 of the chain cannot be read ${FORM}, expected one X.509 certificate, got ${der.length} other bytes.`,
      );
    }
  });
});

describe('certificates whose key cannot be read', () => {
  const spoilt = (der: Buffer, from: string, to: string): Buffer => {
    const copy = Buffer.from(der);
    Buffer.from(to, 'hex').copy(copy, copy.indexOf(Buffer.from(from, 'hex')));
    return copy;
  };
  const below = issue({ name: 'below', issuer: middle });
  // Another curve than P-256, another algorithm than EC, a point that is none.
  it.each([
    ['06082a8648ce3d030107', '06082a8648ce3d03017f'],
    ['06072a8648ce3d0201', '06072a8648ce3d0277'],
    ['03420004', '03420009'],
  ])('%s', async (from, to) => {
    for (const [place, chain] of [
      [1, [spoilt(leaf.der, from, to)]],
      [2, [below.der, spoilt(middle.der, from, to)]],
    ] as const) {
      const material = { x509CertificateChain: { certificates: chain.map((der) => ({ rawBytes: der.toString('base64') })) } };
      expect((await refusal(() => verify(bundleOf(below.key, statement(files), { material })))).text).toBe(
        `E_SIG_CERTIFICATE m.sig: certificate ${place} of the chain cannot be read ${FORM}, expected one X.509 certificate, got ${chain[place - 1].length} other bytes.`,
      );
    }
    const pem = `-----BEGIN CERTIFICATE-----\n${spoilt(middle.der, from, to).toString('base64')}\n-----END CERTIFICATE-----\n`;
    expect((await refusal(() => verify(signed(leaf), { method: 'certificate', authorities: [pem] }))).text).toBe(
      'E_SIG_AUTHORITY authority: certificate 1 cannot be read, expected X.509 version 3, got something else.',
    );
  });
});

describe("the user's authorities", () => {
  it('must be authorities', async () => {
    expect(await refusal(() => verify(signed(leaf, middle), under(leaf)))).toEqual({
      code: 'E_SIG_AUTHORITY',
      exit: 2,
      text: `E_SIG_AUTHORITY authority: not the certificate of an authority, expected CA:TRUE, got ${named('release', leaf)}. Try --key with the public key, if you trust this one certificate only.`,
    });
    expect((await refusal(() => verify(signed(leaf, middle), { method: 'certificate', authorities: [root.pem, 'x'] }))).text).toBe(
      'E_SIG_AUTHORITY authority 2: no certificate can be read, expected PEM text with -----BEGIN CERTIFICATE-----, got something else.',
    );
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    expect((await refusal(() => verify(signed(leaf, middle), { method: 'certificate', authorities: [broken] }))).text).toBe(
      'E_SIG_AUTHORITY authority: certificate 1 cannot be read, expected X.509 version 3, got something else.',
    );
  });

  it('a leaf of the foreign fixtures says CA:TRUE and names itself as issuer, and still stands under its authority only', async () => {
    const own = readFileSync(join(MODELS, 'keys/certificate/signing-key-cert.pem'), 'utf8');
    const bundle = readFileSync(join(MODELS, 'v1.1.0-certificate/model.sig'));
    const theirs = digests({
      'signme-1': readFileSync(join(MODELS, 'v1.1.0-certificate/signme-1')),
      'signme-2': readFileSync(join(MODELS, 'v1.1.0-certificate/signme-2')),
    });
    expect(verifyDigests(bundle, FOREIGN.certificate, theirs).files).toBe(2);
    expect((await refusal(() => verifyDigests(bundle, { method: 'certificate', authorities: [own] }, theirs))).code).toBe('E_SIG_CHAIN');
  });
});

describe('signing with certificates', () => {
  const payload = new TextEncoder().encode(JSON.stringify(statement(files)));
  const sign = (by: Issued, ...chain: readonly Issued[]) =>
    signEnvelope(payload, { key: by.keyPem, certificates: chain.map(({ pem }) => pem).join('') });

  it('what is signed verifies', () => {
    const { bundle, method, signer } = sign(leaf, leaf, middle);
    expect(method).toBe('certificate');
    expect(verify(new TextEncoder().encode(bundle)).signer).toBe(signer);
  });

  it('is refused where no verifier would take it', async () => {
    expect((await refusal(() => sign(middle, leaf, middle))).text).toMatch(
      /^E_SIG_KEY_PAIR certificates: the first certificate is not for the private key, expected sha256:[0-9a-f]{64}, got CN=release .*\. Try the certificate of this key first, then the one that issued it\.$/,
    );
    expect((await refusal(() => sign(leaf, leaf, root))).text).toBe(
      `E_SIG_KEY_PAIR certificates: certificate 2 did not issue certificate 1, expected CN=middle, got ${named('root', root)}. Try the certificates in order, each followed by the one that issued it.`,
    );
    const server = issue({ name: 'server', issuer: root, extensions: ['keyUsage=keyEncipherment'] });
    expect((await refusal(() => sign(server, server))).code).toBe('E_SIG_USAGE');
    const late = { key: leaf.keyPem, certificates: leaf.pem, now: new Date(Date.now() + 2 * DAY) };
    expect((await refusal(() => signEnvelope(payload, late))).text).toMatch(
      /^E_SIG_EXPIRED certificates: CN=release .* is not valid at this time, expected .* to .*, got /,
    );
  });
});

describe('reading certificates', () => {
  it('the fields are those that Node reads too', () => {
    for (const { pem, der } of [root, middle, leaf]) {
      const node = new X509Certificate(pem);
      const own = certificateFields(der);
      expect([own.authority, own.notBefore.getTime(), own.notAfter.getTime()]).toEqual([
        node.ca,
        Date.parse(node.validFrom),
        Date.parse(node.validTo),
      ]);
    }
    expect(certificateFields(middle.der).pathLength).toBe(0);
    expect(certificateFields(root.der)).toMatchObject({
      usage: { digitalSignature: false, keyCertSign: true },
      signatureAlgorithm: '1.2.840.113549.1.1.11',
    });
    expect(certificateFields(leaf.der)).toMatchObject({ extended: ['1.3.6.1.5.5.7.3.3'], signatureAlgorithm: '1.2.840.10045.4.3.2' });
  });

  it('object identifiers and both forms of time', () => {
    expect(derOid(Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d))).toBe('1.2.840.113549');
    expect(derOid(Uint8Array.of(0x88, 0x37, 0x03))).toBe('2.999.3');
    const time = (tag: number, text: string) => derTime({ tag, value: new TextEncoder().encode(text) }).toISOString();
    expect([time(0x17, '491231235959Z'), time(0x17, '500101000000Z'), time(0x18, '20990101000000Z')]).toEqual([
      '2049-12-31T23:59:59.000Z',
      '1950-01-01T00:00:00.000Z',
      '2099-01-01T00:00:00.000Z',
    ]);
    expect(() => time(0x17, '4912312359Z')).toThrow(DerError);
  });

  it('any bytes: an answer or a DerError', () => {
    fc.assert(
      fc.property(fc.nat(leaf.der.length - 1), fc.nat(255), fc.nat(leaf.der.length), (at, value, end) => {
        const spoilt = Uint8Array.from(leaf.der);
        spoilt[at] = value;
        for (const bytes of [spoilt, spoilt.subarray(0, end)]) {
          try {
            certificateFields(bytes);
          } catch (error) {
            if (!(error instanceof DerError)) throw error;
          }
        }
      }),
    );
  });
});
