/** Strict base64 (RFC 4648, section 4): the same text never decodes differently in two implementations. */
import { fromBase64 } from '../../data/base64.ts';

const ALPHABET = /^[A-Za-z0-9+/]*={0,2}$/;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/**
 * The bytes, or undefined where the text is not canonical base64: characters outside the alphabet (base64url and line breaks among them),
 * wrong padding, or bits beyond the last byte that are not zero.
 */
export function strictBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !ALPHABET.test(text)) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if (padding > 0) {
    // The last letter carries 4 or 2 bits that stand for nothing; another letter there would be a second spelling of the same bytes.
    const last = LETTERS.indexOf(text[text.length - padding - 1]);
    if (last < 0 || (last & (padding === 2 ? 15 : 3)) !== 0) return undefined;
  }
  return fromBase64(text);
}
