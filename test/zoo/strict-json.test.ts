import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, parseJson, parseJsonBytes, toPlain } from '../../src/zoo/strict-json.ts';
import { message } from './message.ts';

const refused = (text: string): string => message(() => parseJson(text, 'f.json'));
const plain = (text: string): unknown => toPlain(parseJson(text, 'f.json'));

describe('what JSON allows', () => {
  it('reads what JSON.parse reads, whatever the spacing', () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), fc.constantFrom(undefined, 1, '\t', '\r\n'), (text, space) => {
        const laidOut =
          typeof space === 'string' && space.includes('\r')
            ? JSON.stringify(JSON.parse(text), null, 1).replaceAll('\n', space)
            : JSON.stringify(JSON.parse(text), null, space);
        // Through JSON again, which drops the missing prototypes.
        expect(JSON.stringify(toPlain(parseJson(laidOut, 'f')))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it('agrees with JSON.parse on every string, as written and as escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = `"${Array.from(text, (c) => [...c].flatMap((x) => Array.from({ length: x.length }, (_, i) => `\\u${x.charCodeAt(i).toString(16).padStart(4, '0')}`)).join('')).join('')}"`;
        expect(plain(JSON.stringify(text))).toBe(text);
        expect(plain(escaped)).toBe(text);
      }),
    );
  });

  it('keeps numbers as they are written', () => {
    expect(parseJson('9007199254740993', 'f').raw).toBe('9007199254740993');
    expect(plain('[0, -0, 1.5e-3, 1E+2, 1e300]')).toEqual([0, -0, 0.0015, 100, 1e300]);
  });

  it('gives keys of JavaScript no power', () => {
    const value = plain('{"__proto__": {"admin": true}, "constructor": 1, "toString": 2}') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'toString']);
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(value.admin).toBeUndefined();
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });
});

