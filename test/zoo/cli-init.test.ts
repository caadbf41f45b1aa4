import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseLock } from '../../src/zoo/lock.ts';
import { parseManifest } from '../../src/zoo/manifest.ts';
import { errorOf, run, scratch } from '../cli/in-process.ts';

const text = (root: string, file: string): string => readFileSync(join(root, file), 'utf8');

it('begins a project that reads back, and says what comes next', async () => {
  const root = scratch();
  const { code, out } = await run('zoo', 'init', '--project', root);
  expect(code).toBe(0);
  expect(out).toContain('models.json and models.lock written\n');
  expect(out).toContain('secateur zoo add SOURCE');
  expect(parseManifest(text(root, 'models.json'))).toEqual({
    folder: 'models',
    models: new Map(),
    policy: [],
  });
  expect(parseLock(text(root, 'models.lock')).models.size).toBe(0);
  expect(() => text(root, '.gitignore')).toThrow(/ENOENT/);
});

it('takes folder, formats and the least that is wanted', async () => {
  const root = join(scratch(), 'new');
  const options = ['--folder', 'a/nets', '--formats', 'onnx,safetensors', '--require', 'claim'];
  expect((await run('zoo', 'init', '--project', root, ...options)).code).toBe(0);
  expect(parseManifest(text(root, 'models.json'))).toEqual({
    folder: 'a/nets',
    models: new Map(),
    policy: [{ match: '**', require: 'claim', formats: ['onnx', 'safetensors'] }],
  });
});

it('keeps models out of Git once, and only if that is wanted', async () => {
  const [root, other] = [scratch(), scratch()];
  for (const folder of [root, other]) mkdirSync(join(folder, '.git'));
  writeFileSync(join(root, '.gitignore'), 'dist');
  const { out } = await run('zoo', 'init', '--project', root);
  expect(text(root, '.gitignore')).toBe('dist\n/models/\n.secateur/\n');
  expect(out).toContain('/models/ and .secateur/ stand in .gitignore now');
  mkdirSync(join(root, 'sub'));
  const below = await run('zoo', 'init', '--project', join(root, 'sub'));
  expect(below.out).toContain(`${root} is a project too; from here on commands in ${join(root, 'sub')} mean this one`);
  await run('zoo', 'init', '--project', other, '--no-gitignore');
  expect(() => text(other, '.gitignore')).toThrow(/ENOENT/);
});

it('changes nothing where a project is', async () => {
  const root = scratch();
  writeFileSync(join(root, 'models.lock'), 'x');
  const printed = await run('zoo', 'init', '--project', root);
  expect([printed.code, errorOf(printed)]).toEqual([
    2,
    'error: E_MANIFEST models.lock: is there already; nothing was changed. Try `secateur zoo add SOURCE` to add a model, `secateur zoo audit` to see what is there.',
  ]);
  expect(() => text(root, 'models.json')).toThrow(/ENOENT/);
  const bad = await run('zoo', 'init', '--project', scratch(), '--folder', '../x');
  expect([bad.code, errorOf(bad)]).toEqual([
    1,
    'error: E_PATH models.json:2:13: a path leads out of its folder, expected a path without .., got "../x".',
  ]);
});
