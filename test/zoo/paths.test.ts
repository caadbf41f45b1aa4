import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkModelName, checkNameTwins } from '../../src/zoo/names.ts';
import { checkFilePath, checkTwins, wrongPath } from '../../src/zoo/paths.ts';
import { message } from './message.ts';

describe('paths of files', () => {
  const takes = [
    'model.onnx',
    'onnx/model.onnx',
    'a b/c d.txt',
    '.hidden',
    '...x',
    'ä/日本/\u{1f600}.bin',
    'console.txt',
    'com10',
    'comma',
    '.gitignore',
    '.gitattributes',
    'x'.repeat(255),
    '~',
  ];
  it.each(takes)('takes %j', (path) => {
    expect(checkFilePath(path, 'f')).toBe(path);
  });

  const long = 'x'.repeat(256);
  it.each([
    ['', 'a path is empty, expected the name of a file, got "".'],
    ['../../.bashrc', 'a path leads out of its folder, expected a path without .., got "../../.bashrc".'],
    ['sub/../../../etc/passwd', 'a path leads out of its folder, expected a path without .., got "sub/../../../etc/passwd".'],
    ['a/..', 'a path leads out of its folder, expected a path without .., got "a/..".'],
    ['./a', 'a path has the name . in it, expected names of files and folders, got "./a".'],
    ['/etc/passwd', 'a path is absolute, expected a relative path, got "/etc/passwd".'],
    ['//host/share', 'a path is absolute, expected a relative path, got "//host/share".'],
    ['C:x', 'a path holds a colon, expected no drive and no stream of Windows, got "C:x".'],
    ['C:/x', 'a path holds a colon, expected no drive and no stream of Windows, got "C:/x".'],
    ['model.onnx:hidden', 'a path holds a colon, expected no drive and no stream of Windows, got "model.onnx:hidden".'],
    ['a\\b', 'a path holds a backslash, expected names joined by /, got "a\\\\b".'],
    ['..\\..\\x', 'a path holds a backslash, expected names joined by /, got "..\\\\..\\\\x".'],
    ['a\0b', 'a path holds a control character, expected a name that can be printed, got "a\\u0000b".'],
    ['a\nb', 'a path holds a control character, expected a name that can be printed, got "a\\nb".'],
    ['a\u009bb', 'a path holds a control character, expected a name that can be printed, got "a\\u009bb".'],
    [
      'a\u202exnno.bin',
      'a path holds a mark that turns the direction of writing, expected a name that reads as it is, got "a\\u202exnno.bin".',
    ],
    ['a\ud800', 'a path is no valid Unicode, expected whole characters, got "a\\ud800".'],
    ['a//b', 'a path has an empty name in it, expected single slashes, and none at the end, got "a//b".'],
    ['a/', 'a path has an empty name in it, expected single slashes, and none at the end, got "a/".'],
    ['a.', 'a name ends in a dot or blank, which Windows drops, expected another last character, got "a.".'],
    ['a /b', 'a name ends in a dot or blank, which Windows drops, expected another last character, got "a /b".'],
    ['CON', 'a name is a device of Windows, expected another name than CON, got "CON".'],
    ['sub/nul.onnx', 'a name is a device of Windows, expected another name than NUL, got "sub/nul.onnx".'],
    ['com1.tar.gz/x', 'a name is a device of Windows, expected another name than COM1, got "com1.tar.gz/x".'],
    ['lpt\u00b9', 'a name is a device of Windows, expected another name than LPT\u00b9, got "lpt\u00b9".'],
    ['aux .txt', 'a name is a device of Windows, expected another name than AUX, got "aux .txt".'],
    [long, `a name is too long, expected at most 255 bytes between slashes, got "${long.slice(0, 120)}...".`],
    ['ä'.repeat(128), `a name is too long, expected at most 255 bytes between slashes, got "${'ä'.repeat(120)}...".`],
    [`${'a/'.repeat(32)}b`, `a path has too many folders, expected at most 32 names, got "${'a/'.repeat(32)}b".`],
    [`${'a/'.repeat(512)}b`, `a path is too long, expected at most 1024 bytes, got "${'a/'.repeat(60)}...".`],
    ['.git/config', 'a path goes into a folder of Git, whose files can run commands, expected the files of a model, got ".git/config".'],
    [
      'sub/.GIT/hooks/post-checkout',
      'a path goes into a folder of Git, whose files can run commands, expected the files of a model, got "sub/.GIT/hooks/post-checkout".',
    ],
    ['git~1/config', 'a path goes into a folder of Git, whose files can run commands, expected the files of a model, got "git~1/config".'],
    [
      '.g\u200cit/config',
      'a path goes into a folder of Git, whose files can run commands, expected the files of a model, got ".g\u200cit/config".',
    ],
  ])('refuses %j', (path, says) => {
    expect(message(() => checkFilePath(path, 'models.lock:3:7'))).toBe(`E_PATH models.lock:3:7: ${says}`);
  });

  it('never takes what resolves outside of its folder', () => {
    const piece = fc.constantFrom('..', '.', '', 'a', '/', '\\', 'C:', 'CON', ' ', '\0', '%2e', '\uff0e\uff0e');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.constantFrom('/', '', '\\'), (parts, by) => {
        const path = parts.join(by);
        if (wrongPath(path) === undefined) expect(new URL(encodeURI(path), 'file:///in/this/').pathname).toMatch(/^\/in\/this\/./);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('paths beside each other', () => {
  it.each([
    [['a', 'b', 'a'], 'a path stands twice in the list, expected no "a" beside it, got "a".'],
    [
      ['Model.bin', 'model.bin'],
      'two paths are the same to some disks, which ignore case or spelling of accents, expected no "Model.bin" beside it, got "model.bin".',
    ],
    [
      ['\u00e4', 'a\u0308'],
      'two paths are the same to some disks, which ignore case or spelling of accents, expected no "\u00e4" beside it, got "a\u0308".',
    ],
    [
      ['stra\u00dfe', 'STRASSE'],
      'two paths are the same to some disks, which ignore case or spelling of accents, expected no "stra\u00dfe" beside it, got "STRASSE".',
    ],
    [
      ['a\u200b', 'a'],
      'two paths are the same to some disks, which ignore case or spelling of accents, expected no "a\u200b" beside it, got "a".',
    ],
    [
      ['\u212a', 'k'],
      'two paths are the same to some disks, which ignore case or spelling of accents, expected no "\u212a" beside it, got "k".',
    ],
    [['a', 'a/b'], 'a path takes another for a folder, expected no "a" beside it, got "a/b".'],
    [['x/y/z', 'x/Y'], 'a path is also the folder of another, expected no "x/y/z" beside it, got "x/Y".'],
    [
      ['A/x', 'a/y'],
      'two folders are the same to some disks, which ignore case or spelling of accents, expected no "A/x" beside it, got "a/y".',
    ],
  ])('refuses %j', (paths, says) => {
    expect(message(() => checkTwins(paths, 'f'))).toBe(`E_PATH f: ${says}`);
  });

  it('takes others, and says where the second of a pair was read', () => {
    expect(message(() => checkTwins(['a/x', 'a/y', 'b', 'ab', 'a b'], 'f'))).toBe('accepted');
    expect(message(() => checkTwins(['a', 'b', 'A'], (i) => `f:${i + 1}:1`))).toMatch(/^E_PATH f:3:1: two paths are/);
  });

  it('finds a clash whatever the order', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(['a/b', 'c', 'd/e/f', 'D/e/f', 'g'], { minLength: 5 }), (paths) => {
        expect(message(() => checkTwins(paths, 'f'))).toMatch(/^E_PATH f: two (path|folder)s are the same/);
      }),
    );
  });
});

describe('names of models', () => {
  it.each(['resnet50', 'bvlc/caffenet', 'a/b/c', '123', '7z', 'x'.repeat(128), 'a..b', 'v1.2_x-y'])('takes %j', (name) => {
    expect(checkModelName(name, 'f')).toBe(name);
  });

  const shape = "a model's name is not right, expected letters, digits, dots, _ and - (first a letter or digit), in parts joined by /";
  it.each([
    ['', 'a model has no name, expected a name such as resnet50 or team/resnet50, got "".'],
    ['__proto__', `${shape}, got "__proto__".`],
    ['.secateur', `${shape}, got ".secateur".`],
    ['..', `${shape}, got "..".`],
    ['a/../b', `${shape}, got "a/../b".`],
    ['a//b', `${shape}, got "a//b".`],
    ['/a', `${shape}, got "/a".`],
    ['a b', `${shape}, got "a b".`],
    ['modèle', `${shape}, got "modèle".`],
    ['a\n', `${shape}, got "a\\n".`],
    ['a\\b', `${shape}, got "a\\\\b".`],
    ['a/b/c/d', 'a model\'s name has too many parts, expected at most 3, joined by /, got "a/b/c/d".'],
    ['nul', 'a model\'s name cannot be a folder: a name is a device of Windows, expected another name than NUL, got "nul".'],
    ['a/Com3.x', 'a model\'s name cannot be a folder: a name is a device of Windows, expected another name than COM3, got "a/Com3.x".'],
    [
      'a.',
      'a model\'s name cannot be a folder: a name ends in a dot or blank, which Windows drops, expected another last character, got "a.".',
    ],
    ['net.sig/x', 'a part of a model\'s name ends like a signature, expected another end than .sig, got "net.sig/x".'],
    ['x'.repeat(129), `a model's name is too long, expected at most 128 characters, got "${'x'.repeat(128)}...".`],
  ])('refuses %j', (name, says) => {
    expect(message(() => checkModelName(name, 'models.json:2:5'))).toBe(`E_NAME models.json:2:5: ${says}`);
  });

  it('refuses names that clash on a disk', () => {
    expect(message(() => checkNameTwins(['Net', 'net'], 'f'))).toBe(
      'E_NAME f: two model names are the same to some disks, which ignore case or spelling of accents, expected no "Net" beside it, got "net".',
    );
    expect(message(() => checkNameTwins(['a/b', 'a'], 'f'))).toBe(
      'E_NAME f: a model name is also the folder of another, expected no "a/b" beside it, got "a".',
    );
  });
});
