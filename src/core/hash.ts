/** SHA-256 without Node: what runs in a browser too. Files are hashed by `hash.node.ts`. */
import { sha256 as noble } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

/** SHA-256 of bytes (or of a text's UTF-8), 64 lower-case hex digits. */
export function sha256(bytes: Uint8Array | string): string {
  return bytesToHex(sha256Bytes(bytes));
}

/** SHA-256 of bytes (or of a text's UTF-8), 32 bytes. */
export function sha256Bytes(bytes: Uint8Array | string): Uint8Array {
  return noble(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes);
}
