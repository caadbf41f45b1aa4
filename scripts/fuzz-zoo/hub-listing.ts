/** Answers of a hub and of GitHub: revision, listing and gist. What is accepted has hashes, sizes and addresses of the right form. */
import { nextPage, parseGist, parseListing, parseRevision } from '../../src/zoo/sources/hub-listing.ts';
import type { SourceFile } from '../../src/zoo/types.ts';
import type { FuzzTarget } from './target.ts';

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const [COMMIT, LONG] = ['c0ffee'.padEnd(40, '0'), 'ab'.repeat(32)];
const WHERE = 'hub.example/api';

function check(files: readonly SourceFile[]): void {
  for (const { url, size, claims } of files) {
    if (!/^https?:\/\/[^/@]+\//.test(url) || !URL.canParse(url)) throw new Error(`a bad address was taken: ${url}`);
    if (!Number.isSafeInteger(size) || size! < 0) throw new Error(`a bad size was taken: ${size}`);
    for (const { value } of claims) if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(value)) throw new Error(`a bad hash was taken: ${value}`);
  }
}

export const target: FuzzTarget = {
  name: 'hub-listing',
  seeds: () => [
    json({ id: 'o/n', sha: COMMIT, cardData: { license: 'mit' }, siblings: [{ rfilename: 'a' }] }),
    json([
      { type: 'directory', oid: COMMIT, size: 0, path: 'onnx' },
      {
        type: 'file',
        oid: COMMIT,
        size: 134,
        path: 'onnx/model.onnx',
        lfs: { oid: LONG, size: 102170624, pointerSize: 134 },
        xetHash: LONG,
      },
      { type: 'file', oid: COMMIT, size: 12, path: 'ä/config.json', lfs: null },
    ]),
    json({
      files: { 'readme.md': { filename: 'readme.md', size: 5, raw_url: `https://gist.example/o/abc/raw/${COMMIT}/readme.md` } },
      history: [{ version: COMMIT }],
    }),
  ],
  run(bytes) {
    const first = bytes.find((byte) => byte > 0x20);
    if (first === 0x5b) {
      const files = parseListing(bytes, WHERE, 'o/n', COMMIT);
      check(files);
      return `${files.length} listed`;
    }
    const text = new TextDecoder().decode(bytes.subarray(0, 200));
    const next = nextPage(text, new URL('https://hub.example/api'));
    if (next !== undefined && new URL(next).origin !== 'https://hub.example') throw new Error(`sent elsewhere: ${next}`);
    if (text.includes('history')) {
      check(parseGist(bytes, WHERE).files);
      return 'gist';
    }
    const { commit } = parseRevision(bytes, WHERE, 'main');
    if (!/^[0-9a-f]{40}$/.test(commit)) throw new Error(`a bad commit was taken: ${commit}`);
    return 'revision';
  },
  words: [
    '"type":"file"',
    '"lfs":',
    'null',
    '"oid":',
    '"size":',
    '-1',
    '1e21',
    '"path":',
    '"..',
    '__proto__',
    '"sha":',
    '"history":',
    '"raw_url":',
    'https://',
    '<',
    '>; rel="next"',
    '//evil.example/',
    '@',
  ],
};
