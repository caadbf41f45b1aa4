/**
 * What the front matter of a readme states about its model: Hugging Face's model card metadata, or the Caffe Model Zoo's keys. These are the
 * words of whoever wrote the readme; a bill of materials repeats them as such.
 */
import { LineCounter, parseDocument } from 'yaml';
import type { StatedFacts } from './facts.ts';

/** UTF-16 units of front matter that are read; cards of a few hundred languages stay below. */
const LONGEST = 65_536;
/** Entries of a list that are kept. */
const MOST = 50;
/** More of these within each other than a card has, and the parser works by recursion. */
const DEEPEST = 30;

/**
 * The statements of a readme, or why there are none. Values of another kind than expected are left out, as the front matter is written for
 * other readers.
 */
export function statedFacts(path: string, text: string): StatedFacts | { readonly why: string } {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  if (lines[0]?.trimEnd() !== '---') return { why: 'no front matter' };
  const end = lines.findIndex((line, i) => i > 0 && line.trimEnd() === '---');
  if (end < 0) return { why: 'its front matter has no end' };
  const yaml = lines.slice(1, end).join('\n');
  if (yaml.length > LONGEST) return { why: `its front matter has ${yaml.length} characters, at most ${LONGEST} are read` };
  if (tooDeep(yaml)) return { why: `its front matter is nested more than ${DEEPEST} deep` };
  const counter = new LineCounter();
  const document = parseDocument(yaml, { schema: 'core', lineCounter: counter, logLevel: 'silent' });
  const [problem] = document.errors;
  if (problem !== undefined) return { why: `its front matter is no YAML at line ${counter.linePos(problem.pos[0]).line + 1}` };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 20 });
  } catch {
    return { why: 'its front matter has too many aliases' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { why: 'its front matter is no list of keys' };
  const keys = new Map(Object.entries(value));
  const one = (key: string): string | undefined => texts(keys.get(key))[0];
  // Hugging Face writes `license: other` and the real one beside it.
  const written = texts(keys.get('license'));
  const named = one('license_name');
  const licences = named !== undefined && (written.length === 0 || written[0] === 'other') ? [named] : written;
  return {
    path,
    licences,
    licenceUrl: one('license_link'),
    task: one('pipeline_tag'),
    datasets: texts(keys.get('datasets')),
    baseModels: texts(keys.get('base_model')),
  };
}

/** A text or a list of texts; whatever else is there is left out. */
function texts(value: unknown): readonly string[] {
  const all = Array.isArray(value) ? value : [value];
  return all
    .filter((v): v is string => typeof v === 'string' && v.trim() !== '')
    .slice(0, MOST)
    .map((v) => v.trim());
}

/** Whether brackets or indentation go deeper than a card's do. */
function tooDeep(yaml: string): boolean {
  let open = 0;
  for (const char of yaml) {
    if (char === '[' || char === '{') open++;
    else if (char === ']' || char === '}') open--;
    if (open > DEEPEST) return true;
  }
  // `- - - -` nests a list with every dash
  return yaml.split('\n').some((line) => (/^[\s?:-]*/.exec(line)?.[0] ?? '').length > 4 * DEEPEST);
}
