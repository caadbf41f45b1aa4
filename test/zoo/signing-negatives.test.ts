/** Statements that are wrong and rightly signed: each is stopped by the check that is meant for it, which the public vectors do not show. */
import { describe, expect, it } from 'vitest';
import { legacyPae } from '../../src/zoo/signing/pae.ts';
import { rootOf } from '../../src/zoo/signing/resource-order.ts';
import { PAYLOAD_TYPE } from '../../src/zoo/signing/types.ts';
import { verifyDigests } from '../../src/zoo/signing/verify.node.ts';
import { bundleOf, digests, pair, refusal, statement } from './oms.ts';

const me = pair();
const files = digests({ 'model.onnx': 'net', 'readme.md': 'text' });
const HEX = 'a'.repeat(64);
const held = (more = ''): string => `(up to here: its form is right; signed by the key ${signer}${more})`;
const signer = verifyDigests(bundleOf(me.key, statement(files)), me.trust, files).signer;
const check = (payload: Parameters<typeof bundleOf>[1], given = files, o = {}) =>
  verifyDigests(bundleOf(me.key, payload), me.trust, given, o);

type Fields = Record<string, never>;
/** The right statement with one thing changed. */
// biome-ignore lint/suspicious/noExplicitAny: edits reach into JSON
function edited(edit: (s: any) => void, of = files): Fields {
  const copy = structuredClone(statement(of));
  edit(copy);
  return copy as Fields;
}

/** Sets the list, and the digest over it, so that only the list itself can be wrong. */
// biome-ignore lint/suspicious/noExplicitAny: as above
function listed(s: any, resources: { name: string; digest: string; algorithm?: string }[]): void {
  s.predicate.resources = resources.map((r) => ({ algorithm: 'sha256', ...r }));
  s.subject[0].digest.sha256 = rootOf(resources).slice(7);
}

