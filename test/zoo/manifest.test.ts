import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globMatches } from '../../src/zoo/globs.ts';
import { addRule, addToManifest, newManifest, parseManifest, removeFromManifest } from '../../src/zoo/manifest.ts';
import { message } from './message.ts';

const TEXT = `{
  "models": {
    "bvlc/caffenet": { "source": "caffe-gist:e56253735ef32c3c296d" },
    "resnet50": {
      "source": "hf:onnx-community/resnet-50@main",
      "include": ["onnx/model.onnx*"]
    }
  },
  "policy": [
    { "match": "resnet50", "require": "signature", "keys": ["keys/team.pub"] },
    { "match": "**", "require": "lock", "formats": ["onnx", "safetensors"] }
  ]
}
`;

describe('reading', () => {
  it('gives what is written, with defaults for the rest', () => {
    expect(parseManifest(TEXT)).toEqual({
      folder: 'models',
      models: new Map<string, unknown>([
        ['bvlc/caffenet', { source: 'caffe-gist:e56253735ef32c3c296d' }],
        ['resnet50', { source: 'hf:onnx-community/resnet-50@main', include: ['onnx/model.onnx*'] }],
      ]),
      policy: [
        { match: 'resnet50', require: 'signature', keys: ['keys/team.pub'] },
        { match: '**', require: 'lock', formats: ['onnx', 'safetensors'] },
      ],
    });
    expect(parseManifest('{}')).toEqual({ folder: 'models', models: new Map(), policy: [] });
    expect(parseManifest('{"folder": "a/nets", "policy": []}').folder).toBe('a/nets');
  });

  const rule = (body: string): string => `{"policy": [{${body}}]}`;
  it.each([
    ['{"modles": {}}', 'E_MANIFEST models.json:1:2: an unknown field, expected one of folder, models, policy, got "modles". Try "models".'],
    ['{"models": []}', 'E_MANIFEST models.json:1:12: "models" is not right, expected an object, got an array.'],
    ['{"models": {"a": "hf:x/y"}}', 'E_MANIFEST models.json:1:18: "a" is not right, expected an object, got "hf:x/y".'],
    ['{"models": {"a": {}}}', 'E_MANIFEST models.json:1:18: "a" lacks a field, expected "source", got an empty object.'],
    [
      '{"models": {"a": {"source": "./x", "sha256": "1"}}}',
      'E_MANIFEST models.json:1:36: an unknown field, expected one of source, include, signature, got "sha256".',
    ],
    [
      '{"models": {"a": {"source": "./x", "include": []}}}',
      'E_MANIFEST models.json:1:47: "include" has too few entries, expected at least 1, got 0.',
    ],
    [
      '{"models": {"a": {"source": "./x", "include": ["../x"]}}}',
      'E_MANIFEST models.json:1:48: entry 1 of "include" matches nothing, expected a pattern such as onnx/*.onnx, with * within a name and ** for any folders, got "../x".',
    ],
    [
      '{"models": {"A": {"source": "./x"}, "a": {"source": "./x"}}}',
      'E_NAME models.json:1:37: two model names are the same to some disks, which ignore case or spelling of accents, expected no "A" beside it, got "a".',
    ],
    ['{"folder": "../x"}', 'E_PATH models.json:1:12: a path leads out of its folder, expected a path without .., got "../x".'],
    [
      '{"folder": "models.sigs/x"}',
      'E_MANIFEST models.json:1:12: "folder" holds something else, expected another folder than models.sigs, got "models.sigs/x".',
    ],
    [
      '{"folder": "models.lock"}',
      'E_MANIFEST models.json:1:12: "folder" holds something else, expected another folder than models.lock, got "models.lock".',
    ],
    [rule('"match": "a"'), 'E_MANIFEST models.json:1:13: entry 1 of "policy" lacks a field, expected "require", got "match".'],
    [
      rule('"match": "a", "require": "signatur"'),
      'E_MANIFEST models.json:1:39: "require" is not right, expected one of lock, claim, signature, got "signatur". Try "signature".',
    ],
    [
      rule('"match": "a", "require": "signature"'),
      'E_MANIFEST models.json:1:13: a rule wants a signature but does not say whose, expected "keys", "authorities" or "identities", got none of them.',
    ],
    [
      rule('"match": "a", "require": "claim", "keys": ["k.pub"]'),
      'E_MANIFEST models.json:1:39: a rule has "keys" but wants no signature, expected "signature", got "claim". Try "require": "signature", or no "keys".',
    ],
    [
      rule('"match": "a", "require": "signature", "keys": ["/etc/k.pub"]'),
      'E_PATH models.json:1:61: a path is absolute, expected a relative path, got "/etc/k.pub".',
    ],
    [
      rule('"match": "a", "require": "signature", "identities": [{"identity": "me@x.org"}]'),
      'E_MANIFEST models.json:1:67: entry 1 of "identities" lacks a field, expected "issuer", got "identity".',
    ],
    [
      rule('"match": "", "require": "lock"'),
      'E_MANIFEST models.json:1:23: "match" is too short, expected a pattern such as onnx/*.onnx, with * within a name and ** for any folders, got "".',
    ],
    [
      rule('"match": "a", "require": "lock", "mode": "off"'),
      'E_MANIFEST models.json:1:55: "mode" is not right, expected one of enforce, warn, got "off".',
    ],
    ['{"models": {},}', 'E_MANIFEST models.json:1:14: a comma after the last entry, expected no comma before }, got a comma.'],
  ])('refuses %s', (text, says) => {
    expect(message(() => parseManifest(text))).toBe(says);
  });

  it('refuses a source that is none, at its position', () => {
    expect(message(() => parseManifest('{"models": {"a": {"source": "resnet50"}}}'))).toMatch(/^E_SOURCE models\.json:1:29: /);
  });
});