describe('what it refuses, and where', () => {
  it.each([
    ['', 'E_JSON f.json:1:1: not valid JSON, expected a value, got the end of the file.'],
    ['{"a":1', 'E_JSON f.json:1:7: not valid JSON, expected a comma or }, got the end of the file.'],
    ['[1 2]', 'E_JSON f.json:1:4: not valid JSON, expected a comma or ], got 2.'],
    ['{"a" 1}', 'E_JSON f.json:1:6: not valid JSON, expected a colon after the key, got 1.'],
    ["{'a':1}", "E_JSON f.json:1:2: not valid JSON, expected a key in double quotes, or }, got '."],
    ['{"a":1}\n{', 'E_JSON f.json:2:1: not valid JSON, expected the end of the file, got {.'],
    ['// x\n1', 'E_JSON f.json:1:1: not valid JSON, expected a value, got /.'],
    ['[1,\n 2,\n]', 'E_JSON f.json:2:3: a comma after the last entry, expected no comma before ], got a comma.'],
    ['{"a":1,}', 'E_JSON f.json:1:7: a comma after the last entry, expected no comma before }, got a comma.'],
    ['[,1]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got ,.'],
    ['[NaN]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got NaN.'],
    ['[-Infinity]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got -Infinity.'],
    ['[01]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got 01.'],
    ['[1.]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got 1..'],
    ['[.5]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got .5.'],
    ['[+1]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got +1.'],
    ['[0x1F]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got 0x1F.'],
    ['[1e999]', 'E_JSON f.json:1:2: a number out of range, expected at most 1.8e308 in size, got 1e999.'],
    ['[True]', 'E_JSON f.json:1:2: not valid JSON, expected a value, got True.'],
    ['["a]', 'E_JSON f.json:1:2: a string without end, expected a closing quote in the same line, got the end of the file.'],
    ['["a\n"]', 'E_JSON f.json:1:2: a string without end, expected a closing quote in the same line, got the end of the line.'],
    ['["a\tb"]', 'E_JSON f.json:1:4: a control character in a string, expected an escape such as \\u0009, got U+0009.'],
    ['["a\0b"]', 'E_JSON f.json:1:4: a control character in a string, expected an escape such as \\u0009, got U+0000.'],
    ['\0', 'E_JSON f.json:1:1: not valid JSON, expected a value, got U+0000.'],
    ['\u00a01', 'E_JSON f.json:1:1: not valid JSON, expected a value, got U+00A0.'],
    ['["\\x"]', 'E_JSON f.json:1:3: an unknown escape, expected \\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four hex digits, got \\x.'],
    ['["\\u12g4"]', 'E_JSON f.json:1:3: an unfinished escape, expected \\u and four hex digits, got \\u12g4.'],
    ['["\\ud800"]', 'E_JSON f.json:1:3: half of a character, expected both surrogates, got \\ud800.'],
    ['["\\ud800\\u0041"]', 'E_JSON f.json:1:3: half of a character, expected both surrogates, got \\ud800.'],
    ['["\\udc00\\ud800"]', 'E_JSON f.json:1:3: half of a character, expected both surrogates, got \\udc00.'],
    ['["\ud800"]', 'E_JSON f.json:1:3: half of a character, expected both surrogates, got U+D800.'],
    ['["\udc00\ud800"]', 'E_JSON f.json:1:3: half of a character, expected both surrogates, got U+DC00.'],
    [
      '\ufeff{}',
      'E_JSON f.json:1:1: begins with a byte order mark, expected plain UTF-8, got U+FEFF. Try saving the file as UTF-8 without BOM.',
    ],
    [
      '{"a": 1,\n "b": {},\n "a": 2}',
      'E_JSON f.json:3:2: the same key twice in one object, expected each key once, got a second "a"; the first is in line 1. ' +
        'Try removing the wrong one: programs differ in which they take.',
    ],
    [
      '{"a": 1, "\\u0061": 2}',
      'E_JSON f.json:1:10: the same key twice in one object, expected each key once, got a second "a"; the first is in line 1. Try removing the wrong one: programs differ in which they take.',
    ],
  ])('%j', (text, says) => {
    expect(refused(text)).toBe(says);
  });

  it('tells conflict markers as what they are, with the line of the first', () => {
    const text = '{\n  "a": {\n<<<<<<< HEAD\n    "b": 1\n=======\n    "b": 2\n>>>>>>> theirs\n  }\n}\n';
    const says =
      'E_JSON f.json:3:1: a merge conflict that was not resolved, expected no conflict markers, got <<<<<<<. ' +
      'Try resolving the merge in the file, then the same command again.';
    expect(refused(text)).toBe(says);
    expect(refused(text.replaceAll('\n', '\r\n'))).toBe(says);
    expect(plain('"<<<<<<< HEAD"')).toBe('<<<<<<< HEAD');
  });

  it('counts columns in characters', () => {
    expect(refused('["\u{1f600}\u{1f600}", x]')).toBe('E_JSON f.json:1:8: not valid JSON, expected a value, got x.');
  });

  it('takes code, limits and exit code from its caller', () => {
    const limits = (text: string, o: Parameters<typeof parseJson>[2]): string => message(() => parseJson(text, 'f', { code: 'E_X', ...o }));
    expect(limits('[[[]]]', { maxDepth: 2 })).toBe(
      'E_X f:1:3: objects or arrays too deep within each other, expected at most 2, got more.',
    );
    expect(limits('[[]]', { maxDepth: 2 })).toBe('accepted');
    expect(limits('[1,2,3]', { maxValues: 3 })).toBe('E_X f:1:6: too many values, expected at most 3, got more.');
    expect(limits('[1,2,3]', { maxValues: 4 })).toBe('accepted');
    expect(limits('[1]', { maxChars: 2 })).toBe('E_X f: too long, expected at most 2 characters, got 3.');
    expect(limits('[['.repeat(1000), { maxDepth: 1e9 })).toBe(
      'E_X f:1:513: objects or arrays too deep within each other, expected at most 512, got more.',
    );
    expect(() => parseJson('x', 'f', { exitCode: 3 })).toThrow(expect.objectContaining({ exitCode: 3 }));
  });

  it('takes only UTF-8, and keeps a byte order mark for the parser to refuse', () => {
    const bytes = (...b: number[]): string => message(() => parseJsonBytes(Uint8Array.from(b), 'f'));
    expect(bytes(0x22, 0xff, 0x22)).toBe('E_JSON f: not a text, expected UTF-8, got bytes that are none (it begins with 22 ff 22).');
    expect(bytes(0xef, 0xbb, 0xbf, 0x31)).toContain('begins with a byte order mark');
    expect(bytes(0xed, 0xa0, 0x80)).toContain('not a text');
    expect(message(() => decodeUtf8(new Uint8Array(9), 'f', { maxChars: 8 }))).toBe('E_JSON f: too long, expected at most 8 bytes, got 9.');
    expect(toPlain(parseJsonBytes(new TextEncoder().encode('"ä\u{1f600}"'), 'f'))).toBe('ä\u{1f600}');
  });

  it('never accepts what JSON.parse refuses, and throws nothing but its own error', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...'{}[]:,"\\u0019aeE+-.tfn \n', 'true', 'null', '\ud800', '\0', '1e5', '"k"'), { maxLength: 12 }),
        (parts) => {
          const text = parts.join('');
          const ours = message(() => parseJson(text, 'f'));
          if (ours === 'accepted') expect(() => JSON.parse(text)).not.toThrow();
          else expect(ours).toMatch(/^E_JSON f:\d+:\d+: /);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('typed readers', () => {
  const root = parseJson(
    '{\n  "size": -1,\n  "name": "",\n  "list": [1, "x"],\n  "kind": "onxn",\n  "big": 9007199254740993,\n  "eight": 8.0,\n  "none": null\n}',
    'f',
    { code: 'E_LOCK' },
  );

  it.each([
    [
      () => root.field('size').integer({ min: 0 }),
      'E_LOCK f:2:11: "size" is not right, expected a whole number, 0 to 9007199254740991, got -1.',
    ],
    [
      () => root.field('big').integer(),
      'E_LOCK f:6:10: "big" is not right, expected a whole number, -9007199254740991 to 9007199254740991, got 9007199254740993.',
    ],
    [
      () => root.field('eight').integer({ min: 0, max: 9 }),
      'E_LOCK f:7:12: "eight" is not right, expected a whole number, 0 to 9, got 8.0.',
    ],
    [
      () => root.field('list').array()[1].integer({ min: 0, max: 9 }),
      'E_LOCK f:4:15: entry 2 of "list" is not right, expected a whole number, 0 to 9, got "x".',
    ],
    [() => root.field('none').string(), 'E_LOCK f:8:11: "none" is not right, expected a string, got null.'],
    [() => root.field('name').string({ min: 1 }), 'E_LOCK f:3:11: "name" is too short, expected at least 1 characters, got "".'],
    [() => root.field('kind').string({ max: 3 }), 'E_LOCK f:5:11: "kind" is too long, expected at most 3 characters, got 4.'],
    [
      () => root.field('kind').string({ pattern: /^\d$/, expected: 'a digit' }),
      'E_LOCK f:5:11: "kind" is not right, expected a digit, got "onxn".',
    ],
    [
      () => root.field('kind').oneOf(['onnx', 'npy']),
      'E_LOCK f:5:11: "kind" is not right, expected one of onnx, npy, got "onxn". Try "onnx".',
    ],
    [() => root.field('list').object(), 'E_LOCK f:4:11: "list" is not right, expected an object, got an array.'],
    [() => root.array(), 'E_LOCK f:1:1: the whole file is not right, expected an array, got an object.'],
    [() => root.field('size').boolean(), 'E_LOCK f:2:11: "size" is not right, expected true or false, got -1.'],
    [() => root.field('name').number(), 'E_LOCK f:3:11: "name" is not right, expected a number, got "".'],
    [() => root.field('list').array({ min: 3 }), 'E_LOCK f:4:11: "list" has too few entries, expected at least 3, got 2.'],
    [() => root.field('list').array({ max: 1 }), 'E_LOCK f:4:11: "list" has too many entries, expected at most 1, got 2.'],
    [
      () => root.field('digest'),
      'E_LOCK f:1:1: the whole file lacks a field, expected "digest", got "size", "name", "list", "kind", "big", "eight", "none".',
    ],
    [() => root.only('size', 'nmae', 'list'), 'E_LOCK f:3:3: an unknown field, expected one of size, nmae, list, got "name". Try "nmae".'],
  ])('%s', (work, says) => {
    expect(message(work)).toBe(says);
  });

  it('gives values, positions and what is not there', () => {
    expect(root.field('eight').integer({ fraction: true })).toBe(8);
    expect(root.field('list').array()[0].integer()).toBe(1);
    expect(root.field('list').array()[0].where).toBe('f:4:12');
    expect(root.optional('absent')).toBeUndefined();
    expect(root.optional('none')?.kind).toBe('null');
    expect(parseJson('-0', 'f').integer()).toBe(0);
    expect(parseJson('true', 'f').boolean()).toBe(true);
    const [list] = [root.field('list')];
    expect([list.start, list.end].map((at) => at - list.start)).toEqual([0, '[1, "x"]'.length]);
  });
});
