/** An entry of the Caffe Model Zoo: what its readme says of the weights, as far as it can be used. */
import { fail } from '../../core/errors.ts';
import { type Wrong, wrongPath } from '../paths.ts';
import type { Claim } from '../types.ts';
import { type FrontMatterValue, parseFrontMatter } from './front-matter.ts';

export interface CaffeEntry {
  /** A plain file name. */
  readonly caffemodel: string;
  /** `http:` or `https:`; absent where the weights should lie beside the readme. */
  readonly url?: string;
  /** Its sha1, if it is one. */
  readonly claims: readonly Claim[];
  readonly name?: string;
  readonly license?: string;
  /** One sentence each without full stop. */
  readonly notes: readonly string[];
}

/**
 * Reads a readme. A sha1 that is missing or none is no error, since readmes without are common: a note says that nothing vouches for the
 * weights then.
 *
 * @param where the file in messages, which say `where:LINE`
 * @throws SecateurError E_METADATA
 */
export function parseCaffeReadme(bytes: Uint8Array, where: string): CaffeEntry {
  const matter = parseFrontMatter(bytes, where);
  const refuse = (value: FrontMatterValue, what: string, expected: string): never =>
    fail({ code: 'E_METADATA', where: `${where}:${value.line}`, what, expected, got: JSON.stringify(value.text) });
  const file = matter.get('caffemodel');
  if (file === undefined) {
    const expected = 'caffemodel: the name of the file';
    return fail({ code: 'E_METADATA', where: `${where}:1`, what: 'the front matter names no file', expected });
  }
  const wrong: Partial<Wrong> | undefined = file.text.includes('/') || /^readme\.md$/i.test(file.text) ? {} : wrongPath(file.text);
  if (wrong !== undefined)
    refuse(file, 'caffemodel must be a plain file name', wrong.expected ?? 'the name of the weights, without folders');
  const url = matter.get('caffemodel_url');
  const notes: string[] = [];
  const address = url && weightsAddress(url, refuse);
  const claims = claimsOf(matter.get('sha1'), where, notes);
  return { caffemodel: file.text, url: address, claims, name: matter.get('name')?.text, license: matter.get('license')?.text, notes };
}

function weightsAddress(value: FrontMatterValue, refuse: (value: FrontMatterValue, what: string, expected: string) => never): string {
  let url: URL;
  try {
    url = new URL(value.text);
  } catch {
    return refuse(value, 'caffemodel_url is no address', 'https://...');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return refuse(value, 'caffemodel_url does not lead into the web', 'https://...');
  if (url.username !== '' || url.password !== '') return refuse(value, 'caffemodel_url holds a password', 'an address that all may read');
  url.hash = '';
  return url.href;
}

function claimsOf(sha1: FrontMatterValue | undefined, where: string, notes: string[]): Claim[] {
  if (sha1 === undefined) {
    notes.push(`${where} gives no sha1: there is nothing to compare the weights with`);
    return [];
  }
  const { text, line } = sha1;
  if (/^[0-9a-f]{40}$/i.test(text)) return [{ from: 'caffe-readme', algorithm: 'sha1', value: text.toLowerCase() }];
  const found = /^[0-9a-f]*$/i.test(text) ? `has ${text.length} digits, not 40` : `is none (${text.slice(0, 60)})`;
  notes.push(`the sha1 in ${where}:${line} ${found}: there is nothing to compare the weights with`);
  return [];
}
