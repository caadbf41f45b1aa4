/** Bundles that are odd (facts 7.3 nr 4): one code each, and what was checked up to there. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { strictBase64 } from '../../src/zoo/signing/base64.ts';
import { keyHint, readPrivateKey } from '../../src/zoo/signing/keys.node.ts';
import { legacyPae, pae, pythonBytes } from '../../src/zoo/signing/pae.ts';
import { trustMatching } from '../../src/zoo/signing/trust.node.ts';
import { PAYLOAD_TYPE } from '../../src/zoo/signing/types.ts';
import { verifyDigests } from '../../src/zoo/signing/verify.node.ts';
import { bundleOf, digests, digestsIn, FOREIGN, MODELS, pair, refusal, statement } from './oms.ts';

const me = pair();
const files = digests({ 'model.onnx': 'net' });
const good = bundleOf(me.key, statement(files));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const signer = `sha256:${keyHint(me.key)}`;
const verify = (bundle: Uint8Array, trust = me.trust) => verifyDigests(bundle, trust, files, { where: 'm.sig' });

// biome-ignore lint/suspicious/noExplicitAny: edits reach into JSON
function edited(edit: (bundle: any) => void): Uint8Array {
  const copy = JSON.parse(new TextDecoder().decode(good));
  edit(copy);
  return bytes(JSON.stringify(copy));
}

const NOTHING = '(nothing of it holds so far)';
const FORM = '(up to here: its form is right)';

describe('what is no bundle', () => {
  it.each([
    ['0 bytes', new Uint8Array(), `E_SIG_EMPTY m.sig: the file is empty ${NOTHING}, expected a signature bundle, got 0 bytes.`],
    [
      'the first 100 bytes',
      good.slice(0, 100),
      `E_SIG_JSON m.sig:1:99: a string without end ${NOTHING}, expected a closing quote in the same line, got the end of the file.`,
    ],
    [
      'a login page',
      bytes('\ufeff\r\n <!DOCTYPE html><title>Sign in</title>'),
      `E_SIG_HTML m.sig: this is a web page ${NOTHING}, expected a signature bundle (JSON), got HTML. Try to open the address in a browser: it may want a login.`,
    ],
    [
      'more than 64 MiB',
      new Uint8Array(2 ** 26 + 1).fill(32),
      `E_SIG_SIZE m.sig: too large for a bundle ${NOTHING}, expected at most 67108864 bytes, got 67108865.`,
    ],
    ['a list', bytes('[]'), `E_SIG_FORM m.sig:1:1: the whole file is not right ${NOTHING}, expected an object, got an array.`],
    [
      'the media type of another version',
      edited((b) => {
        b.mediaType = 'application/vnd.dev.sigstore.bundle+json;version=0.2';
      }),
      `E_SIG_MEDIA m.sig:1:14: another type of bundle ${NOTHING}, expected application/vnd.dev.sigstore.bundle.v0.3+json, got application/vnd.dev.sigstore.bundle+json;version=0.2.`,
    ],
    [
      'a field that nobody knows',
      edited((b) => {
        b.messageSignature = {};
      }),
      new RegExp(
        `^E_SIG_FORM m\\.sig:1:\\d+: an unknown field \\${NOTHING.slice(0, -1)}\\), expected one of mediaType, verificationMaterial, dsseEnvelope, got "messageSignature"\\.$`,
      ),
    ],
    [
      'two kinds of verification material',
      edited((b) => {
        b.verificationMaterial.certificate = { rawBytes: 'AAAA' };
      }),
      /^E_SIG_FORM m\.sig:1:\d+: the verification material does not say how it was signed .*, expected exactly one of publicKey, x509CertificateChain, certificate, got publicKey and certificate\.$/,
    ],
    [
      'no signature',
      edited((b) => {
        b.dsseEnvelope.signatures = [];
      }),
      /^E_SIG_COUNT m\.sig:1:\d+: which signature counts is not clear \(nothing of it holds so far\), expected exactly one signature, got 0\.$/,
    ],
    [
      'two signatures, both right',
      edited((b) => {
        b.dsseEnvelope.signatures.push(b.dsseEnvelope.signatures[0]);
      }),
      /^E_SIG_COUNT m\.sig:1:\d+: which signature counts is not clear \(nothing of it holds so far\), expected exactly one signature, got 2\.$/,
    ],
    [
      'base64url',
      edited((b) => {
        b.dsseEnvelope.signatures[0].sig = '-_-_';
      }),
      /^E_SIG_BASE64 m\.sig:1:\d+: "sig" is not base64 .*, expected letters, digits, \+ and \/, padded with =, without spare bits, got other text\.$/,
    ],
    [
      'something else was signed',
      edited((b) => {
        b.dsseEnvelope.payloadType = 'text/plain';
      }),
      /^E_SIG_PAYLOAD_TYPE m\.sig:1:\d+: something else than an in-toto statement was signed .*, expected application\/vnd\.in-toto\+json, got text\/plain\.$/,
    ],
    [
      'a key without a name',
      edited((b) => {
        b.verificationMaterial.publicKey = {};
      }),
      /^E_SIG_FORM m\.sig:1:\d+: the public key is not named .*, expected the field "hint", got neither hint nor rawBytes\.$/,
    ],
  ])('%s', async (_what, bundle, text) => {
    const found = await refusal(() => verify(bundle));
    if (typeof text === 'string') expect(found.text).toBe(text);
    else expect(found.text).toMatch(text);
    expect(found.exit).toBe(3);
  });

  it('two equal keys: readers would differ in which one counts', async () => {
    const text = new TextDecoder().decode(good);
    const twice = text.replace('"dsseEnvelope":', '"dsseEnvelope":{"payload":""},"dsseEnvelope":');
    expect((await refusal(() => verify(bytes(twice)))).text).toBe(
      'E_SIG_JSON m.sig:1:222: the same key twice in one object (nothing of it holds so far), expected each key once, got a second "dsseEnvelope"; the first is in line 1. Try removing the wrong one: programs differ in which they take.',
    );
    expect((await refusal(() => verify(Uint8Array.of(0x7b, 0xff, 0x7d)))).code).toBe('E_SIG_JSON');
  });
});

describe('who signed', () => {
  it('another way of signing than the one that is trusted', async () => {
    expect((await refusal(() => verify(good, FOREIGN.certificate))).text).toBe(
      `E_SIG_METHOD m.sig: signed in another way than you ask for ${FORM}, expected a certificate under an authority (--authority), got a key (--key). Try zoo explain with this bundle to see what it says about its signer.`,
    );
    const chain = readFileSync(join(MODELS, 'v1.1.0-certificate/model.sig'));
    expect((await refusal(() => verify(chain))).code).toBe('E_SIG_METHOD');
    expect((await refusal(() => verify(chain, FOREIGN.sigstore))).code).toBe('E_SIG_METHOD');
  });

  it('another key, told by its hint', async () => {
    const other = pair();
    expect((await refusal(() => verify(good, other.trust))).text).toBe(
      `E_SIG_HINT m.sig: made with another key than yours, as it says itself ${FORM}, expected sha256:${keyHint(other.key)}, got ${signer}.`,
    );
  });

  it('the right hint and a signature by another key', async () => {
    const thief = bundleOf(pair().key, statement(files), { material: { publicKey: { hint: keyHint(me.key) } } });
    expect((await refusal(() => verify(thief))).text).toMatch(
      new RegExp(
        `^E_SIG_SIGNATURE m\\.sig: this signature over these bytes is not by the key ${signer} \\(up to here: its form is right\\), expected ECDSA P-256 with sha256, got 7\\d bytes that do not fit\\.$`,
      ),
    );
  });

  it('a whole key beside a hint counts too, and with an empty hint it is the old form', async () => {
    const other = pair();
    const material = (hint: string, { publicPem }: typeof me) => ({
      material: { publicKey: { hint, rawBytes: Buffer.from(publicPem).toString('base64') } },
    });
    const made = (hint: string, who: typeof me) => bundleOf(me.key, statement(files), material(hint, who));
    expect((await refusal(() => verify(made(keyHint(me.key), other)))).code).toBe('E_SIG_HINT');
    expect(verify(made(keyHint(me.key), me)).files).toBe(1);
    expect((await refusal(() => verify(made('', me)))).code).toBe('E_SIG_LEGACY');
    expect(verifyDigests(made('', me), me.trust, files, { legacy: true }).files).toBe(1);
  });

  it('no hint at all is taken with a word on it', () => {
    const silent = bundleOf(me.key, statement(files), { material: { publicKey: { hint: '' }, tlogEntries: [] } });
    expect(verify(silent).warnings).toEqual(['it does not say which key signed it; yours fits']);
  });

  it.each([
    ['P-384', 'sha384', 'sha256'],
    ['P-521', 'sha512', 'sha256'],
    ['P-256', 'sha256', 'sha512'],
  ] as const)('%s with another hash than %s', async (curve, right, wrong) => {
    const key = pair(curve);
    expect(verifyDigests(bundleOf(key.key, statement(files)), key.trust, files).files).toBe(1);
    const odd = bundleOf(key.key, statement(files), { hash: wrong });
    expect((await refusal(() => verify(odd, key.trust))).text).toBe(
      `E_SIG_CURVE m.sig: the key is right, but it signed with a hash that does not belong to its curve ${FORM}, expected ${right} with ${curve}, got ${wrong}.`,
    );
  });

  it('a signature that is no DER', async () => {
    for (const sig of ['AA==', Buffer.alloc(64, 7).toString('base64'), Buffer.from('30060201000201', 'hex').toString('base64')]) {
      const odd = edited((b) => {
        b.dsseEnvelope.signatures[0].sig = sig;
      });
      expect((await refusal(() => verify(odd))).code).toBe('E_SIG_SIGNATURE');
    }
  });

  it('a payload that was changed after signing', async () => {
    const odd = edited((b) => {
      b.dsseEnvelope.payload = Buffer.from(JSON.stringify(statement(digests({ 'model.onnx': 'evil' })))).toString('base64');
    });
    expect((await refusal(() => verify(odd))).code).toBe('E_SIG_SIGNATURE');
  });

  it.each([
    ['log entries', { tlogEntries: [{}] }],
    ['time stamps', { timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: 'AAAA' }] } }],
  ])('%s beside a key say nothing and are told to', (_what, more) => {
    const odd = edited((b) => {
      Object.assign(b.verificationMaterial, more);
    });
    expect(verify(odd).warnings).toEqual([
      'it also holds entries of a transparency log or time stamps, which say nothing here and were not checked',
    ]);
  });
});

describe("the user's key", () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ed = generateKeyPairSync('ed25519');
  const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const spki = (key: typeof rsa.publicKey): string => key.export({ type: 'spki', format: 'pem' }).toString();
  const hint = 'Try openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 for a new key.';

  it.each([
    [
      'RSA',
      spki(rsa.publicKey),
      `E_SIG_KEY public key: model signatures are not made with this kind of key, expected EC P-256, P-384 or P-521, got RSA. ${hint}`,
    ],
    [
      'Ed25519',
      spki(ed.publicKey),
      `E_SIG_KEY public key: model signatures are not made with this kind of key, expected EC P-256, P-384 or P-521, got ED25519. ${hint}`,
    ],
    [
      'another curve',
      spki(odd.publicKey),
      `E_SIG_KEY public key: model signatures are not made with this kind of key, expected EC P-256, P-384 or P-521, got EC secp256k1. ${hint}`,
    ],
    [
      'a private key',
      me.pem,
      'E_SIG_KEY public key: a private key, expected the public key. Try openssl pkey -in KEY -pubout, and keep the private key to yourself.',
    ],
    [
      'a certificate',
      FOREIGN.certificate.authorities[0],
      'E_SIG_KEY public key: a certificate, expected a public key. Try --authority with the certificate of the authority that issued it.',
    ],
    [
      'nothing',
      'hello',
      'E_SIG_KEY public key: no public key can be read, expected PEM text with -----BEGIN PUBLIC KEY-----, got something else.',
    ],
  ])('%s is refused as wrong usage', async (_what, publicKey, text) => {
    expect(await refusal(() => verify(good, { method: 'key', publicKey }))).toEqual({ code: 'E_SIG_KEY', exit: 2, text });
  });

  it('an encrypted private key wants its passphrase', async () => {
    const pem = me.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'sesame' }).toString();
    expect((await refusal(() => readPrivateKey(pem, '--key'))).text).toBe(
      'E_SIG_KEY --key: the private key is encrypted, expected a passphrase, got none. Try SECATEUR_KEY_PASSPHRASE=... in the environment.',
    );
    expect((await refusal(() => readPrivateKey(pem, '--key', 'open'))).text).toBe(
      'E_SIG_KEY --key: no private key can be read, expected PEM text with -----BEGIN PRIVATE KEY-----, got a key that this passphrase does not open.',
    );
    expect(keyHint(readPrivateKey(pem, '--key', 'sesame'))).toBe(keyHint(me.key));
  });

  it("the hint is over the PEM of the key, not over its file, which has certtool's notes around it", () => {
    const foreign = verifyDigests(
      readFileSync(join(MODELS, 'v1.1.0-elliptic-key/model.sig')),
      FOREIGN.key,
      digestsIn(join(MODELS, 'v1.1.0-elliptic-key')),
    );
    expect(FOREIGN.key.publicKey.startsWith('Public Key Information')).toBe(true);
    expect(foreign.signer).toBe('sha256:e8450dec4eb99dae995da9af1bc2cc9f76ed669ee2e744f57abba763df3e3f8e');
  });
});

describe('which of several signers to try', () => {
  it('by method, and by hint where the bundle gives one', async () => {
    const others = [pair().trust, me.trust, FOREIGN.certificate, FOREIGN.sigstore];
    expect(trustMatching(good, others)).toEqual([me.trust]);
    expect(trustMatching(readFileSync(join(MODELS, 'v1.1.0-certificate/model.sig')), others)).toEqual([FOREIGN.certificate]);
    expect(trustMatching(readFileSync(join(MODELS, 'v0.3.1-sigstore/model.sig')), others)).toEqual([FOREIGN.sigstore]);
    expect(trustMatching(readFileSync(join(MODELS, 'v0.3.1-elliptic-key/model.sig')), [...others, FOREIGN.key])).toEqual([FOREIGN.key]);
    const silent = bundleOf(me.key, statement(files), { material: { publicKey: { hint: '' } } });
    expect(trustMatching(silent, others)).toEqual(others.slice(0, 2));
    expect((await refusal(() => trustMatching(new Uint8Array(), others, 'm.sig'))).text).toContain('E_SIG_EMPTY m.sig: ');
  });
});

describe('the parts', () => {
  it('base64 that decodes in one way only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (data) => {
        const text = Buffer.from(data).toString('base64');
        expect(strictBase64(text)).toEqual(data);
        if (text.endsWith('=')) expect(strictBase64(text.replace(/=+$/, ''))).toBeUndefined();
      }),
    );
    for (const bad of ['A', 'AA', 'AAA', 'AB==', 'AAB=', 'A===', '====', 'AA=A', 'AAAA\n', ' AAAA', 'AA\u00e9A', '-_-_']) {
      expect(`${bad}: ${strictBase64(bad)}`).toBe(`${bad}: undefined`);
    }
  });

  it('the encoding that is signed, by hand', () => {
    const text = (b: Uint8Array): string => new TextDecoder().decode(b);
    expect(text(pae('http://example.com/HelloWorld', bytes('hello world')))).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
    expect(text(pae('\u00e9', bytes('\u00e9')))).toBe('DSSEv1 2 \u00e9 2 \u00e9');
    expect(text(legacyPae('t', bytes('a\n')))).toBe("DSSEV1 1 t 2 b'a\\n'");
  });

  it("Python's text of bytes", () => {
    expect(pythonBytes(Uint8Array.of(0, 9, 10, 13, 31, 32, 65, 92, 126, 127, 255))).toBe("b'\\x00\\t\\n\\r\\x1f A\\\\~\\x7f\\xff'");
    expect(pythonBytes(bytes("it's"))).toBe('b"it\'s"');
    expect(pythonBytes(bytes('"it\'s"'))).toBe("b'\"it\\'s\"'");
  });

  it('any change of one byte of a bundle is refused or changes nothing that counts', () => {
    const right = JSON.stringify(verify(good));
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const spoilt = good.slice();
        spoilt[at] ^= by;
        let answer: string;
        try {
          answer = JSON.stringify({ ...verify(spoilt), warnings: [] });
        } catch (error) {
          expect((error as Error).message).toMatch(/^E_SIG_[A-Z_0-9]+ m\.sig/);
          return;
        }
        expect(answer).toBe(right);
      }),
      { numRuns: 300 },
    );
  });

  it('ECDSA in the form of WebCrypto (r and s as they are) is no DER and refused', async () => {
    const payload = bytes(JSON.stringify(statement(files)));
    const raw = sign('sha256', pae(PAYLOAD_TYPE, payload), { key: me.key, dsaEncoding: 'ieee-p1363' }).toString('base64');
    const odd = edited((b) => {
      b.dsseEnvelope.payload = Buffer.from(payload).toString('base64');
      b.dsseEnvelope.signatures[0].sig = raw;
    });
    expect((await refusal(() => verify(odd))).code).toBe('E_SIG_SIGNATURE');
  });
});