describe('changing it', () => {
  it('puts a model at the end, in the layout of its neighbours, and leaves the rest alone', () => {
    expect(addToManifest(TEXT, 'vgg', { source: './nets/vgg', include: ['*.onnx'] })).toBe(
      TEXT.replace(
        '      "include": ["onnx/model.onnx*"]\n    }\n',
        '      "include": ["onnx/model.onnx*"]\n    },\n    "vgg": {\n      "source": "./nets/vgg",\n      "include": [\n        "*.onnx"\n      ]\n    }\n',
      ),
    );
  });

  it('replaces an entry where it stands', () => {
    expect(addToManifest(TEXT, 'bvlc/caffenet', { source: './x' })).toBe(
      TEXT.replace('{ "source": "caffe-gist:e56253735ef32c3c296d" }', '{\n      "source": "./x"\n    }'),
    );
  });

  it('makes a file where there is none, and a field where it is missing', () => {
    const entry = '"models": {\n    "a": {\n      "source": "./x"\n    }\n  }';
    expect(addToManifest(undefined, 'a', { source: './x' })).toBe(`{\n  ${entry}\n}\n`);
    expect(addToManifest('{}', 'a', { source: './x' })).toBe(`{\n  ${entry}\n}`);
    expect(addToManifest('{"folder": "m"}\n', 'a', { source: './x' })).toBe(`{\n  "folder": "m",\n  ${entry}\n}\n`);
  });

  it('keeps tabs and line ends of Windows', () => {
    const text = '{\r\n\t"models": {\r\n\t\t"a": {"source": "./x"}\r\n\t}\r\n}\r\n';
    expect(addToManifest(text, 'b', { source: './y' })).toBe(
      '{\r\n\t"models": {\r\n\t\t"a": {"source": "./x"},\r\n\t\t"b": {\r\n\t\t\t"source": "./y"\r\n\t\t}\r\n\t}\r\n}\r\n',
    );
  });

  it('takes a model out and leaves the rest alone', () => {
    expect(removeFromManifest(TEXT, 'resnet50')).toBe(TEXT.replace(/,\n {4}"resnet50": \{[\s\S]*?\n {4}\}/, ''));
    expect(removeFromManifest(TEXT, 'bvlc/caffenet')).toBe(TEXT.replace(/"bvlc\/caffenet": .*\n {4}/, ''));
    expect(removeFromManifest(addToManifest(undefined, 'a', { source: './x' }), 'a')).toBe('{\n  "models": {}\n}\n');
    expect(removeFromManifest(TEXT, 'absent')).toBe(TEXT);
  });

  it('refuses to make a file that could not be read', () => {
    expect(message(() => addToManifest(TEXT, 'Resnet50', { source: './x' }))).toMatch(
      /^E_NAME models\.json:8:5: two model names are the same/,
    );
    expect(message(() => addToManifest(TEXT, 'a', { source: 'x' }))).toMatch(/^E_SOURCE models\.json:/);
    expect(message(() => addToManifest('{"models": {},}', 'a', { source: './x' }))).toMatch(/^E_MANIFEST models\.json:1:14: a comma/);
  });

  it('adds what it is told, whatever came before', () => {
    const name = fc.constantFrom('a', 'b', 'c/d', 'c/e', '10', '9');
    fc.assert(
      fc.property(
        fc.constantFrom(TEXT, '{}', '{"models":{}}', '{ "models": {"z": {"source": "./z"}} }'),
        fc.array(fc.tuple(name, fc.boolean()), { maxLength: 8 }),
        (start, steps) => {
          let text: string = start;
          const expected = new Map(parseManifest(start).models);
          for (const [n, add] of steps) {
            text = add ? addToManifest(text, n, { source: `./${n}` }) : removeFromManifest(text, n);
            if (add) expected.set(n, { source: `./${n}` });
            else expected.delete(n);
            expect(parseManifest(text).models).toEqual(expected);
          }
          expect(parseManifest(text).policy).toEqual(parseManifest(start).policy);
        },
      ),
    );
  });
});

