/** Protobuf's text format as Caffe's prototxt files have it: words, texts, braces. Only what a layer's type says is of interest. */

import { CaffeLayers } from './caffe-layers.ts';
import type { Findings } from './findings.ts';

/** Characters that are read; networks of a thousand layers have a tenth of that. */
export const LONGEST_PROTOTXT = 4_000_000;

/** Whether a text has a layer or network parameters of Caffe in it. */
export const looksPrototxt = (text: string): boolean =>
  (/(^|\n)[ \t]*(layers?|input_param|net_param|train_net|net)\s*(\{|:\s*")/.test(text) && /[{:]/.test(text)) || hasLayer(text);

/** A layer with a type, however it is written: protobuf takes a colon before braces, angle brackets, comments and lists. */
function hasLayer(text: string): boolean {
  if (!/\blayers?\b/.test(text) || !/\btype\b/.test(text)) return false;
  let before = '';
  let inside = false;
  for (const { kind, value } of tokens(text)) {
    if (kind === 'mark' && (value === ':' || value === '[')) {
      if (inside && before === 'type') return true;
      continue;
    }
    if (kind === 'mark' && (value === '{' || value === '<') && /^layers?$/.test(before)) inside = true;
    before = kind === 'word' ? value : '';
  }
  return false;
}

interface Token {
  readonly kind: 'word' | 'text' | 'mark';
  readonly value: string;
}

/** Words, texts and marks; comments left out. A text may be written in pieces, and with escapes, which all count here. */
function* tokens(source: string): Generator<Token> {
  const pattern = /\s+|#[^\n]*|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|[\w.+-]+|./gsu;
  for (let found = pattern.exec(source); found !== null; found = pattern.exec(source)) {
    const [all, double, single] = found;
    // A text that is not closed: to look for its end from every quote on would take for ever.
    if (all === '"' || all === "'") return;
    const quotedText = double ?? single;
    if (quotedText !== undefined) yield { kind: 'text', value: unescaped(quotedText) };
    else if (/^[\w.+-]/.test(all)) yield { kind: 'word', value: all };
    else if (!/^[\s#]/.test(all)) yield { kind: 'mark', value: all };
  }
}

function unescaped(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/gsu, (_, code: string) => {
    if (/^x./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
    return { n: '\n', t: '\t', r: '\r' }[code] ?? code;
  });
}

/** The fields that have a word or a text for their value, the texts put together. */
export function* textFields(text: string): Generator<{ readonly key: string; readonly value: string }> {
  let key = '';
  let value = '';
  for (const { kind, value: token } of tokens(text.slice(0, LONGEST_PROTOTXT))) {
    if (kind === 'text') {
      value += token;
      continue;
    }
    if (value !== '') yield { key, value };
    value = '';
    if (kind === 'word') {
      if (key === 'type') yield { key, value: token };
      key = token;
    } else if (token === '{' || token === '<') key = '';
  }
  if (value !== '') yield { key, value };
}

/** Flags layers that run code or touch files. */
export function lintPrototxt(text: string, findings: Findings): void {
  const layers = new CaffeLayers();
  for (const { key, value } of textFields(text)) layers.field(key, value);
  layers.report(findings);
  if (text.length >= LONGEST_PROTOTXT) findings.flag('caffe-long', 'too long to be read to its end');
}
