/**
 * models.lock again, past the syntax: the input decides which fields of a good lock are replaced, dropped or doubled, so that every check
 * of a field sees wrong values, and half of the time the digests over the files are made to fit.
 */
import { compareNames, omsRoot, parseSha256, treeDigest } from '../../src/zoo/digest.ts';
import { parseLock } from '../../src/zoo/lock.ts';
import { writeLock } from '../../src/zoo/lock-write.ts';
import { target as lock, sampleLocks } from './lock.ts';
import type { FuzzTarget } from './target.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const VALUES: readonly Json[] = [
  ...[null, true, false, 0, -1, 1, 2, 0.5, 1e21, 9007199254740992, '', ' ', [], {}, [[]], [null], { a: 1 }],
  ...[
    'sha256:',
    `sha256:${'0'.repeat(64)}`,
    `sha256:${'F'.repeat(64)}`,
    `sha1:${'0'.repeat(40)}`,
    'main',
    'unversioned',
    `commit:${'0'.repeat(40)}`,
  ],
  ...[
    '../x',
    '/etc/passwd',
    'C:x',
    'a\\b',
    'a\0b',
    'CON',
    'x.',
    '.git/config',
    'ONNX/model.onnx',
    'onnx',
    'onnx/model.onnx/x',
    'é',
    'e\u0301',
  ],
  ...[
    '\u202e',
    '\u001b[31m',
    '\ud800',
    'x'.repeat(5000),
    '__proto__',
    'constructor',
    'toString',
    'javascript:x',
    'https://u:p@h/',
    'https://[',
    'file:///x',
  ],
  ...[
    'hf:o/r',
    'hf:o/r@main',
    'path:../x',
    'caffe:gist/0',
    'signed',
    'pinned-on-first-use',
    'matched-published-claim',
    'sha1',
    'md5',
    'git-blob',
    'user',
  ],
];

/** Reads an input as numbers; zero when it is used up. */
export class Choices {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  below(n: number): number {
    const value = ((this.#bytes[this.#at] ?? 0) << 8) | (this.#bytes[this.#at + 1] ?? 0);
    this.#at += 2;
    return value % n;
  }

  text(): string {
    const from = this.#at;
    this.#at += 1 + this.below(24);
    return new TextDecoder().decode(this.#bytes.subarray(from + 2, this.#at));
  }
}

export function edit(value: Json, choose: Choices): Json {
  const children = value !== null && typeof value === 'object' ? Object.keys(value) : [];
  // The deeper, the more there is to hit.
  if (children.length === 0 || choose.below(8) === 0) return replaced(value, choose);
  const key = children[choose.below(children.length)];
  if (Array.isArray(value)) {
    const list = [...value];
    const at = Number(key);
    const how = choose.below(10);
    if (how === 0) list.splice(at, 1);
    else if (how === 1) list.push(list[at]);
    else list[at] = edit(list[at], choose);
    return list;
  }
  const fields = Object.entries(value as { [key: string]: Json });
  const how = choose.below(10);
  const changed = fields.flatMap(([name, field]): [string, Json][] => {
    if (name !== key) return [[name, field]];
    if (how === 0) return [];
    if (how === 1) return [[String(VALUES[choose.below(VALUES.length)]), field]];
    return [[name, edit(field, choose)]];
  });
  return Object.fromEntries(changed);
}

function replaced(value: Json, choose: Choices): Json {
  if (typeof value === 'string' && value !== '' && choose.below(3) === 0) {
    const at = choose.below(value.length);
    return value.slice(0, at) + choose.text() + value.slice(at + choose.below(3));
  }
  return choose.below(6) === 0 ? choose.text() : VALUES[choose.below(VALUES.length)];
}

/** Makes the digests over the files those of the files, where they have paths and digests at all. */
function refit(value: Json): Json {
  const models = (value as { models?: Json } | null)?.models;
  if (models === null || typeof models !== 'object' || Array.isArray(models)) return value;
  for (const model of Object.values(models)) {
    const files = (model as { files?: Json } | null)?.files;
    if (!Array.isArray(files)) continue;
    const named = files.flatMap((file) => {
      const { path, digest } = (file ?? {}) as { path?: Json; digest?: Json };
      const known = typeof digest === 'string' ? parseSha256(digest) : undefined;
      return typeof path === 'string' && known !== undefined ? [{ path, digest: known }] : [];
    });
    named.sort((a, b) => compareNames(a.path, b.path));
    Object.assign(model as object, { treeDigest: treeDigest(named), omsRoot: omsRoot(named) });
  }
  return value;
}

export const target: FuzzTarget = {
  name: 'lock-fields',
  seeds: () => [32, 64, 128].map((size) => Uint8Array.from({ length: size }, (_, i) => (i * 73 + size) & 0xff)),
  run(bytes) {
    const choose = new Choices(bytes);
    const samples = sampleLocks();
    let value = JSON.parse(writeLock(samples[1 + choose.below(samples.length - 1)])) as Json;
    for (let n = 1 + choose.below(3); n > 0; n--) value = edit(value, choose);
    const text = JSON.stringify(choose.below(2) === 0 ? refit(value) : value);
    // JSON.stringify writes lone surrogates as escapes, which are refused as such.
    const read = parseLock(text);
    const again = writeLock(read);
    if (writeLock(parseLock(again)) !== again) throw new Error('written and read again, it is another lock');
    return undefined;
  },
  words: lock.words,
};
