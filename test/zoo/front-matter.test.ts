import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { SecateurError } from '../../src/core/errors.ts';
import { parseCaffeReadme } from '../../src/zoo/sources/caffe-entry.ts';
import { KEYS, parseFrontMatter } from '../../src/zoo/sources/front-matter.ts';
import { told } from './told.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const SHA1 = '0123456789abcdef0123456789abcdef01234567';
/** A readme of the form that Caffe's repository has, with made-up content. */
const readme = (lines: Record<string, string | undefined> = {}): Uint8Array => {
  const all = {
    name: 'Digits by Example Lab',
    caffemodel: 'digits.caffemodel',
    caffemodel_url: 'http://models.example/digits.caffemodel',
    license: 'unrestricted',
    sha1: SHA1,
    caffe_commit: '89abcdef89abcdef89abcdef89abcdef89abcdef',
    ...lines,
  };
  const text = Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}`]));
  return bytes(`---\n${text.join('\n')}\n---\n\nA network for digits.\n---\nmore: text\n`);
};
const entry = (lines: Record<string, string | undefined> = {}) => parseCaffeReadme(readme(lines), 'readme.md');

describe('a Caffe readme', () => {
  it('gives file, address, claim, name and licence', () => {
    expect(entry()).toEqual({
      caffemodel: 'digits.caffemodel',
      url: 'http://models.example/digits.caffemodel',
      claims: [{ from: 'caffe-readme', algorithm: 'sha1', value: SHA1 }],
      name: 'Digits by Example Lab',
      license: 'unrestricted',
      notes: [],
    });
  });

  it('reads an upper-case sha1, a number of digits only, quotes, comments, tabs behind the colon, CRLF and a byte order mark', () => {
    expect(entry({ sha1: SHA1.toUpperCase() }).claims[0].value).toBe(SHA1);
    expect(entry({ sha1: '1'.repeat(40) }).claims[0].value).toBe('1'.repeat(40));
    expect(entry({ sha1: `'${SHA1}' # of the file` }).claims[0].value).toBe(SHA1);
    expect(entry({ name: '"a \\"b\\" # c"', license: "'it''s # free'" })).toMatchObject({ name: 'a "b" # c', license: "it's # free" });
    const text = new TextDecoder().decode(readme());
    const odd = `\ufeff${text.replaceAll(': ', ':\t').replaceAll('\n', '\r\n')}`;
    expect(parseCaffeReadme(bytes(odd), 'readme.md')).toEqual(entry());
  });

  it('passes over keys that nobody reads, with all that is under them', () => {
    const text = `---\ncaffemodel: a\n# note\nauthors:\n  - one\n  - two: *x\ntags: [a, b]\nsha1: ${SHA1}\n---\n`;
    expect(parseFrontMatter(bytes(text), 'r').get('sha1')).toEqual({ text: SHA1, line: 8 });
  });

  const notes: [string, string | undefined, string][] = [
    ['none', undefined, 'readme.md gives no sha1: there is nothing to compare the weights with'],
    ['an empty one', '', 'readme.md gives no sha1: there is nothing to compare the weights with'],
    ['a short one', '01234567', 'the sha1 in readme.md:6 has 8 digits, not 40: there is nothing to compare the weights with'],
    ['a SHA-256', 'a'.repeat(64), 'the sha1 in readme.md:6 has 64 digits, not 40: there is nothing to compare the weights with'],
    ['a word', 'later', 'the sha1 in readme.md:6 is none (later): there is nothing to compare the weights with'],
  ];
  it.each(notes)('with %s as sha1 is read, and says so', (_, sha1, note) => {
    expect(entry({ sha1 })).toMatchObject({ claims: [], notes: [note] });
  });

  const wrong: [string, Record<string, string | undefined>, string][] = [
    [
      'a path up',
      { caffemodel: '../../.bashrc' },
      'readme.md:3: caffemodel must be a plain file name, expected the name of the weights, without folders, got "../../.bashrc".',
    ],
    [
      'a folder',
      { caffemodel: 'a/b' },
      'readme.md:3: caffemodel must be a plain file name, expected the name of the weights, without folders, got "a/b".',
    ],
    [
      'an absolute path',
      { caffemodel: '/etc/passwd' },
      'readme.md:3: caffemodel must be a plain file name, expected the name of the weights, without folders, got "/etc/passwd".',
    ],
    ['a backslash', { caffemodel: 'a\\b' }, 'readme.md:3: caffemodel must be a plain file name, expected names joined by /, got "a\\\\b".'],
    ['a device', { caffemodel: 'NUL' }, 'readme.md:3: caffemodel must be a plain file name, expected another name than NUL, got "NUL".'],
    [
      'itself',
      { caffemodel: 'README.md' },
      'readme.md:3: caffemodel must be a plain file name, expected the name of the weights, without folders, got "README.md".',
    ],
    ['no file', { caffemodel: undefined }, 'readme.md:1: the front matter names no file, expected caffemodel: the name of the file.'],
    [
      'no address',
      { caffemodel_url: 'digits.caffemodel' },
      'readme.md:4: caffemodel_url is no address, expected https://..., got "digits.caffemodel".',
    ],
    [
      'a file address',
      { caffemodel_url: 'file:///etc/passwd' },
      'readme.md:4: caffemodel_url does not lead into the web, expected https://..., got "file:///etc/passwd".',
    ],
    [
      'a password',
      { caffemodel_url: 'https://a:b@h/x' },
      'readme.md:4: caffemodel_url holds a password, expected an address that all may read, got "https://a:b@h/x".',
    ],
    [
      'an anchor',
      { name: '&a x' },
      'readme.md:2: name is not a plain text, expected a text on one line; anchors, tags, lists and blocks are not read, got "&a x".',
    ],
    [
      'an alias',
      { sha1: '*a' },
      'readme.md:6: sha1 is not a plain text, expected a text on one line; anchors, tags, lists and blocks are not read, got "*a".',
    ],
    [
      'a tag',
      { sha1: '!!python/object:os.system x' },
      'readme.md:6: sha1 is not a plain text, expected a text on one line; anchors, tags, lists and blocks are not read, got "!!python/object:os.system x".',
    ],
    [
      'a list',
      { sha1: '[a, b]' },
      'readme.md:6: sha1 is not a plain text, expected a text on one line; anchors, tags, lists and blocks are not read, got "[a, b]".',
    ],
    [
      'a block',
      { license: '|\n  text' },
      'readme.md:5: license is not a plain text, expected a text on one line; anchors, tags, lists and blocks are not read, got "|".',
    ],
    [
      'a second key in a value',
      { name: 'a: b' },
      'readme.md:2: name holds a second key, expected a text without ": ", or in quotes, got "a: b".',
    ],
    ['an open quote', { name: '"a' }, 'readme.md:2: name has no closing quote, expected ", got "\\"a".'],
    ['text behind a quote', { name: '"a" b' }, 'readme.md:2: name goes on behind its closing quote, expected nothing, got "\\"a\\" b".'],
    [
      'an odd escape',
      { name: '"\\x41"' },
      'readme.md:2: name holds an escape that is not read, expected \\\\ \\" \\/ \\t or \\n, got "\\"\\\\x41\\"".',
    ],
    [
      'a key twice',
      { license: 'a\ncaffemodel: other' },
      'readme.md:6: the key caffemodel stands twice, expected one, as on line 3, got "caffemodel: other".',
    ],
    ['an indented line', { license: 'a\n  b: c' }, 'readme.md:6: an indented line, expected key: value on one line each, got "  b: c".'],
    ['a tab in front', { license: 'a\n\tb: c' }, 'readme.md:6: an indented line, expected key: value on one line each, got "\\tb: c".'],
    ['flow YAML', { license: 'a\n{x: y}' }, 'readme.md:6: YAML beyond key: value is not read, expected key: value, got "{x: y}".'],
    [
      'a conflict',
      { license: 'a\n<<<<<<< HEAD' },
      'readme.md:6: not a line of front matter, expected key: value, got "<<<<<<< HEAD". Try to finish the merge that left this mark.',
    ],
    ['a control character', { license: 'a\u0007' }, 'readme.md:5: a control character, expected text, got "license: a\\u0007".'],
  ];
  it.each(wrong)('with %s is refused', async (_, lines, says) => {
    expect(await told(() => entry(lines))).toBe(`1 E_METADATA ${says}`);
  });

  const files: [string, string | Uint8Array, string][] = [
    ['no front matter', '# Title\n', '1: the readme has no front matter, expected a first line ---, got "# Title".'],
    ['nothing', '', '1: the readme has no front matter, expected a first line ---, got "".'],
    [
      'a login page',
      '<!DOCTYPE html><p>',
      '1: the readme has no front matter, expected a first line ---, got "<!DOCTYPE html><p>". Try the address of the file itself (raw), since this is a web page.',
    ],
    ['no end', `---\ncaffemodel: a\n`, '1: the front matter does not end, expected a second line ---.'],
    [
      'two lines --- at the top',
      '---\n---\ncaffemodel: a\n---\n',
      '1: the front matter names no file, expected caffemodel: the name of the file.',
    ],
    ['too many lines', `---\n${'#\n'.repeat(500)}---\n`, '202: the front matter does not end, expected --- within 200 lines.'],
    [
      'a long line',
      `---\nname: ${'x'.repeat(5000)}\n---\n`,
      `2: a line is too long, expected at most 4096 characters, got "name: ${'x'.repeat(74)}...".`,
    ],
    ['invalid UTF-8', Uint8Array.of(0x2d, 0x2d, 0x2d, 0x0a, 0xff), '1: the readme is not a text, expected UTF-8.'],
    ['too many bytes', new Uint8Array(2 ** 20 + 1), '1: the readme is too long, expected at most 1048576 bytes, got "1048577 bytes".'],
  ];
  it.each(files)('with %s is refused', async (_, content, says) => {
    const file = typeof content === 'string' ? bytes(content) : content;
    expect(await told(() => parseCaffeReadme(file, 'readme.md'))).toBe(`1 E_METADATA readme.md:${says}`);
  });
});

