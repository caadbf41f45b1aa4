/** Files that come along with models and are no models: texts, settings, pictures. */
import type { ByteSource } from '../../data/zip.ts';
import { type Findings, quoted } from './findings.ts';
import { lintKerasConfig } from './keras.ts';

/** Bytes that are looked at. */
const LOOKED = 1 << 20;

const MEDIA: readonly (readonly number[])[] = [
  [0x89, 0x50, 0x4e, 0x47],
  [0xff, 0xd8, 0xff],
  [0x47, 0x49, 0x46, 0x38],
  [0x25, 0x50, 0x44, 0x46],
];
/** Native programs: ELF, Windows, Mach-O (both orders and fat), WebAssembly. */
const NATIVE: readonly (readonly number[])[] = [
  [0x7f, 0x45, 0x4c, 0x46],
  [0xcf, 0xfa, 0xed, 0xfe],
  [0xce, 0xfa, 0xed, 0xfe],
  [0xca, 0xfe, 0xba, 0xbe],
  [0x00, 0x61, 0x73, 0x6d],
];

const begins = (head: Uint8Array, magics: readonly (readonly number[])[]): boolean => magics.some((m) => m.every((b, i) => head[i] === b));

export function isPicture(source: ByteSource): boolean {
  return begins(source.read(0, Math.min(8, source.size)), MEDIA);
}

export function isNative(source: ByteSource): boolean {
  const head = source.read(0, Math.min(512, source.size));
  if (begins(head, NATIVE)) return true;
  if (head[0] !== 0x4d || head[1] !== 0x5a || head.length < 64) return false;
  const at = new DataView(head.buffer, head.byteOffset).getUint32(60, true);
  return at + 4 <= source.size && source.read(at, 4).every((b, i) => b === [0x50, 0x45, 0, 0][i]);
}

/** The start of a file of text; undefined where it is none. Control characters other than line ends and tabs are in no text. */
export function textStart(source: ByteSource): string | undefined {
  const bytes = source.read(0, Math.min(LOOKED, source.size));
  let text: string;
  try {
    // the last character may be cut in two
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: source.size > bytes.length });
  } catch {
    return undefined;
  }
  return hasControls(text) ? undefined : text;
}

/** Tabs, line ends, form feeds and the escape of terminals may stand in a text. */
function hasControls(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x20 && (c < 0x09 || c > 0x0d) && c !== 0x1b) return true;
  }
  return false;
}

const SOURCE_CODE = /\.(py|pyw|ipynb|sh|bash|bat|ps1|js|mjs|cjs|rb|pl|so|dll|dylib)$/i;

/**
 * What a text has that a program may obey.
 * @param whole the whole of the file where `text` is only its start
 */
export function lintText(text: string, name: string, findings: Findings, whole: () => string = () => text): void {
  if (text.startsWith('version https://git-lfs')) findings.flag('lfs-pointer', 'a Git LFS pointer and not the file that it stands for');
  if (/^\s*<(!doctype html|html)/i.test(text))
    findings.flag('web-page', 'a web page, as servers send in place of a file that they do not give out');
  if (text.startsWith('#!') || SOURCE_CODE.test(name))
    findings.flag('source-code', 'a program, which some loaders run (trust_remote_code)');
  if (/\.jinja2?$/i.test(name)) findings.flag('chat-template', 'a chat template, a program in Jinja that the reading program runs');
  if (/\.ya?ml$/i.test(name) && /!!python\/(object|name|module)|2002:python\//.test(text))
    findings.refuse('yaml-objects', 'makes Python objects or calls functions where YAML is loaded without care');
  if (!/^\s*[{[]/.test(text)) return;
  const plain = text.replace(/\\u00([2-7][0-9a-fA-F])/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  if (/"class_name"\s*:/.test(plain)) lintKerasConfig(whole(), 'file', findings);
  if (/"auto_map"\s*:/.test(plain)) findings.flag('remote-code', `names Python files to be run by the loader (${quoted('auto_map')})`);
  if (/"chat_template"\s*:/.test(plain))
    findings.flag('chat-template', 'carries a chat template, a program in Jinja that the reading program runs');
}
