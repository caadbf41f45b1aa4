/** Digests as the zoo writes them, and the two digests over all files of a model. */
import { sha256, sha256Bytes } from '../core/hash.ts';
import type { Sha256 } from './types.ts';

const SHA256 = /^sha256:[0-9a-f]{64}$/;

/** `sha256:` and 64 lower-case hex digits, exactly; anything else is undefined. */
export function parseSha256(text: string): Sha256 | undefined {
  return SHA256.test(text) ? (text as Sha256) : undefined;
}

/** The 64 hex digits of a digest. */
export const hexOf = (digest: Sha256): string => digest.slice('sha256:'.length);

/** A digest from 64 hex digits of either case; anything else is undefined. */
export function sha256Of(hex: string): Sha256 | undefined {
  return parseSha256(`sha256:${hex.toLowerCase()}`);
}

/**
 * Order by Unicode code point, which is that of the UTF-8 bytes. JavaScript's own comparison is by UTF-16 unit and puts an emoji before
 * U+FF5E, so that the digest over a sorted list would not be what other programs compute (facts 2.5 nr 5).
 */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for characters beyond U+FFFF, so they come behind all other units. */
const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);

/** A name and what it holds. */
export interface NamedDigest {
  readonly path: string;
  readonly digest: Sha256;
}

/**
 * SHA-256 over a line `HEX  PATH\n` for each file in order of path, which is `sha256sum`'s own output: anyone can compute it. Binds the
 * names, unlike {@link omsRoot}. Paths must hold no line ends (`checkFilePath`).
 */
export function treeDigest(files: readonly NamedDigest[]): Sha256 {
  return `sha256:${sha256(inOrder(files, (f) => `${hexOf(f.digest)}  ${f.path}\n`).join(''))}`;
}

/**
 * The subject digest of an OpenSSF Model Signing v1.0 signature over the same files, hashed whole with SHA-256: SHA-256 over the 32 bytes
 * of every file's digest in code-point order of the names (facts 2.5 nr 6).
 */
export function omsRoot(files: readonly NamedDigest[]): Sha256 {
  const bytes = new Uint8Array(files.length * 32);
  let at = 0;
  for (const hex of inOrder(files, (f) => hexOf(f.digest))) {
    for (let i = 0; i < 64; i += 2) bytes[at++] = Number.parseInt(hex.slice(i, i + 2), 16);
  }
  const root = Array.from(sha256Bytes(bytes), (b) => b.toString(16).padStart(2, '0')).join('');
  return `sha256:${root}`;
}

const inOrder = (files: readonly NamedDigest[], text: (file: NamedDigest) => string): string[] =>
  [...files].sort((a, b) => compareNames(a.path, b.path)).map(text);
