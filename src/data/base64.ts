/** Bytes as base64 text (RFC 4648) and back, in the browser as in Node: pictures in JSON specs and in data URIs. */

/** Arguments of one call are limited; a multiple of 3 keeps the pieces free of padding. */
const STEP = 0x6000;

export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += STEP) text += btoa(String.fromCharCode(...bytes.subarray(i, i + STEP)));
  return text;
}

/** Throws a DOMException where `text` is not base64; schemas check that first (`z.base64()`). */
export function fromBase64(text: string): Uint8Array {
  const chars = atob(text);
  const bytes = new Uint8Array(chars.length);
  for (let i = 0; i < chars.length; i++) bytes[i] = chars.charCodeAt(i);
  return bytes;
}

/** Bytes that base64 text stands for, without decoding it. */
export function base64Size(text: string): number {
  return (text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
}

/** `data:` address of a file in memory, for `<img src>`. */
export function dataUri(bytes: Uint8Array, mime = 'image/png'): string {
  return `data:${mime};base64,${toBase64(bytes)}`;
}
