import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commitIn } from '../../src/zoo/sources/commit-in.ts';
import { formatSource, isLocal, parseSource } from '../../src/zoo/sources/spec.ts';
import { told } from './told.ts';

const FORMS =
  'expected a path (./net.onnx, path:nets/a), file:///..., https://..., hf:owner/name[@revision] or caffe:readme.md|gist/ID[@revision]';

describe('parseSource', () => {
  const good: [string, unknown, string][] = [
    ['./nets/a.onnx', { kind: 'path', path: 'nets/a.onnx' }, 'path:nets/a.onnx'],
    ['.', { kind: 'path', path: '.' }, 'path:.'],
    ['..', { kind: 'path', path: '..' }, 'path:..'],
    ['../b/', { kind: 'path', path: '../b' }, 'path:../b'],
    ['/srv//models/./x', { kind: 'path', path: '/srv/models/x' }, 'path:/srv/models/x'],
    ['path:nets', { kind: 'path', path: 'nets' }, 'path:nets'],
    ['file:///srv/a%20b.onnx', { kind: 'file', url: 'file:///srv/a%20b.onnx' }, 'file:///srv/a%20b.onnx'],
    ['HTTPS://Example.com/a.onnx#frag', { kind: 'url', url: 'https://example.com/a.onnx' }, 'https://example.com/a.onnx'],
    ['http://h/a?b=c', { kind: 'url', url: 'http://h/a?b=c' }, 'http://h/a?b=c'],
    ['hf:onnx-community/resnet-50', { kind: 'hf', repo: 'onnx-community/resnet-50' }, 'hf:onnx-community/resnet-50'],
    ['hf:o/n@refs/pr/1', { kind: 'hf', repo: 'o/n', revision: 'refs/pr/1' }, 'hf:o/n@refs/pr/1'],
    ['caffe:models/x/readme.md', { kind: 'caffe', readme: 'models/x/readme.md' }, 'caffe:models/x/readme.md'],
    ['caffe-gist:models/x/readme.md', { kind: 'caffe', readme: 'models/x/readme.md' }, 'caffe:models/x/readme.md'],
    ['caffe:https://h/readme.md', { kind: 'caffe', readme: 'https://h/readme.md' }, 'caffe:https://h/readme.md'],
    ['caffe:gist/e56253735ef32c3c296d', { kind: 'caffe-gist', id: 'e56253735ef32c3c296d' }, 'caffe:gist/e56253735ef32c3c296d'],
    ['caffe-gist:e56253735ef32c3c296d', { kind: 'caffe-gist', id: 'e56253735ef32c3c296d' }, 'caffe:gist/e56253735ef32c3c296d'],
    [
      'caffe:https://gist.github.com/mavenlin/e56253735ef32c3c296d@abc',
      { kind: 'caffe-gist', id: 'e56253735ef32c3c296d', revision: 'abc' },
      'caffe:gist/e56253735ef32c3c296d@abc',
    ],
  ];
  it.each(good)('reads %s', (text, spec, written) => {
    expect(parseSource(text)).toEqual(spec);
    expect(formatSource(parseSource(text))).toBe(written);
    expect(parseSource(written)).toEqual(spec);
  });

  it('leaves the revision out where it is asked to', () => {
    expect(formatSource(parseSource('hf:o/n@main'), true)).toBe('hf:o/n');
    expect(formatSource(parseSource('caffe:gist/e56253735ef32c3c296d@abc'), true)).toBe('caffe:gist/e56253735ef32c3c296d');
  });

  it('knows what needs no network', () => {
    expect(
      ['./a', 'file:///a', 'caffe:readme.md', 'hf:a/b', 'https://h/a', 'caffe:https://h/r', 'caffe:gist/e56253735ef32c3c296d'].map((t) =>
        isLocal(parseSource(t)),
      ),
    ).toEqual([true, true, true, false, false, false, false]);
  });

  const bad: [string, string][] = [
    ['', `the source is empty, ${FORMS}, got "".`],
    [
      'resnet/50',
      `this names no source, ${FORMS}, got "resnet/50". Try ./resnet/50 if it is a path, hf:resnet/50 if it is a model of the Hugging Face hub.`,
    ],
    ['ftp://h/a', `sources of the kind ftp: are not known, ${FORMS}, got "ftp://h/a".`],
    ['c:\\nets\\a', `sources of the kind c: are not known, ${FORMS}, got "c:\\\\nets\\\\a". Try path:c:\\nets\\a.`],
    [' ./a', `the source begins or ends with a blank, ${FORMS}, got " ./a".`],
    ['./a\u0000b', `the source holds a control character, ${FORMS}, got "./a\\u0000b".`],
    ['path:', `the path is empty, ${FORMS}, got "path:".`],
    ['https:///a', `the address has no host, ${FORMS}, got "https:///a".`],
    ['https://h:99999/a', `the address cannot be read, ${FORMS}, got "https://h:99999/a".`],
    [
      'https://me:secret@h/a',
      `the address holds a user name or password, which would be written to models.lock, ${FORMS}, got "https://...@h/...".`,
    ],
    ['file://server/a', `a file: address has three slashes and no host, ${FORMS}, got "file://server/a".`],
    ['file:///a?b', `a file: address has no ? or #, ${FORMS}, got "file:///a?b". Try to write %3F for ? and %23 for #.`],
    ['file:///a%2Fb', `a file: address holds an encoded slash or NUL, ${FORMS}, got "file:///a%2Fb".`],
    [
      'hf:resnet',
      `a model of the hub is named owner/name, ${FORMS}, got "hf:resnet". Try the name as it stands on top of its page: hf:onnx-community/resnet-50.`,
    ],
    [
      'hf:a/../b',
      `a model of the hub is named owner/name, ${FORMS}, got "hf:a/../b". Try the name as it stands on top of its page: hf:onnx-community/resnet-50.`,
    ],
    ['hf:a/b@', `the revision after @ is no branch, tag or commit, ${FORMS}, got "hf:a/b@".`],
    ['hf:a/b@../../x', `the revision after @ is no branch, tag or commit, ${FORMS}, got "hf:a/b@../../x".`],
    ['caffe:', `the path or address of a readme.md is missing, ${FORMS}, got "caffe:".`],
    ['caffe:gist/xyz', `a gist is named by the 20 to 40 hex digits in its address, ${FORMS}, got "caffe:gist/xyz".`],
    [
      'caffe:https://github.com/BVLC/caffe/blob/master/models/x/readme.md',
      `this is a page about the readme, not the readme, ${FORMS}, got "caffe:https://github.com/BVLC/caffe/blob/master/models/x/readme.md". Try caffe:https://raw.githubusercontent.com/BVLC/caffe/master/models/x/readme.md.`,
    ],
  ];
  it.each(bad)('refuses %j', async (text, says) => {
    expect(await told(() => parseSource(text, 'zoo add'))).toBe(`2 E_SOURCE zoo add: ${says}`);
  });

  it('writes what it reads again, whatever the text', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc
        .tuple(fc.constantFrom('hf:', 'caffe:', 'caffe-gist:', 'path:', './', 'file:///'), fc.string({ maxLength: 40 }))
        .map((p) => p.join('')),
    );
    let read = 0;
    fc.assert(
      fc.property(text, (source) => {
        let spec: ReturnType<typeof parseSource>;
        try {
          spec = parseSource(source);
        } catch (error) {
          expect((error as Error).message).toMatch(/^E_SOURCE source: /);
          return;
        }
        read++;
        const written = formatSource(spec);
        expect(formatSource(parseSource(written))).toBe(written);
        expect(parseSource(written)).toEqual(spec);
      }),
      { numRuns: 500, seed: 7 },
    );
    expect(read).toBeGreaterThan(80);
  });
});

describe('commitIn', () => {
  const commit = 'c'.repeat(40);
  it('knows addresses that never change', () => {
    expect(commitIn(`https://huggingface.co/o/n/resolve/${commit}/a.onnx`)).toBe(commit);
    expect(commitIn(`https://raw.githubusercontent.com/o/n/${commit}/a`)).toBe(commit);
    expect(commitIn(`https://github.com/o/n/raw/${commit}/a`)).toBe(commit);
    expect(commitIn(`https://gist.githubusercontent.com/o/abc123/raw/${commit}/readme.md`)).toBe(commit);
  });
  it('trusts no other host and no branch', () => {
    expect(commitIn(`https://evil.example/o/n/resolve/${commit}/a.onnx`)).toBeUndefined();
    expect(commitIn(`http://huggingface.co/o/n/resolve/${commit}/a.onnx`)).toBeUndefined();
    expect(commitIn('https://huggingface.co/o/n/resolve/main/a.onnx')).toBeUndefined();
    expect(commitIn(`https://evil.example/https://github.com/o/n/raw/${commit}/a`)).toBeUndefined();
  });
});
