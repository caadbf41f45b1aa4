/**
 * The front matter of a readme of the Caffe Model Zoo: `key: value` lines between two lines `---`. The format is written by hand by many
 * people, so what is read is narrow and said with its line: one level, one line a value, no anchors, tags or nesting. What is not one of
 * the known keys is passed over.
 */
import { fail } from '../../core/errors.ts';

/** Keys that Caffe's own script and documentation know (docs/model_zoo.md, scripts/download_model_binary.py). */
export const KEYS = ['name', 'caffemodel', 'caffemodel_url', 'license', 'sha1', 'caffe_commit', 'gist_id'] as const;
export type Key = (typeof KEYS)[number];

export interface FrontMatterValue {
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

export type FrontMatter = ReadonlyMap<Key, FrontMatterValue>;

/** Readmes are pages of text. */
export const MAX_README_BYTES = 2 ** 20;
const MAX_LINES = 200;
const MAX_LINE = 4096;

/**
 * The known keys of a readme, as text whatever they look like.
 *
 * @param where the file in messages, which say `where:LINE`
 * @throws SecateurError E_METADATA
 */
export function parseFrontMatter(bytes: Uint8Array, where: string): FrontMatter {
  const at = (line: number): string => `${where}:${line}`;
  const refuse: Refuse = (line, what, expected, got, hint) =>
    fail({ code: 'E_METADATA', where: at(line), what, expected, got: got === undefined ? undefined : quoted(got), hint });
  const lines = linesOf(bytes, refuse);
  const known = new Map<Key, FrontMatterValue>();
  const seen = new Map<string, number>();
  let end: number | undefined;
  // Lines further in than a key belong to it; those of keys that nobody here reads are passed over.
  let skipping = false;
  for (let i = 1; i < lines.length && end === undefined; i++) {
    const [line, number] = [lines[i], i + 1];
    if (i > MAX_LINES) refuse(number, 'the front matter does not end', `--- within ${MAX_LINES} lines`);
    if (line.length > MAX_LINE) refuse(number, 'a line is too long', `at most ${MAX_LINE} characters`, line);
    if (/^---[ \t]*$/.test(line)) {
      end = i;
      break;
    }
    if (/^[ \t]*(#|$)/.test(line)) continue;
    if (/^[ \t]/.test(line) || /^- /.test(line)) {
      if (!skipping) refuse(number, 'an indented line', 'key: value on one line each', line);
      continue;
    }
    if (/^(\.\.\.|%|\? |[&*!|>{[])/.test(line)) refuse(number, 'YAML beyond key: value is not read', 'key: value', line);
    const pair = /^([A-Za-z_][\w. -]{0,63}?|"[^"]{1,64}"|'[^']{1,64}')[ \t]*:(?:[ \t]+(.*)|)$/s.exec(line);
    if (pair === null) {
      const hint = /^<{7}|^={7}|^>{7}/.test(line) ? 'to finish the merge that left this mark' : undefined;
      refuse(number, 'not a line of front matter', 'key: value', line, hint);
    }
    const name = pair![1].replace(/^["']|["']$/g, '');
    const before = seen.get(name);
    if (before !== undefined) refuse(number, `the key ${name} stands twice`, `one, as on line ${before}`, line);
    seen.set(name, number);
    skipping = !isKey(name);
    if (!isKey(name)) continue;
    const text = scalar(pair![2] ?? '', number, name, refuse);
    if (text !== undefined) known.set(name, { text, line: number });
  }
  if (end === undefined) refuse(1, 'the front matter does not end', 'a second line ---');
  return known;
}

type Refuse = (line: number, what: string, expected?: string, got?: string, hint?: string) => never;

const isKey = (name: string): name is Key => (KEYS as readonly string[]).includes(name);

function linesOf(bytes: Uint8Array, refuse: Refuse): string[] {
  if (bytes.length > MAX_README_BYTES) refuse(1, 'the readme is too long', `at most ${MAX_README_BYTES} bytes`, `${bytes.length} bytes`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    return refuse(1, 'the readme is not a text', 'UTF-8');
  }
  const lines = text.split(/\r\n|\n|\r/);
  const zero = lines.findIndex((line) => /(?!\t)[\p{Cc}\u2028\u2029]/u.test(line));
  if (zero >= 0 && zero <= MAX_LINES) refuse(zero + 1, 'a control character', 'text', lines[zero]);
  if (/^---[ \t]*$/.test(lines[0])) return lines;
  const html = /^\s*(<!doctype|<html)/i.test(text);
  const hint = html ? 'the address of the file itself (raw), since this is a web page' : undefined;
  return refuse(1, 'the readme has no front matter', 'a first line ---', lines[0], hint);
}

/** The text of a value on one line; undefined for an empty one. */
function scalar(rest: string, line: number, key: string, refuse: Refuse): string | undefined {
  const text = rest.trim();
  const first = text[0];
  if (first === '"' || first === "'") return unquoted(text, first, line, key, refuse);
  const plain = /^#/.test(text) ? '' : text.replace(/[ \t]+#.*$/, '');
  if (plain === '' || plain === '~' || plain === 'null') return undefined;
  if (/^[&*!|>{}[\]%@`,]/.test(plain) || /^[-?:]( |$)/.test(plain)) {
    return refuse(line, `${key} is not a plain text`, 'a text on one line; anchors, tags, lists and blocks are not read', plain);
  }
  if (/: |:$/.test(plain)) return refuse(line, `${key} holds a second key`, 'a text without ": ", or in quotes', plain);
  return plain;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\', '"': '"', '/': '/', t: '\t', n: '\n' };

function unquoted(text: string, quote: string, line: number, key: string, refuse: Refuse): string | undefined {
  let value = '';
  let i = 1;
  for (; i < text.length; i++) {
    const c = text[i];
    if (c === quote && quote === "'" && text[i + 1] === "'") value += text[++i];
    else if (c === quote) break;
    else if (c === '\\' && quote === '"') {
      const escaped = ESCAPES[text[++i]];
      if (escaped === undefined) return refuse(line, `${key} holds an escape that is not read`, '\\\\ \\" \\/ \\t or \\n', text);
      value += escaped;
    } else value += c;
  }
  if (i >= text.length) return refuse(line, `${key} has no closing quote`, quote, text);
  if (!/^([ \t]+#.*|[ \t]*)$/.test(text.slice(i + 1))) return refuse(line, `${key} goes on behind its closing quote`, 'nothing', text);
  return value === '' ? undefined : value;
}

const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
