/** Digests of a file in the forms that statements list: whole or in ranges, SHA-256, BLAKE2b-512 or BLAKE3. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { blake3 } from '@noble/hashes/blake3.js';
import { openRegular } from '../store/disk.node.ts';
import { pieces } from '../store/hash.node.ts';
import { rangesText } from './compare.ts';
import type { ModelStatement, ResourceHash } from './types.ts';

interface Running {
  update(bytes: Uint8Array): unknown;
  hex(): string;
}

/** BLAKE2b is with 512 bits, as OMS means it; BLAKE3 is not in Node and so slower. */
function start(hash: ResourceHash): Running {
  if (hash === 'blake3') {
    const state = blake3.create();
    return { update: (bytes) => state.update(bytes), hex: () => Buffer.from(state.digest()).toString('hex') };
  }
  const state = createHash(hash === 'blake2b' ? 'blake2b512' : 'sha256');
  return { update: (bytes) => state.update(bytes), hex: () => state.digest('hex') };
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes that were just hashed. */
  onBytes?(count: number): void;
}

/**
 * What the statement's list would hold for this file: its digest in hex, or the digests of its ranges as one text (`compare.ts`).
 * @throws SecateurError `E_DISK`, `E_NOT_A_FILE`
 */
export async function hashAs(
  path: string,
  form: Pick<ModelStatement, 'hash' | 'method' | 'shardSize'>,
  o: ReadOptions = {},
): Promise<string> {
  const handle = await openRegular(path);
  try {
    return form.method === 'files'
      ? await hashWhole(handle, path, form.hash, o)
      : await hashRanges(handle, path, form.hash, form.shardSize!, o);
  } finally {
    await handle.close();
  }
}

async function hashWhole(handle: FileHandle, path: string, hash: ResourceHash, o: ReadOptions): Promise<string> {
  const running = start(hash);
  for await (const piece of pieces(handle, path, o.signal)) {
    running.update(piece);
    o.onBytes?.(piece.byteLength);
  }
  return running.hex();
}

async function hashRanges(handle: FileHandle, path: string, hash: ResourceHash, size: number, o: ReadOptions): Promise<string> {
  const ranges: { start: number; end: number; digest: string }[] = [];
  let running = start(hash);
  let [begin, at] = [0, 0];
  const close = (): void => {
    ranges.push({ start: begin, end: at, digest: running.hex() });
    running = start(hash);
    begin = at;
  };
  for await (const piece of pieces(handle, path, o.signal)) {
    for (let used = 0; used < piece.length; ) {
      const part = piece.subarray(used, used + Math.min(piece.length - used, begin + size - at));
      running.update(part);
      used += part.length;
      at += part.length;
      if (at - begin === size) close();
    }
    o.onBytes?.(piece.byteLength);
  }
  if (at > begin) close();
  return rangesText(ranges);
}