describe('signed anew, each fails for its own reason', () => {
  it('what they are made from is right', () => {
    expect(check(statement(files))).toMatchObject({
      method: 'key',
      files: 2,
      resources: 2,
      ignored: [],
      extra: [],
      notInstalled: [],
      warnings: [],
    });
  });

  // biome-ignore lint/suspicious/noExplicitAny: as above
  const cases: [string, (s: any) => void, string, string?][] = [
    [
      'no subject',
      (s) => void delete s.subject,
      `E_SIG_SUBJECT signature: it must say of exactly one model that these are its files ${held()}, expected one subject, got 0.`,
    ],
    [
      'an empty list of subjects',
      (s) => {
        s.subject = [];
      },
      `E_SIG_SUBJECT signature: it must say of exactly one model that these are its files ${held()}, expected one subject, got 0.`,
    ],
    [
      'two subjects',
      (s) => void s.subject.push(s.subject[0]),
      `E_SIG_SUBJECT signature: it must say of exactly one model that these are its files ${held()}, expected one subject, got 2.`,
    ],
    [
      'a subject by SHA-1',
      (s) => {
        s.subject[0].digest = { sha1: 'a'.repeat(40) };
      },
      `E_SIG_SUBJECT signature (payload):1:@: the model has no SHA-256 ${held()}, expected sha256, got sha1.`,
      '{"sha1"',
    ],
    [
      'no predicate',
      (s) => void delete s.predicate,
      `E_SIG_PREDICATE signature: the statement lists no files at all ${held()}, expected a predicate with resources and serialization, got no predicate.`,
    ],
    [
      'no resources',
      (s) => void delete s.predicate.resources,
      `E_SIG_RESOURCES signature: the statement covers no file ${held()}, expected at least one resource, got none.`,
    ],
    [
      'empty resources',
      (s) => listed(s, []),
      `E_SIG_RESOURCES signature: the statement covers no file ${held()}, expected at least one resource, got none.`,
    ],
    [
      'another predicate type',
      (s) => {
        s.predicateType = 'https://slsa.dev/provenance/v1';
      },
      `E_SIG_PREDICATE_TYPE signature (payload):1:@: the signed statement is not one over the files of a model ${held()}, expected https://model_signing/signature/v1.0, got https://slsa.dev/provenance/v1.`,
      '"https://slsa',
    ],
    [
      'another statement type',
      (s) => {
        s._type = 'https://in-toto.io/Statement/v0.1';
      },
      `E_SIG_STATEMENT_TYPE signature (payload):1:@: the signed text is another kind of statement ${held()}, expected https://in-toto.io/Statement/v1, got https://in-toto.io/Statement/v0.1.`,
      '"https://in-toto.io/Statement/v0.1"',
    ],
    [
      'a file listed twice',
      (s) =>
        listed(s, [
          { name: 'a', digest: HEX },
          { name: 'a', digest: HEX },
        ]),
      `E_SIG_DUPLICATE signature: a file is listed twice, and readers differ in which entry counts ${held()}, expected every name once, got "a" again.`,
    ],
    [
      'a digest over all files that is another',
      (s) => {
        s.subject[0].digest.sha256 = HEX;
      },
      `E_SIG_ROOT signature: the signed digest over all files is not that of the signed list of files ${held()}, expected the digest over 2 resources, got sha256:${HEX}. Try to ask whoever signed: the tool that made this signature has a fault.`,
    ],
    [
      'another algorithm than declared',
      (s) => {
        s.predicate.serialization.hash_type = 'blake3';
      },
      `E_SIG_ALGORITHM signature (payload):1:@: "model.onnx" is hashed otherwise than the statement declares ${held()}, expected blake3, got sha256.`,
      '{"name":"model.onnx"',
    ],
    [
      'a field that nobody knows',
      (s) => {
        s.predicate.serialization.follow = true;
      },
      `E_SIG_PAYLOAD signature (payload):1:@: an unknown field ${held()}, expected one of method, hash_type, allow_symlinks, shard_size, ignore_paths, got "follow".`,
      '"follow"',
    ],
    [
      'a digest in capitals',
      (s) => listed(s, [{ name: 'a', digest: HEX.toUpperCase() }]),
      `E_SIG_PAYLOAD signature (payload):1:@: "digest" is not right ${held()}, expected 64 lower-case hex digits, got "${HEX.toUpperCase()}".`,
      '"AAAA',
    ],
    [
      'a digest that is short',
      (s) => listed(s, [{ name: 'a', digest: 'ab' }]),
      `E_SIG_PAYLOAD signature (payload):1:@: "digest" is not right ${held()}, expected 64 lower-case hex digits, got "ab".`,
      '"ab"',
    ],
    [
      'a size of shards with whole files',
      (s) => {
        s.predicate.serialization.shard_size = 8;
      },
      `E_SIG_PAYLOAD signature (payload):1:@: files are hashed whole, yet a size of shards is given ${held()}, expected no shard_size.`,
      '8}',
    ],
  ];
  it.each(cases)('%s', async (_what, edit, pattern, at) => {
    const payload = edited(edit);
    // Where the fault stands in the payload, found by the words of the fault.
    const column = at === undefined ? 0 : JSON.stringify(payload).indexOf(at) + 1;
    const text = pattern.replace('@', `${column}`);
    expect(await refusal(() => check(payload))).toEqual({ code: text.split(' ')[0], exit: 3, text });
  });

  it.each([
    ['../x', 'it has the part ..'],
    ['a/../../x', 'it has the part ..'],
    ['/abs', 'it is absolute'],
    ['a\\b', 'it holds a backslash'],
    ['a//b', 'it has an empty part (//, or / at the end)'],
    ['a/', 'it has an empty part (//, or / at the end)'],
    ['./a', 'it has the part .'],
    ['C:x', 'it starts with a drive letter'],
    ['a\u0000b', 'it holds a control character'],
    ['a\nb', 'it holds a control character'],
  ])('the name %j is no path', async (name, why) => {
    const payload = edited((s) =>
      listed(s, [
        { name, digest: HEX },
        { name: 'z', digest: HEX },
      ]),
    );
    const shown = JSON.stringify(name);
    expect((await refusal(() => check(payload))).text).toBe(
      `E_SIG_NAME signature: a listed name is no path within the model: ${why} ${held()}, expected a relative path with /, got ${shown}.`,
    );
  });

  it('NFC and NFD twins are two names for one file on some disks', async () => {
    const payload = edited((s) =>
      listed(s, [
        { name: 'caf\u00e9', digest: HEX },
        { name: 'cafe\u0301', digest: HEX },
      ]),
    );
    expect((await refusal(() => check(payload))).text).toBe(
      `E_SIG_TWINS signature: two listed names are written with the same characters, composed and decomposed: some disks hold only one of them ${held()}, expected names that differ after Unicode normalisation, got "caf\u00e9" (4 code points) and "cafe\u0301" (5 code points).`,
    );
  });

  it('case twins are taken, and told', () => {
    const twins = digests({ 'Model.bin': 'a', 'model.bin': 'b' });
    expect(check(statement(twins), twins).warnings).toEqual([
      'Model.bin and model.bin differ in case only: some disks hold only one of them',
    ]);
  });

  it('an unsorted list whose digest fits is taken, and told', async () => {
    const order = digests({ 'onnx/model.onnx': 'a', 'onnx-config.json': 'b' });
    const asPython = order.map(({ name, digest }) => ({ name, digest: digest.slice(7) }));
    const python = edited((s) => listed(s, asPython), order);
    const warning = 'the list of files is not sorted by code points, as Python implementations write it; stricter verifiers refuse that';
    expect(check(python, order).warnings).toEqual([warning]);
    // Sorted digest over a list that is not sorted: the set is the same.
    const mixed = edited((s) => void s.predicate.resources.reverse(), order);
    expect(check(mixed, order).warnings).toEqual([warning]);
    const sortedList = edited((s) => {
      s.subject[0].digest.sha256 = rootOf(asPython).slice(7);
    }, order);
    expect(check(sortedList, order).warnings).toEqual([
      'the digest over all files is computed in an order that is neither specified nor listed',
    ]);
    // One that fits no order is wrong.
    const third = edited((s) => listed(s, [...asPython, { name: 'a', digest: HEX }]), order);
    const shuffled = {
      ...third,
      subject: [{ name: 'm', digest: { sha256: rootOf([asPython[1], { digest: HEX }, asPython[0]]).slice(7) } }],
    };
    expect((await refusal(() => check(shuffled as never, order))).code).toBe('E_SIG_ROOT');
  });
});

