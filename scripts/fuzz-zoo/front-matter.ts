/** Readmes of the Caffe Model Zoo: what is accepted is a plain file name, an address of the web and a sha1 or none. */
import { wrongPath } from '../../src/zoo/paths.ts';
import { parseCaffeReadme } from '../../src/zoo/sources/caffe-entry.ts';
import { KEYS } from '../../src/zoo/sources/front-matter.ts';
import type { FuzzTarget } from './target.ts';

const readme = (...lines: string[]): Uint8Array => new TextEncoder().encode(`---\n${lines.join('\n')}\n---\n\n# A network\n`);

export const target: FuzzTarget = {
  name: 'front-matter',
  seeds: () => [
    readme('name: Digits', 'caffemodel: d.caffemodel', 'caffemodel_url: http://h.example/d', 'license: MIT', `sha1: ${'0a'.repeat(20)}`),
    readme('caffemodel: "d.caffemodel" # the file', "caffemodel_url: 'https://h.example/d?dl=1'", 'sha1: 0123', 'gist_id: abc'),
    readme('caffemodel: d', 'authors:', '  - one', '  - two', 'tags: [a, b]', '# note', 'caffe_commit: x'),
    readme('caffemodel: ../../.bashrc', 'caffemodel_url: file:///etc/passwd'),
    readme('a: &a [x, x]', 'caffemodel: *a', 'name: !!python/object:os.system x', 'license: |', '  text'),
  ],
  run(bytes) {
    const { caffemodel, url, claims } = parseCaffeReadme(bytes, 'readme.md');
    if (caffemodel.includes('/') || wrongPath(caffemodel) !== undefined) throw new Error(`a bad name was taken: ${caffemodel}`);
    if (url !== undefined && !/^https?:\/\/[^@/]+(\/|\?|$)/.test(url)) throw new Error(`a bad address was taken: ${url}`);
    for (const { value } of claims) if (!/^[0-9a-f]{40}$/.test(value)) throw new Error(`a bad sha1 was taken: ${value}`);
    return claims.length === 0 ? 'without sha1' : 'with sha1';
  },
  words: [
    ...KEYS,
    '---\n',
    ': ',
    '\n',
    '\r',
    '\t',
    ' #',
    '"',
    "'",
    '\\',
    '&a',
    '*a',
    '!!str ',
    '|',
    '>',
    '- ',
    '..',
    '/',
    '@',
    '%2f',
    '\xef\xbb\xbf',
    '<<<<<<<',
  ],
};
