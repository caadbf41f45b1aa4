/** Models that other implementations signed, from 0.2.0 of 2024 to 1.1.0, and the specification's vectors: read by the same code as ours. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { verifyDigests } from '../../src/zoo/signing/verify.node.ts';
import { verifyFilesAt, verifyModel } from '../../src/zoo/signing/verify-model.node.ts';
import { digestsIn, FOREIGN, MODELS, refusal, VECTORS } from './oms.ts';

const KEY = 'sha256:e8450dec4eb99dae995da9af1bc2cc9f76ed669ee2e744f57abba763df3e3f8e';
const LEAF = 'sha256:da3662b630eb0f585c33f114a076b8da2ceda0f275cb578e6d1d9cab84c04d3b';
const BOTH = 'sha256:61d4849d9d90076d6215f4d525f13d6574af8e3f67aef3e6f36fc40a14fdd226';

const names = readdirSync(MODELS).filter((name) => name.startsWith('v'));
const trustOf = (name: string) =>
  name.endsWith('key') ? FOREIGN.key : name.endsWith('certificate') ? FOREIGN.certificate : FOREIGN.sigstore;
const scratch = mkdtempSync(join(tmpdir(), 'secateur-oms-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A copy that a test may spoil. */
function copied(name: string): { folder: string; bundle: Uint8Array } {
  const folder = mkdtempSync(join(scratch, `${name}-`));
  cpSync(join(MODELS, name), folder, { recursive: true });
  return { folder, bundle: readFileSync(join(folder, 'model.sig')) };
}

describe('the 13 models of model-transparency', () => {
  it('are all there', () => expect(names).toHaveLength(13));

  it.each(names)('%s verifies: folder, digests, and files that lie elsewhere', async (name) => {
    const folder = join(MODELS, name);
    const bundle = readFileSync(join(folder, 'model.sig'));
    const o = { legacy: true, ignore: ['ignore-me'] };
    const found = await verifyModel(folder, bundle, trustOf(name), o);
    expect(found.signer).toBe(
      name.endsWith('key') ? KEY : name.endsWith('certificate') ? LEAF : 'stefanb@us.ibm.com (https://sigstore.verify.ibm.com/oauth2)',
    );
    if (!name.endsWith('key')) expect(found.root).toBe(BOTH);
    expect(found.files).toBe(/v(0\.3\.1|1\.0\.0)-elliptic/.test(name) ? 1 : 2);
    expect(found.extra).toEqual([]);
    const files = digestsIn(folder);
    expect(verifyDigests(bundle, trustOf(name), files, o)).toEqual(found);
    const elsewhere = files.map((file) => ({
      name: file.name,
      path: join(folder, file.name),
      size: readFileSync(join(folder, file.name)).length,
    }));
    expect(await verifyFilesAt(bundle, trustOf(name), elsewhere, o)).toEqual(found);
  });

  it('those of 1.1.0 and the keyless ones need no permission for old forms; the others say what is old about them', async () => {
    const answers = await Promise.all(
      names.map(async (name) => {
        const { folder, bundle } = copied(name);
        try {
          return `${name} ok ${(await verifyModel(folder, bundle, trustOf(name), { ignore: ['ignore-me'] })).warnings.length}`;
        } catch (error) {
          return `${name} ${(error as Error).message.slice(0, 12)}`;
        }
      }),
    );
    expect(answers).toEqual([
      'v0.2.0-certificate E_SIG_LEGACY',
      'v0.3.1-certificate ok 1',
      'v0.3.1-elliptic-key E_SIG_LEGACY',
      'v0.3.1-sigstore ok 1',
      'v1.0.0-certificate ok 1',
      'v1.0.0-elliptic-key E_SIG_LEGACY',
      'v1.0.0-sigstore ok 1',
      'v1.0.1-certificate ok 1',
      'v1.0.1-elliptic-key E_SIG_LEGACY',
      'v1.0.1-sigstore ok 1',
      'v1.1.0-certificate ok 0',
      'v1.1.0-elliptic-key ok 0',
      'v1.1.0-sigstore ok 0',
    ]);
  });

  it.each(names)('%s: one changed byte, one missing file and one file too many are each told', async (name) => {
    const o = { legacy: true, ignore: ['ignore-me'] };
    const changed = copied(name);
    writeFileSync(join(changed.folder, 'signme-1'), 'another');
    expect((await refusal(() => verifyModel(changed.folder, changed.bundle, trustOf(name), o))).code).toBe('E_SIG_CHANGED');
    const more = copied(name);
    writeFileSync(join(more.folder, 'pytorch_model.bin'), 'x');
    expect((await refusal(() => verifyModel(more.folder, more.bundle, trustOf(name), o))).code).toBe('E_SIG_EXTRA');
    const loose = await verifyModel(more.folder, more.bundle, trustOf(name), { ...o, ignoreUnsigned: true });
    expect(loose.extra).toEqual(['pytorch_model.bin']);
    if (loose.files < 2) return;
    rmSync(join(more.folder, 'signme-2'));
    expect((await refusal(() => verifyModel(more.folder, more.bundle, trustOf(name), { ...o, ignoreUnsigned: true }))).code).toBe(
      'E_SIG_MISSING',
    );
    expect(
      (await verifyModel(more.folder, more.bundle, trustOf(name), { ...o, ignoreUnsigned: true, subset: ['signme-1'] })).notInstalled,
    ).toEqual(['signme-2']);
  });

  it('a file that the SIGNER chose to leave out is told loudly, and is no reason to fail', async () => {
    const { folder, bundle } = copied('v1.1.0-certificate');
    writeFileSync(join(folder, 'ignore-me'), 'a model in hiding');
    const found = await verifyModel(folder, bundle, FOREIGN.certificate);
    expect(found.ignored).toEqual(['ignore-me']);
    expect(found.warnings).toEqual(['1 FILE HERE IS NOT COVERED BY THE SIGNATURE, because the signer left out ignore-me: ignore-me']);
  });
});

