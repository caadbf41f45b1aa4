/** Protobuf's text format as Caffe's prototxt files have it: words, texts, braces. Only what a layer's type says is of interest. */

import { CaffeLayers } from './caffe-layers.ts';
import type { Findings } from './findings.ts';

/** Characters that are read; networks of a thousand layers have a tenth of that. */
export const LONGEST_PROTOTXT = 4_000_000;

/** Whether a text has a layer or network parameters of Caffe in it. */
export const looksPrototxt = (text: string): boolean =>
  /(^|\n)[ \t]*(layers?|input_param|net_param|train_net|net)\s*(\{|:\s*")/.test(text) && /[{:]/.test(text);

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

/** Flags layers that run code or touch files. */
export function lintPrototxt(text: string, findings: Findings): void {
  const layers = new CaffeLayers();
  let key = '';
  let value = '';
  // fields that were given since the last brace; a text goes on over several pieces
  for (const { kind, value: token } of tokens(text.slice(0, LONGEST_PROTOTXT))) {
    if (kind === 'text') {
      value += token;
      continue;
    }
    if (value !== '') layers.field(key, value);
    value = '';
    if (kind === 'word') {
      if (key === 'type') layers.field(key, token);
      key = token;
    } else if (token === '{') key = '';
  }
  if (value !== '') layers.field(key, value);
  layers.report(findings);
  if (text.length >= LONGEST_PROTOTXT) findings.flag('caffe-long', 'too long to be read to its end');
}