describe('payloads that are no statement', () => {
  it.each([
    ['', 'E_SIG_FORM', /"payload" is too short/],
    ['no JSON', 'E_SIG_PAYLOAD', /^E_SIG_PAYLOAD signature \(payload\):1:1: .* \(up to here: its form is right; signed by the key sha256:/],
    ['{"_type":1}', 'E_SIG_PAYLOAD', /"_type" is not right .* expected a string, got 1/],
    ['{"_type":"a","_type":"b"}', 'E_SIG_PAYLOAD', /"_type"/],
    ['\ufeff{}', 'E_SIG_PAYLOAD', /byte order mark/],
    ['[]', 'E_SIG_PAYLOAD', /expected an object/],
  ])('%j', async (payload, code, says) => {
    const found = await refusal(() => check(payload));
    expect(found.code).toBe(code);
    expect(found.text).toMatch(says);
  });
});

describe('files beside the statement', () => {
  const more = digests({ 'model.onnx': 'other', 'extra.bin': 'x', '.gitattributes': 'lfs', '.github/workflows/ci.yml': 'y' });

  it('changed, missing and unsigned files in one message, the worst first', async () => {
    const root = statement(files);
    const told = held('; its statement lists 2 files, and their digest fits').slice(0, -1);
    expect((await refusal(() => check(root, more))).text).toBe(
      `E_SIG_CHANGED signature: 1 file has other bytes than were signed: model.onnx; also missing: readme.md; also not signed: extra.bin ${told}), ` +
        `expected ${files[0].digest.slice(7)}, got ${more[0].digest.slice(7)}.`,
    );
    expect((await refusal(() => check(root, [files[0], more[1]]))).text).toBe(
      `E_SIG_MISSING signature: 1 signed file is missing: readme.md; also not signed: extra.bin ${told}), expected all 2 signed files, got 1 of them.`,
    );
    expect((await refusal(() => check(root, [...files, more[1]]))).text).toBe(
      `E_SIG_EXTRA signature: 1 file is there that nobody signed: extra.bin ${told}), expected signed files only, got 1 more. ` +
        'Try --ignore PATH for what you put there yourself, or --ignore-unsigned.',
    );
  });

  it("Git's own at the root are left out, unless they are signed; deeper ones are files like others", async () => {
    expect(check(statement(files), [...files, more[2], more[3]]).extra).toEqual([]);
    const withGit = [...files, more[2]];
    expect(check(statement(withGit), withGit).files).toBe(3);
    expect((await refusal(() => check(statement(withGit), [...files, { ...more[2], digest: files[0].digest }]))).code).toBe(
      'E_SIG_CHANGED',
    );
    const deep = [...files, ...digests({ 'sub/.gitattributes': 'x' })];
    expect((await refusal(() => check(statement(files), deep))).code).toBe('E_SIG_EXTRA');
  });

  it('the signature itself among the files is no extra file, under whatever name', () => {
    const bundle = bundleOf(me.key, statement(files));
    const given = [...files, ...digests({ 'sigs/some.json': bundle })];
    expect(verifyDigests(bundle, me.trust, given).extra).toEqual([]);
  });

  it('a signer who leaves out the model is told loudly; what he cannot leave out is told too', () => {
    const sly = edited((s) => {
      s.predicate.serialization.ignore_paths = ['.git', 'weights', 'model.sig', '../up', '/abs', '.'];
    });
    const found = check(sly, [...files, ...digests({ 'weights/model.onnx': 'evil', 'weights/b': 'c' })]);
    expect(found.ignored).toEqual(['weights']);
    expect(found.warnings).toEqual([
      '2 FILES HERE ARE NOT COVERED BY THE SIGNATURE, because the signer left out weights: weights/model.onnx, weights/b',
      'the signer left out paths that are not within the model, which is of no effect: ../up, /abs, .',
    ]);
  });

  it('a signed file under a path that the signer says he left out is checked all the same', async () => {
    const odd = edited((s) => {
      s.predicate.serialization.ignore_paths = ['model.onnx'];
    });
    expect((await refusal(() => check(odd, [...digests({ 'model.onnx': 'other' }), files[1]]))).code).toBe('E_SIG_CHANGED');
    expect((await refusal(() => check(odd, [...digests({ 'model.onnx': 'other' }), files[1]], { ignore: ['model.onnx'] }))).code).toBe(
      'E_SIG_CHANGED',
    );
  });

  it('a path to leave out that is none is told, not passed over', async () => {
    expect(await refusal(() => check(statement(files), files, { ignore: ['../x'] }))).toEqual({
      code: 'E_SIG_IGNORE',
      exit: 2,
      text: 'E_SIG_IGNORE --ignore: not a path within the model, expected a relative path without .., patterns are not read, got "../x".',
    });
  });

  it('parts of a model: what is here must be signed, what is not here is listed', async () => {
    const found = check(statement(files), [files[0]], { subset: ['*.onnx'] });
    expect(found.notInstalled).toEqual(['readme.md']);
    // A publisher's server that withholds a file of the part which the user wants.
    expect((await refusal(() => check(statement(files), [files[0]], { subset: ['*.onnx', 'r*'] }))).text).toMatch(
      /^E_SIG_MISSING signature: 1 signed file is missing: readme\.md \(up to here: .*\), expected all 2 signed files of this part, got 1 of them\.$/,
    );
    // Nothing here of what was signed: then nothing was verified.
    expect((await refusal(() => check(statement(files), [], { subset: ['*.txt'] }))).text).toMatch(
      /^E_SIG_MISSING signature: 2 signed files are missing: model\.onnx, readme\.md \(.*\), expected all 2 signed files of this part, got 0 of them\.$/,
    );
    // Git's own come from no source, signed or not.
    const git = statement([...files, more[2]]);
    expect(check(git, files, { subset: ['*'] }).notInstalled).toEqual(['.gitattributes']);
    expect((await refusal(() => check(statement(files), [more[0]], { subset: ['*.onnx'] }))).code).toBe('E_SIG_CHANGED');
    expect((await refusal(() => check(statement(files), [files[0], more[1]], { subset: ['*.onnx'] }))).code).toBe('E_SIG_EXTRA');
  });

  it('one file under the name "." as old bundles have it: by the subject, or where there is only one', async () => {
    const one = digests({ 'net.onnx': 'net' });
    const single = edited((s) => {
      listed(s, [{ name: '.', digest: one[0].digest.slice(7) }]);
      s.subject[0].name = 'elsewhere.onnx';
    }, one);
    // The same bytes under another name may be loaded otherwise.
    expect(check(single, one).warnings).toEqual(['the name net.onnx is not signed: one file was, which was called elsewhere.onnx then']);
    const two = [...one, ...digests({ 'b.onnx': 'net' })];
    expect((await refusal(() => check(single, two))).text).toMatch(
      /^E_SIG_NAME signature: one single file was signed, and which of yours it is does not follow .*expected elsewhere.onnx, got 2 files\. Try the path of that file/,
    );
    const named = { ...single, subject: [{ ...(single.subject as never as { name: string }[])[0], name: 'net.onnx' }] };
    expect((await refusal(() => check(named as never, two))).code).toBe('E_SIG_EXTRA');
    expect(check(named as never, two, { ignoreUnsigned: true })).toMatchObject({ extra: ['b.onnx'], warnings: [] });
  });
});

describe('the form of 0.2.0', () => {
  const old = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: files.map(({ name, digest }) => ({
      name,
      digest: { sha256: digest.slice(7) },
      annotations: { actual_hash_algorithm: 'file-sha256' },
    })),
    predicateType: 'https://model_signing/Digests/v0.1',
    predicate: { unused: "it's \u00e9\n" },
  };
  const big = pair('P-521');
  const bytes = new TextEncoder().encode(JSON.stringify(old));
  const bundle = bundleOf(big.key, bytes, { message: legacyPae(PAYLOAD_TYPE, bytes), hash: 'sha256' });

  it('is read only with permission, and still compares every file', async () => {
    expect((await refusal(() => verifyDigests(bundle, big.trust, files))).code).toBe('E_SIG_LEGACY');
    expect(verifyDigests(bundle, big.trust, files, { legacy: true }).files).toBe(2);
    const other = digests({ 'model.onnx': 'other', 'readme.md': 'text' });
    expect((await refusal(() => verifyDigests(bundle, big.trust, other, { legacy: true }))).code).toBe('E_SIG_CHANGED');
  });

  it('the old statement under a signature of today needs the permission too', async () => {
    const today = bundleOf(big.key, bytes);
    expect((await refusal(() => verifyDigests(today, big.trust, files))).text).toMatch(
      /^E_SIG_LEGACY signature: the list of files is in the form of model-signing 0\.2\.0 \(up to here: its form is right; signed by/,
    );
  });
});
