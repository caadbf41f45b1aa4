/** The little of ASN.1 DER (X.690) that a certificate needs: tag, length, value; definite lengths only. */

export interface Der {
  /** First byte: class, constructed bit and number. Numbers above 30 are not read: certificates have none. */
  readonly tag: number;
  readonly value: Uint8Array;
}

/** Thrown for anything malformed; whoever reads a certificate turns it into a message. */
export class DerError extends Error {}

/** The element at the start of `bytes`, and what follows it. */
export function readDer(bytes: Uint8Array): { readonly element: Der; readonly rest: Uint8Array } {
  if (bytes.length < 2) throw new DerError('ends within an element');
  const tag = bytes[0];
  if ((tag & 31) === 31) throw new DerError('a tag of many bytes');
  let length = bytes[1];
  let at = 2;
  if (length > 127) {
    const count = length & 127;
    if (count === 0 || count > 4 || bytes.length < 2 + count) throw new DerError('a length that cannot be read');
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + bytes[at++];
    if (length < 128 || (count > 1 && length < 256 ** (count - 1))) throw new DerError('a length written longer than needed');
  }
  if (length > bytes.length - at) throw new DerError('an element longer than what holds it');
  return { element: { tag, value: bytes.subarray(at, at + length) }, rest: bytes.subarray(at + length) };
}

/** All elements in a value, at most 1000. */
export function derList(bytes: Uint8Array): Der[] {
  const found: Der[] = [];
  for (let left = bytes; left.length > 0; ) {
    const { element, rest } = readDer(left);
    if (found.push(element) > 1000) throw new DerError('too many elements');
    left = rest;
  }
  return found;
}

/** The only element of `bytes`, which must have this tag. */
export function derOnly(bytes: Uint8Array, tag: number): Uint8Array {
  const { element, rest } = readDer(bytes);
  if (element.tag !== tag || rest.length > 0) throw new DerError('another element than expected');
  return element.value;
}

/** `2.5.29.15` */
export function derOid(bytes: Uint8Array): string {
  const numbers: number[] = [];
  let value = 0;
  for (const byte of bytes) {
    if (value > 2 ** 45) throw new DerError('an object identifier with a huge number');
    value = value * 128 + (byte & 127);
    if (byte < 128) {
      numbers.push(value);
      value = 0;
    }
  }
  if (numbers.length === 0 || bytes[bytes.length - 1] > 127) throw new DerError('an unfinished object identifier');
  const first = Math.min(2, Math.floor(numbers[0] / 40));
  return [first, numbers[0] - 40 * first, ...numbers.slice(1)].join('.');
}

/** UTCTime (years 1950..2049) or GeneralizedTime, both in the form that RFC 5280 section 4.1.2.5 allows: to the second, ending in Z. */
export function derTime({ tag, value }: Der): Date {
  const text = String.fromCharCode(...value);
  const parts = (tag === 0x17 ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(text);
  if ((tag !== 0x17 && tag !== 0x18) || parts === null) throw new DerError('a time that cannot be read');
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number);
  return new Date(Date.UTC(tag === 0x18 ? year : year < 50 ? 2000 + year : 1900 + year, month - 1, day, hour, minute, second));
}
