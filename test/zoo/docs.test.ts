/** docs/zoo.md against the code: every error code is told, none is made up, every command line in it is one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { entries } from '../../src/cli/registry.node.ts';
import { run } from '../cli/in-process.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');
const TEXTS = ['docs/zoo.md', 'README.md', 'examples/zoo/README.md', 'examples/zoo/github-actions.yml'];
/** A mark that becomes the caller's own code before anybody sees it (signing/steps.ts). */
const INTERNAL = ['E_SIG_READING'];

const thrown = new Set<string>();
beforeAll(() => {
  for (const name of readdirSync(join(root, 'src/zoo'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    for (const [, code] of read('src/zoo', name).matchAll(/'(E_[A-Z0-9_]+)'/g)) thrown.add(code);
  }
  for (const name of readdirSync(join(root, 'src/cli')).filter((n) => n.startsWith('zoo') || n.startsWith('by-name'))) {
    for (const [, code] of read('src/cli', name).matchAll(/'(E_[A-Z0-9_]+)'/g)) thrown.add(code);
  }
});

test('the tables have every code that the zoo throws, and no other', () => {
  const told = new Set([...read('docs/zoo.md').matchAll(/`(E_[A-Z0-9_]+)`/g)].map((m) => m[1]));
  expect([...thrown].filter((code) => !told.has(code) && !INTERNAL.includes(code)).sort()).toEqual([]);
  expect([...told].filter((code) => !thrown.has(code)).sort()).toEqual([]);
});

test('every command line of the texts is one, with flags that there are', async () => {
  const lines = TEXTS.flatMap((name) => [...read(...name.split('/')).matchAll(/^[^\n`]*?\bsecateur ([a-z][^\n#`]*)/gm)].map((m) => m[1]));
  expect(lines.filter((line) => line.startsWith('zoo ')).length).toBeGreaterThan(20);
  const helps = new Map<string, string>();
  for (const line of lines) {
    const entry = entries.find((e) => line === e.name || line.startsWith(`${e.name} `));
    if (entry === undefined) {
      expect([line, ['demo', 'help'].some((word) => line.startsWith(word))]).toEqual([line, true]);
      continue;
    }
    const flags = line.match(/--[a-z][a-z-]*/g) ?? [];
    // the help of the others is looked at in test/cli/frame.test.ts, and takes long to load
    if (flags.length === 0 || !entry.name.startsWith('zoo ')) continue;
    if (!helps.has(entry.name)) helps.set(entry.name, (await run(...entry.name.split(' '), '--help')).out);
    for (const flag of flags) expect([line, (helps.get(entry.name) ?? '').includes(flag)]).toEqual([line, true]);
  }
});

test('every verb is told of', () => {
  const text = read('docs/zoo.md');
  const verbs = entries.map((e) => e.name).filter((name) => name.startsWith('zoo '));
  expect(verbs.length).toBeGreaterThan(10);
  expect(verbs.filter((name) => !text.includes(name))).toEqual([]);
});
