/** `reproduce` on a small built-in set: killed in the middle, taken up by the same command, and what it leaves. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Result } from '../../src/evaluate/result.ts';
import { cli } from './cli.ts';
import { errorOf, run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
const QUICK = ['reproduce', 'mnist', '--data', 'builtin:digits?train=1000&test=50', '--quick'];

test('killed, gone on with from the steps that are finished, ends in a report', async () => {
  const args = [...QUICK, '--threads', '1', '--out', at('mnist')];
  const killed = await cli(args, {
    onStderr: (child, text) => {
      if (text.includes('[4/')) child.kill('SIGKILL');
    },
  });
  expect(killed.code).toBe(null);
  expect(existsSync(at('mnist'))).toBe(false);

  const printed = await run(...args);
  expect(printed.code).toBe(0);
  expect(printed.err).toContain(`going on with ${at('mnist')}.partial\n`);
  expect(printed.err).toMatch(/\n\[3\/\d+\] \S+ \(done before\)\n/);
  expect(printed.err).not.toContain('epoch 1/');
  expect(printed.out).toMatch(/^clean \d+\.\d %, attack success \d+\.\d %; after fine-pruning /);
  expect(printed.out).toContain('\nper-class error');
  expect(printed.out).toContain('\ndefences: baseline\n');
  expect(printed.out.trimEnd().split('\n').at(-1)).toBe(at('mnist', 'report.html'));
  expect(existsSync(at('mnist.partial'))).toBe(false);
  expect(readdirSync(at('mnist'))).toEqual(
    expect.arrayContaining(['run.json', 'metrics.jsonl', 'result.json', 'media.json', 'report.html']),
  );
  const result = Result.parse(JSON.parse(readFileSync(at('mnist', 'result.json'), 'utf8')));
  expect(result.recipe).toBe('mnist');
  expect(result.tables.map((t) => t.name)).toEqual(
    expect.arrayContaining(['per-class error', 'poison fraction', 'defences', 'pruning curve', 'clean-model control']),
  );
  expect(readFileSync(at('mnist', 'report.html'), 'utf8')).toMatch(/^<!doctype html>/);

  // drawn again from the folder: the same page
  expect((await run('report', at('mnist'), '--out', at('again.html'))).code).toBe(0);
  expect(readFileSync(at('again.html'), 'utf8')).toBe(readFileSync(at('mnist', 'report.html'), 'utf8'));
}, 180_000);

test('data that are not like MNIST, parts that are missing', async () => {
  const error = async (uri: string): Promise<string> => errorOf(await run('reproduce', 'mnist', '--data', uri, '--out', at('out')));
  expect(await error(at('nowhere'))).toBe(`error: data: ${at('nowhere')}: ${at('nowhere')} cannot be read, got no such file or folder.`);
  expect(readdirSync(folder).filter((name) => name.startsWith('out'))).toEqual([]);
});

test('an unknown recipe', async () => {
  const { code, err } = await run('reproduce', 'mnst');
  expect(code).toBe(2);
  expect(err).toBe("error: unknown command 'mnst'\n(Did you mean mnist?)\n(add --help to see what there is)\n");
});
