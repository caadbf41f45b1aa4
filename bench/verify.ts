/**
 * (d) Time to verify a model beside `sha256sum` on the same file, in turn, from the page cache; also beside `openssl dgst`, which unlike the
 * sha256sum of some systems uses the processor's own instructions for SHA-256.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Rng } from '../src/core/rng.ts';
import { verifyFiles } from '../src/zoo/store/verify-files.node.ts';
import type { LockedFile, Sha256 } from '../src/zoo/types.ts';

const MIB = 2 ** 20;
const FILE = 'model.onnx';
const run = promisify(execFile);

export interface VerifyBench {
  readonly bytes: number;
  /** Seconds of each round, in the order they were run. */
  readonly ours: readonly number[];
  readonly sha256sum: readonly number[];
  readonly openssl: readonly number[];
}

/** Writes a file of so many MiB of noise and times the three on it, `rounds` times in turn after one that does not count. */
export async function benchVerify(mebibytes: number, rounds: number, scratch: string = tmpdir()): Promise<VerifyBench> {
  const folder = mkdtempSync(join(scratch, 'secateur-bench-verify-'));
  try {
    const path = join(folder, FILE);
    const digest = await writeNoise(path, mebibytes);
    const file: LockedFile = { path: FILE, size: mebibytes * MIB, digest, claims: [], format: 'unknown', lint: 'ok' };
    const times = { ours: [] as number[], sha256sum: [] as number[], openssl: [] as number[] };
    for (let round = 0; round <= rounds; round++) {
      const here = {
        sha256sum: await timed(async () => same((await run('sha256sum', [path])).stdout, digest)),
        ours: await timed(async () => {
          const found = await verifyFiles(folder, { files: [file] }, { fresh: true });
          if (found.changed.length > 0 || found.bytes !== file.size) throw new Error('the file was not verified');
        }),
        openssl: await timed(async () => same((await run('openssl', ['dgst', '-sha256', '-r', path])).stdout, digest)),
      };
      if (round === 0) continue;
      for (const name of ['ours', 'sha256sum', 'openssl'] as const) times[name].push(here[name]);
    }
    return { bytes: file.size, ...times };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The one in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** One line with the two ratios. */
export function verifyLine({ bytes, ours, sha256sum, openssl }: VerifyBench): string {
  const [a, b, c] = [ours, sha256sum, openssl].map(median);
  const rate = (s: number): string => `${s.toFixed(2)} s (${(bytes / s / 1e9).toFixed(2)} GB/s)`;
  const range = ours.map((s, i) => s / sha256sum[i]);
  return (
    `${(bytes / 2 ** 30).toFixed(1)} GiB: ours ${rate(a)}, sha256sum ${rate(b)}, openssl ${rate(c)}; ratio ours / sha256sum ${(a / b).toFixed(2)} ` +
    `(${Math.min(...range).toFixed(2)} to ${Math.max(...range).toFixed(2)} over ${ours.length} rounds), wanted at most 1.15; ours / openssl ${(a / c).toFixed(2)}`
  );
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function same(printed: string, digest: Sha256): void {
  if (!printed.includes(digest.slice('sha256:'.length))) throw new Error(`another hash: ${printed}`);
}

async function writeNoise(path: string, mebibytes: number): Promise<Sha256> {
  const rng = Rng.from(1);
  const piece = new Uint32Array(MIB / 4);
  for (let i = 0; i < piece.length; i++) piece[i] = rng.int(2 ** 32);
  const hash = createHash('sha256');
  const handle = await open(path, 'wx');
  try {
    for (let i = 0; i < mebibytes; i++) {
      piece[0] = i;
      const bytes = new Uint8Array(piece.buffer);
      hash.update(bytes);
      await handle.write(bytes);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return `sha256:${hash.digest('hex')}`;
}
