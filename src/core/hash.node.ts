/** SHA-256 by Node's own implementation: about ten times the speed of the portable one, and over files without reading them whole. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { fail } from './errors.ts';

/** SHA-256 of bytes, 64 lower-case hex digits. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 of a file's content. Throws SecateurError where it cannot be read. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (cause) {
    fail({ where: path, what: 'cannot be read', got: (cause as NodeJS.ErrnoException).code ?? String(cause), cause });
  }
  return hash.digest('hex');
}