describe('against a YAML parser', () => {
  it('reads plain and quoted values as it does', () => {
    const value = fc.oneof(
      fc.stringMatching(/^[A-Za-z0-9_./+-][A-Za-z0-9_./+ ()-]{0,30}$/),
      fc.stringMatching(/^[ -~]{0,20}$/).map((text) => `'${text.replaceAll("'", "''")}'`),
      fc.stringMatching(/^[ !#-[\]-~]{0,20}$/).map((text) => `"${text}"`),
    );
    let read = 0;
    fc.assert(
      fc.property(fc.array(value, { minLength: KEYS.length, maxLength: KEYS.length }), (values) => {
        const body = KEYS.map((key, i) => `${key}: ${values[i]}`).join('\n');
        let theirs: Record<string, string>;
        try {
          theirs = parse(body, { schema: 'failsafe' });
        } catch {
          // what a full parser refuses, a narrow one may not take either
          expect(() => parseFrontMatter(bytes(`---\n${body}\n---\n`), 'r')).toThrow(SecateurError);
          return;
        }
        let ours: ReturnType<typeof parseFrontMatter>;
        try {
          ours = parseFrontMatter(bytes(`---\n${body}\n---\n`), 'r');
        } catch (error) {
          expect((error as SecateurError).parts.code).toBe('E_METADATA');
          return;
        }
        read++;
        for (const [i, key] of KEYS.entries()) {
          const empty = theirs[key] === '' || values[i] === '~' || values[i] === 'null';
          expect(ours.get(key)?.text).toBe(empty ? undefined : theirs[key]);
        }
      }),
      { numRuns: 400, seed: 3 },
    );
    expect(read).toBeGreaterThan(250);
  });
});
