import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareNames, omsRoot, treeDigest } from '../../src/zoo/digest.ts';
import { integrityOf } from '../../src/zoo/integrity.ts';
import { emptyLock, parseLock } from '../../src/zoo/lock.ts';
import { withModel, withoutModel, writeLock } from '../../src/zoo/lock-write.ts';
import type { CheckedClaim, Lock, LockedFile, LockedModel, LockedSignature, Sha256 } from '../../src/zoo/types.ts';
import { FORMATS, VERDICTS } from '../../src/zoo/types.ts';
import { message } from './message.ts';

const hex = (digits: number) => fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits });
const digest = hex(64).map((h): Sha256 => `sha256:${h}`);
const line = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((s) => !/\p{Cc}/u.test(s));
const part = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,7}$/).filter((s) => !/^(con|prn|aux|nul|com\d|lpt\d)$/i.test(s));
/** Names in different folders, so that they never clash. */
const numbered = (names: string[]): string[] => names.map((name, i) => `${i}-${name}`);

const claimOf = (d: Sha256): fc.Arbitrary<CheckedClaim> =>
  fc.oneof(
    fc.record({ from: fc.constant('caffe-readme'), algorithm: fc.constant('sha1' as const), value: hex(40), matched: fc.boolean() }),
    fc.record({ from: fc.constant('hf-git-oid'), algorithm: fc.constant('git-blob' as const), value: hex(40), matched: fc.boolean() }),
    fc.record({ from: fc.constant('user'), algorithm: fc.constant('md5' as const), value: hex(32), matched: fc.boolean() }),
    fc.constant({ from: 'hf-lfs-oid', algorithm: 'sha256' as const, value: d.slice(7), matched: true }),
  );
const file = (path: string): fc.Arbitrary<LockedFile> =>
  digest.chain((d) =>
    fc.record(
      {
        path: fc.constant(path),
        size: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
        digest: fc.constant(d),
        url: fc.constantFrom('https://example.com/a?b=c%20d', 'http://127.0.0.1:8080/x', 'file:///srv/m.onnx'),
        claims: fc.array(claimOf(d), { maxLength: 3 }),
        format: fc.constantFrom(...FORMATS),
        lint: fc.constantFrom(...VERDICTS),
      },
      { requiredKeys: ['path', 'size', 'digest', 'claims', 'format', 'lint'] },
    ),
  );
const signature: fc.Arbitrary<LockedSignature> = fc.record({
  method: fc.constantFrom('key', 'certificate', 'sigstore'),
  bundle: part.map((p) => `models.sigs/${p}.sig`),
  bundleDigest: digest,
  signer: line,
});
const model: fc.Arbitrary<LockedModel> = fc
  .record(
    {
      source: fc.constantFrom(
        'hf:onnx-community/resnet-50',
        'path:nets/a',
        'https://example.com/net.onnx',
        `caffe:gist/${'a1'.repeat(10)}`,
      ),
      requested: line,
      resolved: fc.oneof(
        fc.constant('unversioned'),
        hex(40).map((h) => `commit:${h}`),
      ),
      include: fc.array(line, { minLength: 1, maxLength: 3 }),
      files: fc
        .uniqueArray(fc.oneof(part, fc.constantFrom('\u{1f600}', '\uff5e', 'ä')), { minLength: 1, maxLength: 4 })
        .chain((names) => fc.tuple(...numbered(names).map(file))),
      signature,
      lintRules: fc.constant('2026-11'),
    },
    { requiredKeys: ['source', 'resolved', 'files', 'lintRules'] },
  )
  .map(({ files, ...rest }) => {
    const ordered = [...files].sort((a, b) => compareNames(a.path, b.path));
    return {
      ...rest,
      files: ordered,
      treeDigest: treeDigest(files),
      omsRoot: omsRoot(files),
      integrity: integrityOf(files, rest.signature),
    };
  });
const lock: fc.Arbitrary<Lock> = fc.array(fc.tuple(part, model), { maxLength: 4 }).map((entries) => {
  const names = numbered(entries.map(([name]) => name));
  return {
    lockfileVersion: 1,
    models: new Map(entries.map(([, m], i) => [names[i], m] as const).sort((a, b) => compareNames(a[0], b[0]))),
  };
});