describe('rules', () => {
  const key = (path: string) => ({ match: 'a', require: 'signature', keys: [path] }) as const;

  it('adds a rule at the end, once', () => {
    const one = addRule(TEXT, key('k.pub'));
    expect(parseManifest(one).policy).toEqual([...parseManifest(TEXT).policy, key('k.pub')]);
    expect(one.startsWith(TEXT.slice(0, TEXT.indexOf('\n  ]')))).toBe(true);
    expect(addRule(one, key('k.pub'))).toBe(one);
    expect(parseManifest(addRule('{}', key('k.pub'))).policy).toEqual([key('k.pub')]);
    expect(parseManifest(addRule('{"policy": []}', key('k.pub'))).policy).toEqual([key('k.pub')]);
  });

  it('replaces the signers of a rule for the same models and keeps what else it asks', () => {
    const strict = addRule('{}', { ...key('old.pub'), formats: ['onnx'], lint: 'ok' });
    expect(parseManifest(addRule(strict, key('new.pub'))).policy).toEqual([{ ...key('new.pub'), formats: ['onnx'], lint: 'ok' }]);
    // a signer who is named now must have signed
    expect(parseManifest(addRule(addRule('{}', { ...key('old.pub'), mode: 'warn' }), key('new.pub'))).policy).toEqual([key('new.pub')]);
  });

  it('begins a project', () => {
    expect(newManifest('models', [{ match: '**', require: 'lock' }])).toBe(
      '{\n  "models": {},\n  "policy": [\n    {\n      "match": "**",\n      "require": "lock"\n    }\n  ]\n}\n',
    );
    expect(parseManifest(newManifest('nets', [])).folder).toBe('nets');
  });
});

describe('patterns', () => {
  it.each([
    ['resnet50', 'resnet50', true],
    ['resnet50', 'resnet5', false],
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['**', 'a/b/c', true],
    ['bvlc/*', 'bvlc/caffenet', true],
    ['bvlc/*', 'bvlc/a/b', false],
    ['bvlc/**', 'bvlc/a/b', true],
    ['**/model.onnx', 'model.onnx', true],
    ['**/model.onnx', 'a/b/model.onnx', true],
    ['**/b/*.onnx', 'a/b/c/b/x.onnx', true],
    ['a/**/z', 'a/z', true],
    ['a/**/z', 'az', false],
    ['onnx/model.onnx*', 'onnx/model.onnx_data', true],
    ['*.onnx', '.onnx', true],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['*a*b*', 'xxaxxbxx', true],
    ['*a*b', 'xxbxxa', false],
  ])('%s and %s: %s', (glob, text, expected) => {
    expect(globMatches(glob, text)).toBe(expected);
  });

  it('agrees with a regular expression', () => {
    const chars = fc.constantFrom('a', 'b', '*', '/', '**', '/**/');
    fc.assert(
      fc.property(fc.array(chars, { maxLength: 6 }), fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 7 }), (g, t) => {
        const glob = g.join('');
        const text = t.join('');
        // Each part becomes "its text and a slash", so that ** is any number of those.
        const parts = glob.split('/').map((p) => (p === '**' ? '(?:[^/]*/)*' : `${p.replaceAll(/\*+/g, '[^/]*')}/`));
        expect(globMatches(glob, text)).toBe(new RegExp(`^${parts.join('')}$`).test(`${text}/`));
      }),
      { numRuns: 3000 },
    );
  });

  it('is not slowed down by a pattern made to do so', () => {
    expect(globMatches(`${'*a'.repeat(500)}b`, 'a'.repeat(5000))).toBe(false);
    expect(globMatches(`${'**/a/'.repeat(200)}b`, 'a/'.repeat(2000))).toBe(false);
  });
});
