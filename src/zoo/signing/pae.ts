/** What is signed: DSSE's pre-authentication encoding of the payload and its type. */
import { joinBytes } from '../../core/bytes.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `DSSEv1 LEN(type) type LEN(payload) payload`, lengths in bytes as decimals (DSSE protocol.md, "Signature Definition"). */
export function pae(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = encode(payloadType);
  return joinBytes([encode(`DSSEv1 ${type.length} `), type, encode(` ${payload.length} `), payload]);
}

/**
 * What model-signing 0.2.0 signed instead: `DSSEV1` with a capital V, and the payload as the text of a Python bytes literal, with the
 * length of the bytes before it.
 */
export function legacyPae(payloadType: string, payload: Uint8Array): Uint8Array {
  return encode(`DSSEV1 ${encode(payloadType).length} ${payloadType} ${payload.length} ${pythonBytes(payload)}`);
}

/** `b'...'` as Python's repr writes bytes: double quotes outside only where a single quote and no double quote is inside. */
export function pythonBytes(bytes: Uint8Array): string {
  const quote = bytes.includes(0x27) && !bytes.includes(0x22) ? '"' : "'";
  const parts: string[] = [];
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    if (char === quote || char === '\\') parts.push(`\\${char}`);
    else if (byte === 9) parts.push('\\t');
    else if (byte === 10) parts.push('\\n');
    else if (byte === 13) parts.push('\\r');
    else if (byte < 32 || byte > 126) parts.push(`\\x${byte.toString(16).padStart(2, '0')}`);
    else parts.push(char);
  }
  return `b${quote}${parts.join('')}${quote}`;
}