const A: Sha256 = `sha256:${'a1'.repeat(32)}`;
const B: Sha256 = `sha256:${'b2'.repeat(32)}`;
const files: LockedFile[] = [
  {
    path: 'onnx/model.onnx',
    size: 102170624,
    digest: A,
    url: 'https://hub.example/m',
    claims: [{ from: 'hf-lfs-oid', algorithm: 'sha256', value: 'a1'.repeat(32), matched: true }],
    format: 'onnx',
    lint: 'ok',
  },
  { path: 'readme.md', size: 12, digest: B, claims: [], format: 'other', lint: 'ok' },
];
const sample: LockedModel = {
  source: 'hf:onnx-community/resnet-50',
  requested: 'main',
  resolved: `commit:${'0'.repeat(40)}`,
  files,
  treeDigest: treeDigest(files),
  omsRoot: omsRoot(files),
  integrity: 'matched-published-claim',
  lintRules: '2026-11',
};
const SAMPLE = writeLock(withModel(emptyLock(), 'resnet50', sample));

describe('what is written', () => {
  it('is read back as the same, and written to the same bytes', () => {
    fc.assert(
      fc.property(lock, (value) => {
        const text = writeLock(value);
        const back = parseLock(text);
        expect(back).toEqual(value);
        expect([...back.models.keys()]).toEqual([...value.models.keys()]);
        expect(writeLock(back)).toBe(text);
      }),
      { numRuns: 60 },
    );
  });

  it('does not depend on the order in which models and files came', () => {
    fc.assert(
      fc.property(lock, fc.nat(), (value, seed) => {
        const turn = <T>(list: readonly T[]): T[] => list.map((_, i) => list[(i + seed) % list.length]);
        const models = new Map(turn([...value.models]).map(([name, m]) => [name, { ...m, files: turn(m.files) }] as const));
        const text = writeLock({ lockfileVersion: 1, models });
        expect(text).toBe(writeLock(value));
        let grown = emptyLock();
        for (const [name, m] of models) grown = withModel(grown, name, m);
        expect(grown).toEqual(value);
      }),
      { numRuns: 40 },
    );
  });

  it('has this layout', () => {
    expect(SAMPLE).toBe(`{
  "lockfileVersion": 1,
  "models": {
    "resnet50": {
      "source": "hf:onnx-community/resnet-50",
      "requested": "main",
      "resolved": "commit:${'0'.repeat(40)}",
      "files": [
        {
          "path": "onnx/model.onnx",
          "size": 102170624,
          "digest": "${A}",
          "url": "https://hub.example/m",
          "format": "onnx",
          "lint": "ok",
          "claims": [
            {
              "from": "hf-lfs-oid",
              "algorithm": "sha256",
              "value": "${'a1'.repeat(32)}",
              "matched": true
            }
          ]
        },
        {
          "path": "readme.md",
          "size": 12,
          "digest": "${B}",
          "format": "other",
          "lint": "ok",
          "claims": []
        }
      ],
      "treeDigest": "${sample.treeDigest}",
      "omsRoot": "${sample.omsRoot}",
      "integrity": "matched-published-claim",
      "lintRules": "2026-11"
    }
  }
}
`);
    expect(writeLock(emptyLock())).toBe('{\n  "lockfileVersion": 1,\n  "models": {}\n}\n');
  });

  it('keeps names that JavaScript would sort as numbers in order of text', () => {
    let both = withModel(emptyLock(), '9', sample);
    both = withModel(both, '10', sample);
    both = withModel(both, 'a', sample);
    expect([...parseLock(writeLock(both)).models.keys()]).toEqual(['10', '9', 'a']);
    expect([...withoutModel(both, '10').models.keys()]).toEqual(['9', 'a']);
    expect(withoutModel(both, 'b')).toBe(both);
  });
});