describe('keyless signatures', () => {
  const bundle = readFileSync(join(MODELS, 'v1.1.0-sigstore/model.sig'));
  const files = digestsIn(join(MODELS, 'v1.1.0-sigstore'));
  const with_ = (identity: string, issuer: string = FOREIGN.sigstore.issuer) => ({ method: 'sigstore' as const, identity, issuer });

  it('names are compared letter for letter, not as patterns', async () => {
    for (const identity of ['stefanb.us.ibm.com', '.*', 'stefanb', 'STEFANB@us.ibm.com', '^stefanb@us.ibm.com$', '']) {
      const { code, text } = await refusal(() => verifyDigests(bundle, with_(identity), files));
      expect(code).toBe('E_SIG_IDENTITY');
      expect(text).toContain(`got stefanb@us.ibm.com.`);
    }
  });

  it('the right name from another issuer is another person', async () => {
    const { text, exit } = await refusal(() => verifyDigests(bundle, with_('stefanb@us.ibm.com', 'https://accounts.google.com'), files));
    expect(exit).toBe(3);
    expect(text).toBe(
      'E_SIG_ISSUER signature: the name is right (stefanb@us.ibm.com), but somebody else says that it is theirs (up to here: its form is right; ' +
        'signed by stefanb@us.ibm.com according to https://sigstore.verify.ibm.com/oauth2, in a transparency log), ' +
        'expected https://accounts.google.com, got https://sigstore.verify.ibm.com/oauth2.',
    );
  });

  it('every part of the proof counts', async () => {
    const spoil = (edit: (b: Record<string, never>) => void): Uint8Array => {
      const copy = JSON.parse(new TextDecoder().decode(bundle));
      edit(copy);
      return new TextEncoder().encode(JSON.stringify(copy));
    };
    // biome-ignore lint/suspicious/noExplicitAny: reaches into JSON of a foreign shape
    const edits: Record<string, (b: any) => void> = {
      'another payload': (b) => {
        b.dsseEnvelope.payload = Buffer.from(
          Buffer.from(b.dsseEnvelope.payload, 'base64').toString().replace('signme-1', 'signme-9'),
        ).toString('base64');
      },
      'another time': (b) => {
        b.verificationMaterial.tlogEntries[0].integratedTime = '1760062341';
      },
      'another proof': (b) => {
        b.verificationMaterial.tlogEntries[0].inclusionProof.hashes.pop();
      },
      'another checkpoint': (b) => {
        b.verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope = 'x';
      },
      "another log's key": (b) => {
        b.verificationMaterial.tlogEntries[0].logId.keyId = Buffer.alloc(32).toString('base64');
      },
      'a spoilt time stamp': (b) => {
        b.verificationMaterial.timestampVerificationData.rfc3161Timestamps[0].signedTimestamp = 'AAAA';
      },
      'no log key at all': (b) => {
        b.verificationMaterial.tlogEntries[0] = {};
      },
    };
    for (const [what, edit] of Object.entries(edits)) {
      const { code, text } = await refusal(() => verifyDigests(spoil(edit), FOREIGN.sigstore, files));
      expect(`${what}: ${code}`).toBe(`${what}: E_SIG_SIGSTORE`);
      expect(text).toContain("expected certificate, time and log entry of Sigstore's public instance. Try --trusted-root FILE");
    }
  });

  it('a private instance: the trusted root, or the configuration that holds one, is read strictly', async () => {
    const config = readFileSync(join(MODELS, '../../tests/_signing/testdata/custom_trust_config.json'), 'utf8');
    const own = (trustedRoot: string) => ({ ...FOREIGN.sigstore, trustedRoot });
    expect(
      verifyDigests(readFileSync(join(MODELS, 'v1.0.1-sigstore/model.sig')), own(config), digestsIn(join(MODELS, 'v1.0.1-sigstore')), {
        ignore: ['ignore-me'],
      }).files,
    ).toBe(2);
    const without = JSON.parse(config).trustedRoot;
    without.certificateAuthorities = without.certificateAuthorities.slice(0, 0);
    expect((await refusal(() => verifyDigests(bundle, own(JSON.stringify(without)), files))).text).toBe(
      'E_SIG_TRUSTED_ROOT trusted root:1:1: no authority is named, expected certificateAuthorities with at least one entry, got none.',
    );
    expect((await refusal(() => verifyDigests(bundle, own('{"mediaType": "x"}'), files))).text).toMatch(
      /^E_SIG_TRUSTED_ROOT trusted root:1:15: "mediaType" is not right/,
    );
    expect((await refusal(() => verifyDigests(bundle, own('<html>'), files))).exit).toBe(2);
    const empty = JSON.parse(config).trustedRoot;
    empty.tlogs = [];
    expect((await refusal(() => verifyDigests(bundle, own(JSON.stringify(empty)), files))).code).toBe('E_SIG_SIGSTORE');
  });
});

