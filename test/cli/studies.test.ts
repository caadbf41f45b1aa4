/** Every recipe with several networks, whole, on built-in data: what a newcomer runs first. Networks are shared, as `--steps` does. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Result } from '../../src/evaluate/result.ts';
import { errorOf, run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);

const RECIPES: readonly [name: string, line: RegExp, tables: readonly string[]][] = [
  ['table1', /^attack success after fine-pruning the BadNets: face .*speech .*signs /, ['table 1', 'accuracy on held-out data']],
  ['face', /^face: clean \d+\.\d %, attack success \d+\.\d %; after fine-pruning clean /, ['defences', 're-learning']],
  ['speech', /^speech: clean /, ['defences', 'weights moved by fine-tuning']],
  ['signs', /^signs: clean /, ['defences', 'dead-channel check']],
  ['pruning', /^where pruning stops on the BadNets: face \d+ of 60 cut/, ['pruning curve: speech']],
  ['transfer', / /, ['transfer by class']],
  ['strength', / /, ['strength']],
  ['variants', / /, ['variants']],
];

test.each(RECIPES)(
  'reproduce %s --data builtin --quick',
  async (name, line, tables) => {
    const printed = await run('reproduce', name, '--data', 'builtin', '--quick', '--steps', at('steps'), '--out', at(name));
    expect(errorOf(printed)).toBe('');
    expect(printed.code).toBe(0);
    expect(printed.out).toMatch(line);
    expect(printed.out.trimEnd().split('\n').at(-1)).toBe(at(name, 'report.html'));
    const result = Result.parse(JSON.parse(readFileSync(at(name, 'result.json'), 'utf8')));
    expect(result.recipe).toBe(name);
    expect(result.tables.map((t) => t.name)).toEqual(expect.arrayContaining([...tables]));
    // synthetic data: no number of the paper may stand beside
    expect(result.tables.flatMap((t) => t.cells).filter((c) => c.paper !== undefined)).toEqual([]);
    expect(readFileSync(at(name, 'report.html'), 'utf8')).toContain('made by a program');
    expect(existsSync(at(`${name}.partial`))).toBe(false);
  },
  400_000,
);

test('data that are not there, one set where several are needed', async () => {
  expect(errorOf(await run('reproduce', 'table1', '--data', at('steps'), '--out', at('none')))).toBe(
    `error: data: ${at('steps')}: no data for face, expected a folder face or faces or yaleb in it. Try --face URI.`,
  );
  expect(errorOf(await run('reproduce', 'pruning', '--data', 'builtin:faces', '--out', at('none')))).toBe(
    'error: --data: "builtin:faces" is one set of data and this recipe needs several, expected builtin, or a folder.',
  );
});