describe('a lock that was tampered with or damaged by a merge', () => {
  const edit = (from: string | RegExp, to: string): string => {
    const changed = SAMPLE.replace(from, () => to);
    expect(changed).not.toBe(SAMPLE);
    return message(() => parseLock(changed));
  };
  const digestSays = 'expected "sha256:" and 64 lower-case hex digits';
  const restore = 'Try models.lock as it was committed.';
  const notGiven = (field: string): string => `"${field}" is not what the entries of this model give; the file was edited or damaged`;

  it('is read again after a harmless one: other order, other spacing', () => {
    expect(writeLock(parseLock(JSON.stringify(JSON.parse(SAMPLE))))).toBe(SAMPLE);
    const reversed = JSON.parse(SAMPLE);
    reversed.models.resnet50.files.reverse();
    expect(writeLock(parseLock(JSON.stringify(reversed)))).toBe(SAMPLE);
  });

  it.each<[string, string | RegExp, string, string]>([
    [
      'a version of the future',
      '"lockfileVersion": 1',
      '"lockfileVersion": 2',
      'E_LOCK models.lock:2:22: a lock file of a version that this program does not know, expected 1, got 2. Try the newer secateur that wrote it.',
    ],
    [
      'a version in words',
      '"lockfileVersion": 1',
      '"lockfileVersion": "1"',
      'E_LOCK models.lock:2:22: "lockfileVersion" is not right, expected a whole number, -9007199254740991 to 9007199254740991, got "1".',
    ],
    [
      'conflict markers',
      '    "resnet50"',
      '<<<<<<< HEAD\n    "resnet50"',
      'E_LOCK models.lock:4:1: a merge conflict that was not resolved, expected no conflict markers, got <<<<<<<. Try resolving the merge in the file, then the same command again.',
    ],
    [
      'a model twice',
      '    "resnet50": {',
      '    "resnet50": {},\n    "resnet50": {',
      'E_LOCK models.lock:5:5: the same key twice in one object, expected each key once, got a second "resnet50"; the first is in line 4. Try removing the wrong one: programs differ in which they take.',
    ],
    [
      '__proto__ as a name',
      '"resnet50"',
      '"__proto__"',
      'E_NAME models.lock:4:5: a model\'s name is not right, expected letters, digits, dots, _ and - (first a letter or digit), in parts joined by /, got "__proto__".',
    ],
    [
      'two names that are one on some disks',
      '    "resnet50": {',
      '    "ResNet50": {},\n    "resnet50": {',
      'E_NAME models.lock:5:5: two model names are the same to some disks, which ignore case or spelling of accents, expected no "ResNet50" beside it, got "resnet50".',
    ],
    [
      'a path twice',
      'readme.md',
      'onnx/model.onnx',
      'E_PATH models.lock:26:19: a path stands twice in the list, expected no "onnx/model.onnx" beside it, got "onnx/model.onnx".',
    ],
    [
      'an absolute path',
      'readme.md',
      '/etc/passwd',
      'E_PATH models.lock:26:19: a path is absolute, expected a relative path, got "/etc/passwd".',
    ],
    [
      'an empty digest',
      `"digest": "${A}"`,
      '"digest": "sha256:"',
      `E_LOCK models.lock:12:21: "digest" is no SHA-256, ${digestSays}, got "sha256:".`,
    ],
    [
      'a SHA-1 as digest',
      `"digest": "${A}"`,
      `"digest": "sha1:${'0'.repeat(40)}"`,
      `E_LOCK models.lock:12:21: "digest" is no SHA-256, ${digestSays}, got "sha1:${'0'.repeat(40)}".`,
    ],
    [
      'a negative size',
      '"size": 12,',
      '"size": -1,',
      'E_LOCK models.lock:27:19: "size" is not right, expected a whole number, 0 to 9007199254740991, got -1.',
    ],
    [
      'a size like 1e21',
      '"size": 12,',
      '"size": 1e21,',
      'E_LOCK models.lock:27:19: "size" is not right, expected a whole number, 0 to 9007199254740991, got 1e21.',
    ],
    [
      'a digest that was replaced',
      `"digest": "${B}"`,
      `"digest": "sha256:${'c3'.repeat(32)}"`,
      `E_LOCK models.lock:34:21: ${notGiven('treeDigest')}, expected ${treeDigest([files[0], { path: 'readme.md', digest: `sha256:${'c3'.repeat(32)}` }])}, got ${sample.treeDigest}. ${restore}`,
    ],
    [
      'a file that was renamed, which the OMS root alone would not show',
      'readme.md',
      'renamed.md',
      `E_LOCK models.lock:34:21: ${notGiven('treeDigest')}, expected ${treeDigest([files[0], { ...files[1], path: 'renamed.md' }])}, got ${sample.treeDigest}. ${restore}`,
    ],
    [
      'an OMS root that is not theirs',
      `"omsRoot": "${sample.omsRoot}"`,
      `"omsRoot": "${A}"`,
      `E_LOCK models.lock:35:18: ${notGiven('omsRoot')}, expected ${sample.omsRoot}, got ${A}. ${restore}`,
    ],
    [
      'a level that was raised by hand',
      '"integrity": "matched-published-claim"',
      '"integrity": "signed"',
      `E_LOCK models.lock:36:20: ${notGiven('integrity')}, expected matched-published-claim, got signed. ${restore}`,
    ],
    [
      'a claim said to have matched',
      '"matched": true',
      '"matched": false',
      `E_LOCK models.lock:21:26: ${notGiven('matched')}, expected true, got false. ${restore}`,
    ],
    [
      'a claim too short',
      `"value": "${'a1'.repeat(32)}"`,
      '"value": "a1"',
      'E_LOCK models.lock:20:24: "value" is not right, expected 64 lower-case hex digits, got "a1".',
    ],
    [
      'an unknown field',
      '"lint": "ok",',
      '"lnit": "ok",',
      'E_LOCK models.lock:15:11: an unknown field, expected one of path, size, digest, url, format, lint, claims, got "lnit". Try "lint".',
    ],
    [
      'a field that is missing',
      /"format": "onnx",\s*/,
      '',
      `E_LOCK models.lock:9:9: entry 1 of "files" lacks a field, expected "format", got "path", "size", "digest", "url", "lint", "claims".`,
    ],
    [
      'an unknown format',
      '"format": "onnx"',
      '"format": "exe"',
      `E_LOCK models.lock:14:21: "format" is not right, expected one of ${FORMATS.join(', ')}, got "exe".`,
    ],
    [
      'no files',
      /"files": \[[\s\S]*?\n {6}\]/,
      '"files": []',
      'E_LOCK models.lock:8:16: "files" has too few entries, expected at least 1, got 0.',
    ],
    [
      'a branch as what it was resolved to',
      `commit:${'0'.repeat(40)}`,
      'main',
      'E_LOCK models.lock:7:19: "resolved" is not right, expected "unversioned", or "commit:" and 40 hex digits, got "main".',
    ],
    [
      'a password in an address',
      'https://hub.example/m',
      'https://me:secret@hub.example/m',
      'E_LOCK models.lock:13:18: "url" is not right, expected an http:, https: or file: address without user name and password, got one with a password at hub.example.',
    ],
    [
      'an address that runs code',
      'https://hub.example/m',
      'javascript:alert(1)',
      'E_LOCK models.lock:13:18: "url" is not right, expected an http:, https: or file: address without user name and password, got "javascript:alert(1)".',
    ],
    [
      'a source in another form',
      '"hf:onnx-community/resnet-50"',
      '"hf:onnx-community/resnet-50@main"',
      `E_LOCK models.lock:5:17: "source" is not in the form in which sources are written, expected "hf:onnx-community/resnet-50", got "hf:onnx-community/resnet-50@main". ${restore}`,
    ],
    ['a lock cut short', /\n {2}\}\n\}\n$/, '', 'E_LOCK models.lock:38:6: not valid JSON, expected a comma or }, got the end of the file.'],
  ])('%s', (_, from, to, says) => {
    expect(edit(from, to)).toBe(says);
  });

  it('is a check that failed (exit code 3) where the entries contradict it, an error (1) where it cannot be read', () => {
    expect(() => parseLock(SAMPLE.replace('readme.md', 'renamed.md'))).toThrow(expect.objectContaining({ exitCode: 3 }));
    expect(() => parseLock(SAMPLE.slice(1))).toThrow(expect.objectContaining({ exitCode: 1 }));
  });

  it('is never accepted with any byte of a digest, size or path changed', () => {
    const json = SAMPLE.indexOf('"files"');
    const end = SAMPLE.indexOf('"lintRules"');
    fc.assert(
      fc.property(fc.integer({ min: json, max: end }), fc.constantFrom(...'0f1aZ{}[],:" '), (at, c) => {
        const changed = SAMPLE.slice(0, at) + c + SAMPLE.slice(at + 1);
        const says = message(() => parseLock(changed));
        // What may pass: blanks, and sizes, addresses and words for who claims, which no digest covers.
        if (says === 'accepted') {
          const [before, after] = [parseLock(SAMPLE), parseLock(changed)].map((l) =>
            l.models.get('resnet50')?.files.map((f) => [f.path, f.digest, f.claims.map((c) => [c.value, c.matched])]),
          );
          expect(after).toEqual(before);
        }
      }),
      { numRuns: 1500 },
    );
  });
});