describe("the specification's vectors", () => {
  const files = digestsIn(join(MODELS, 'v1.1.0-elliptic-key'));
  const read = (path: string): Uint8Array => readFileSync(join(VECTORS, path));
  const o = { where: 'vector' };

  it('the valid ones hold: key, certificate, keyless', () => {
    const root = 'sha256:92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4';
    expect(
      verifyDigests(
        read('valid/key.bundle.json'),
        FOREIGN.key,
        files.filter(({ name }) => name !== 'model.sig'),
        o,
      ).root,
    ).toBe(root);
    expect(
      verifyDigests(
        read('valid/certificate.bundle.json'),
        FOREIGN.certificate,
        files.filter(({ name }) => name !== 'model.sig'),
        o,
      ).root,
    ).toBe(root);
    const others = digestsIn(join(MODELS, 'v1.1.0-sigstore'));
    expect(verifyDigests(read('valid/sigstore.bundle.json'), FOREIGN.sigstore, others, o).root).toBe(BOTH);
  });

  it.each([
    [
      'invalid/empty.bundle.json',
      FOREIGN.key,
      'E_SIG_EMPTY vector: the file is empty (nothing of it holds so far), expected a signature bundle, got 0 bytes.',
    ],
    [
      'invalid/missing-envelope.bundle.json',
      FOREIGN.key,
      'E_SIG_FORM vector:1:1: the whole file lacks a field (nothing of it holds so far), expected "dsseEnvelope", got "mediaType", "verificationMaterial".',
    ],
    [
      'invalid/missing-verification-material.bundle.json',
      FOREIGN.key,
      'E_SIG_FORM vector:1:1: the whole file lacks a field (nothing of it holds so far), expected "verificationMaterial", got "mediaType", "dsseEnvelope".',
    ],
    [
      'invalid/missing-tlog-entries.bundle.json',
      FOREIGN.sigstore,
      'E_SIG_LOG vector:3:27: signed without a key of its own, and no entry of a transparency log says when (nothing of it holds so far), expected tlogEntries with at least one entry, got none. Try to ask whoever signed for the complete bundle.',
    ],
    [
      'invalid-payload/wrong-predicate.bundle.json',
      FOREIGN.key,
      `E_SIG_SIGNATURE vector: this signature over these bytes is not by the key ${KEY} (up to here: its form is right), expected ECDSA P-384 with sha384, got 102 bytes that do not fit.`,
    ],
  ] as const)('%s is refused', async (path, trust, text) => {
    expect((await refusal(() => verifyDigests(read(path), trust, files, o))).text).toBe(text);
  });
});
