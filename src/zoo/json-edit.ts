/**
 * Small changes to a JSON text that a person wrote: fields are put in, replaced and taken out where they stand, everything else keeps its
 * order and layout. Two spaces where the text shows no other habit.
 */
import type { JsonNode } from './strict-json.ts';

/** The text with a field of an object set; a new field comes last. `object` must have been read from this very text. */
export function setField(text: string, object: JsonNode, key: string, value: unknown): string {
  const old = object.optional(key);
  if (old !== undefined) return splice(text, old.start, old.end, laidOut(text, value, indentAt(text, old.keyStart)));
  const field = (indent: string): string => `${JSON.stringify(key)}: ${laidOut(text, value, indent)}`;
  return append(text, object, [...object.object().values()], field);
}

/** The text without a field, and without the comma that it no longer needs; the same text where there is no such field. */
export function removeField(text: string, object: JsonNode, key: string): string {
  const fields = [...object.object().values()];
  const at = [...object.object().keys()].indexOf(key);
  if (at < 0) return text;
  if (fields.length === 1) return splice(text, object.start, object.end, '{}');
  if (at === 0) return splice(text, fields[0].keyStart, fields[1].keyStart, '');
  return splice(text, fields[at - 1].end, fields[at].end, '');
}

/** The text with an entry at the end of an array. */
export function appendItem(text: string, array: JsonNode, value: unknown): string {
  return append(text, array, array.array(), (indent) => laidOut(text, value, indent));
}

/** The text with a value replaced. */
export function setValue(text: string, node: JsonNode, value: unknown): string {
  return splice(text, node.start, node.end, laidOut(text, value, indentAt(text, node.start)));
}

function append(text: string, parent: JsonNode, children: readonly JsonNode[], added: (indent: string) => string): string {
  const outer = indentAt(text, parent.start);
  const newline = newlineOf(text);
  const start = (node: JsonNode): number => (node.keyStart < 0 ? node.start : node.keyStart);
  const last = children.at(-1);
  if (last !== undefined && text.slice(parent.start, start(last)).includes('\n')) {
    const indent = indentAt(text, start(last));
    return splice(text, last.end, last.end, `,${newline}${indent}${added(indent)}`);
  }
  // On one line, or empty: laid out anew, one entry a line; the entries' own text is kept.
  const indent = outer + unitOf(text);
  const entries = [...children.map((node) => text.slice(start(node), node.end)), added(indent)];
  const [open, close] = parent.kind === 'array' ? '[]' : '{}';
  const lines = entries.map((entry) => `${newline}${indent}${entry}`).join(',');
  return splice(text, parent.start, parent.end, `${open}${lines}${newline}${outer}${close}`);
}

const splice = (text: string, from: number, to: number, put: string): string => text.slice(0, from) + put + text.slice(to);

/** Blanks at the beginning of the line in which an offset lies. */
function indentAt(text: string, offset: number): string {
  const line = text.lastIndexOf('\n', offset - 1) + 1;
  return /^[ \t]*/.exec(text.slice(line, offset))?.[0] ?? '';
}

/** What one level is indented by: the first indented line tells. */
const unitOf = (text: string): string => /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';

const newlineOf = (text: string): string => (text.includes('\r\n') ? '\r\n' : '\n');

function laidOut(text: string, value: unknown, indent: string): string {
  return JSON.stringify(value, null, unitOf(text)).replaceAll('\n', `${newlineOf(text)}${indent}`);
}
