/**
 * What the front matter of a readme states about its model: Hugging Face's model card metadata, or the Caffe Model Zoo's keys. These are the
 * words of whoever wrote the readme; a bill of materials repeats them as such.
 *
 * Not a YAML reader: a stranger's YAML can make one slow or overflow its stack (fuzzing found both), and six keys at the left margin with a
 * text or a list of texts are all that is wanted. Everything else is passed over.
 */
import type { StatedFacts } from './facts.ts';

/** UTF-16 units of front matter that are read; cards of a few hundred languages stay below. */
const LONGEST = 65_536;
/** Entries of a list that are kept. */
const MOST = 50;

const KEYS = ['license', 'license_name', 'license_link', 'pipeline_tag', 'datasets', 'base_model'] as const;
type Key = (typeof KEYS)[number];

/**
 * The statements of a readme, or why there are none. Values of another form than a text or a list of texts are left out, as the front matter is
 * written for other readers.
 */
export function statedFacts(path: string, text: string): StatedFacts | { readonly why: string } {
  if (!/^\ufeff?---[ \t]*\r?\n/.test(text)) return { why: 'no front matter' };
  const lines = text.slice(0, LONGEST).split(/\r?\n/);
  const end = lines.findIndex((line, i) => i > 0 && /^---[ \t]*$/.test(line));
  if (end < 0)
    return { why: text.length > LONGEST ? `its front matter does not end within ${LONGEST} characters` : 'its front matter has no end' };
  const values = readKeys(lines.slice(1, end));
  const one = (key: Key): string | undefined => values.get(key)?.[0];
  // Hugging Face writes `license: other` and the real one beside it.
  const written = values.get('license') ?? [];
  const named = one('license_name');
  return {
    path,
    licences: named !== undefined && (written.length === 0 || written[0] === 'other') ? [named] : written,
    licenceUrl: one('license_link'),
    task: one('pipeline_tag'),
    datasets: values.get('datasets') ?? [],
    baseModels: values.get('base_model') ?? [],
  };
}

/** The first of equal keys counts, as for a person who reads from the top. */
function readKeys(lines: readonly string[]): Map<Key, readonly string[]> {
  const values = new Map<Key, readonly string[]>();
  for (let i = 0; i < lines.length; i++) {
    const found = /^([a-z_]{1,20}):(?:[ \t]+(.*))?$/.exec(lines[i]);
    const key = KEYS.find((known) => known === found?.[1]);
    if (found === null || key === undefined || values.has(key)) continue;
    const rest = withoutComment(found[2] ?? '').trim();
    const texts = rest === '' ? listBelow(lines, i + 1) : rest.startsWith('[') ? inlineList(rest) : [rest];
    values.set(
      key,
      texts
        .slice(0, MOST)
        .map(plain)
        .filter((value) => value !== undefined),
    );
  }
  return values;
}

/** `- a` lines below a key, as far as they go on; further indentation within an entry makes it something else than a text. */
function listBelow(lines: readonly string[], from: number): string[] {
  const entries: string[] = [];
  for (let i = from; i < lines.length && entries.length < MOST; i++) {
    if (/^[ \t]*(#.*)?$/.test(lines[i])) continue;
    const entry = /^([ ]{0,8})-[ \t]+(.+)$/.exec(lines[i]);
    if (entry === null) break;
    entries.push(withoutComment(entry[2]).trim());
  }
  return entries;
}

/** `[a, "b"]` on one line; nested ones and texts with commas in quotes are not taken. */
function inlineList(text: string): string[] {
  const inner = /^\[([^[\]{}]*)\]$/.exec(text)?.[1];
  return inner === undefined ? [] : inner.split(',').map((part) => part.trim());
}

const withoutComment = (text: string): string => (/^["']/.test(text) ? text : text.replace(/(^|[ \t])#.*$/, ''));

/** A text without its quotes; undefined for what YAML takes for something else: numbers, nothing, anchors, mappings, blocks, escapes. */
function plain(text: string): string | undefined {
  const quoted = /^(?:"([^"\\]*)"|'([^']*)')$/.exec(text);
  const value = quoted === null ? text : (quoted[1] ?? quoted[2]);
  if (value.trim() === '') return undefined;
  if (quoted !== null) return value.trim();
  if (/^[&*!|>{}[\]%@`"',?]/.test(value) || /^[-:]( |$)/.test(value) || /: |:$/.test(value)) return undefined;
  return /^(~|null|true|false|[-+.]?\d[\d._eE+-]*)$/i.test(value) ? undefined : value;
}
