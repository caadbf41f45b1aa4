/** Killed by SIGKILL, where no handler can tidy up, and resumed: the same weights, byte for byte. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'secateur-killed-'));
afterAll(() => rmSync(folder, { recursive: true }));
const SCRIPT = fileURLToPath(new URL('./killed-run.ts', import.meta.url));

/** Runs until a line equal to `killAt` is read, then kills; gives all lines read and how it ended. */
function run(name: string, killAt?: string): Promise<{ lines: string[]; signal: string | null; code: number | null }> {
  const args = [
    '--import',
    import.meta.resolve('tsx'),
    SCRIPT,
    join(folder, `${name}.checkpoint.onnx`),
    join(folder, `${name}.onnx`),
    killAt ?? '',
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (killAt !== undefined && text.split('\n').includes(killAt)) child.kill('SIGKILL');
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ lines: text.trim().split('\n'), signal, code }));
  });
}

test('killed in the middle of an epoch and in the middle of a write', async () => {
  const whole = await run('whole');
  expect(whole).toMatchObject({ code: 0, signal: null });
  const expected = readFileSync(join(folder, 'whole.onnx'));

  // 6 steps an epoch (batch normalisation drops the rest), checkpoints after 3 and 6
  const starts: string[] = [];
  for (const killAt of ['step 8', 'saving 2 3']) {
    const killed = await run('killed', killAt);
    expect(killed.signal).toBe('SIGKILL');
    starts.push(killed.lines[0]);
  }
  expect(starts).toEqual(['start 0', 'start 6']);
  const last = await run('killed');
  expect(last.code).toBe(0);
  // killed while the checkpoint of step 15 was being written: that of step 12 is whole, or the new one is
  expect(['start 12', 'start 15']).toContain(last.lines[0]);
  expect(readFileSync(join(folder, 'killed.onnx')).equals(expected)).toBe(true);
}, 180_000);
