/** A run that is stopped by Ctrl-C or killed outright, and gone on with: the same file in the end, byte for byte. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cli } from './cli.ts';
import { run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
const bytes = (name: string): Buffer => readFileSync(at(name, 'model.onnx'));
const RUN = ['--data', 'builtin:digits?train=400&test=20', '--threads', '1', '--epochs', '4', '--batch-size', '16'];
const TRAIN = ['train', ...RUN, '--optimizer', 'adam', '--lr', '0.002', '--augment', 'shift:2'];

test('Ctrl-C: exit code 130, says how to go on; then SIGKILL in the middle of an epoch; then the same weights', async () => {
  const whole = await run(...TRAIN, '--out', at('whole'));
  expect(whole.code).toBe(0);

  const interrupted = await cli([...TRAIN, '--out', at('stopped')], {
    onStderr: (child, text) => {
      if (text.includes('epoch 1/4') && !text.includes('stopping')) child.kill('SIGINT');
    },
  });
  expect(interrupted.code).toBe(130);
  expect(interrupted.stdout).toBe('');
  expect(interrupted.stderr).toMatch(
    new RegExp(
      `\\nstopping \\(Ctrl-C again to stop at once\\)\\n(.*\\n)*error: train: interrupted at epoch \\d, step \\d+ of 23\\. Try secateur train --resume ${at('stopped')} to go on from there\\.\\n$`,
    ),
  );
  expect(existsSync(at('stopped'))).toBe(false);
  expect(readdirSync(at('stopped.partial')).sort()).toEqual(['checkpoint.onnx', 'run.json']);

  const killed = await cli(['train', '--resume', at('stopped'), '--checkpoint-every', '5'], {
    onStderr: (child, text) => {
      if (text.includes('epoch 3/4')) child.kill('SIGKILL');
    },
  });
  expect(killed.code).toBe(null);
  expect(killed.stderr).toMatch(/\ngoing on at step \d+ of 92\n/);

  const resumed = await run('train', '--resume', at('stopped'));
  expect(resumed.code).toBe(0);
  expect(bytes('stopped').equals(bytes('whole'))).toBe(true);
  expect(existsSync(at('stopped.partial'))).toBe(false);
  const timeless = (name: string) =>
    readFileSync(at(name, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const { seconds: _, imagesPerSecond: __, ...record } = JSON.parse(line) as Record<string, unknown>;
        return record;
      });
  expect(timeless('stopped')).toEqual(timeless('whole'));
}, 120_000);

test('going on with other options, or by another command, is refused', async () => {
  const controlled = await cli([...TRAIN, '--out', at('half')], {
    onStderr: (child, text) => {
      if (text.includes('epoch 1/4')) child.kill('SIGKILL');
    },
  });
  expect(controlled.code).toBe(null);
  const error = async (...argv: string[]): Promise<string> => {
    const printed = await run(...argv);
    expect(printed.code).toBe(2);
    return printed.err.slice(printed.err.indexOf('error: '));
  };
  expect(await error('train', '--resume', at('half'), '--epochs', '5')).toBe(
    `error: --resume: the run in ${at('half')} was begun with other options, expected --epochs 4, got 5. Try --resume ${at('half')} alone.\n`,
  );
  expect(await error('train', '--resume', at('half'), '--freeze-before', 'fc1')).toBe(
    `error: --resume: the run in ${at('half')} was begun with other options, expected --freeze-before left out, got "fc1". Try --resume ${at('half')} alone.\n`,
  );
  expect(await error('attack', 'badnet', '--resume', at('half'))).toBe(
    `error: --resume: the run in ${at('half')} is not of this command, expected attack badnet, got train. Try secateur train --resume ${at('half')}.\n`,
  );
  // nothing of that has touched it
  expect((await run('train', '--resume', at('half'), '--epochs', '4')).code).toBe(0);
  expect(bytes('half').equals(bytes('whole'))).toBe(true);
}, 120_000);

test('Ctrl-C in a command without checkpoints leaves nothing', async () => {
  const stopped = await cli(['finetune', at('whole', 'model.onnx'), ...RUN, '--epochs', '500', '--out', at('tuned')], {
    onStderr: (child, text) => {
      if (text.includes('epoch 1/500') && !text.includes('stopping')) child.kill('SIGINT');
    },
  });
  expect(stopped.code).toBe(130);
  expect(stopped.stdout).toBe('');
  expect(stopped.stderr).toMatch(/\nerror: train: interrupted at epoch \d+, step \d+ of \d+\.\n$/);
  expect(readdirSync(folder).filter((name) => name.startsWith('tuned'))).toEqual([]);
}, 60_000);

test('a second Ctrl-C does not wait', async () => {
  let sent = 0;
  const stopped = await cli([...TRAIN, '--epochs', '500', '--out', at('twice')], {
    onStderr: (child, text) => {
      if (sent === 0 && text.includes('epoch 1/500')) {
        child.kill('SIGINT');
        sent = 1;
      } else if (sent === 1 && text.includes('stopping')) {
        child.kill('SIGINT');
        sent = 2;
      }
    },
  });
  expect(stopped.code).toBe(130);
}, 60_000);

test('a pipe that closes early is no failure', async () => {
  const { spawn } = await import('node:child_process');
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), main, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect([code, stderr]).toEqual([0, '']);
});
