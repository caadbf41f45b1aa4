/** Small files that Python, NumPy, PyTorch and h5py wrote (scripts/golden-lint.py), by name. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

export function lintGolden(): Map<string, Uint8Array> {
  const text = readFileSync(join(import.meta.dirname, 'fixtures', 'lint', 'golden.json'), 'utf8');
  const files = JSON.parse(text) as Record<string, string>;
  return new Map(Object.entries(files).map(([name, packed]) => [name, new Uint8Array(gunzipSync(Buffer.from(packed, 'base64')))]));
}

/** One of them, as bytes of its own that may be changed. */
export function goldenFile(name: string): Uint8Array {
  const found = lintGolden().get(name);
  if (found === undefined) throw new Error(`no golden file ${name}`);
  return found;
}
