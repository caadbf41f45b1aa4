/** `secateur zoo sbom` as a user types it. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { validateBom } from '../../src/zoo/bom/validate.node.ts';
import { errorOf, run } from '../cli/in-process.ts';
import { madeProject, put } from './locked.ts';

const two = () =>
  madeProject({
    'team/one': { files: { 'weights.safetensors': 'one', 'README.md': '---\nlicense: MIT\n---\n' } },
    two: { files: { 'weights.safetensors': 'two' } },
  });
interface Printed {
  metadata: { timestamp?: string; component?: { name: string; version?: string }; tools: { components: { name: string }[] } };
  components: { name: string; licenses?: unknown }[];
}
const printed = (text: string): Printed => JSON.parse(text) as Printed;

afterEach(() => {
  delete process.env.SOURCE_DATE_EPOCH;
});

it('prints a valid bill of all models and nothing else, the same every time; --out writes the same bytes', async () => {
  const project = two();
  const { code, out, err } = await run('zoo', 'sbom', '--project', project);
  expect(err).not.toContain('error');
  expect(code).toBe(0);
  await validateBom(out);
  const bom = printed(out);
  expect(bom.components.map((c) => c.name)).toEqual(['one', 'two']);
  expect(bom.components[0].licenses).toEqual([{ license: { id: 'MIT', acknowledgement: 'declared' } }]);
  expect(bom.metadata.component).toBeUndefined();
  expect(bom.metadata.timestamp).toBeUndefined();
  const file = join(project, 'out/bom.json');
  const second = await run('zoo', 'sbom', '--project', project, '--out', file);
  expect(second.out).toBe(`CycloneDX 1.6: 2 models, 3 files\n\n${file}\n`);
  expect(readFileSync(file, 'utf8')).toBe(out);
});

it('takes some models, the package it lies in or a name that is given, and SOURCE_DATE_EPOCH', async () => {
  const project = two();
  put(project, { 'package.json': '{"name": "scanner", "version": "2.0.0"}' });
  process.env.SOURCE_DATE_EPOCH = '1700000000';
  const bom = printed((await run('zoo', 'sbom', 'two', '--project', project)).out);
  expect(bom.components.map((c) => c.name)).toEqual(['two']);
  expect(bom.metadata.component).toMatchObject({ name: 'scanner', version: '2.0.0' });
  expect(bom.metadata.timestamp).toBe('2023-11-14T22:13:20.000Z');
  const named = printed((await run('zoo', 'sbom', '--project', project, '--subject', '@org/app@3')).out);
  expect(named.metadata.component).toMatchObject({ name: '@org/app', version: '3' });
  process.env.SOURCE_DATE_EPOCH = 'yesterday';
  const wrong = await run('zoo', 'sbom', '--project', project);
  expect(wrong.code).toBe(2);
  expect(errorOf(wrong)).toBe('error: SOURCE_DATE_EPOCH: is no time, expected seconds since 1970, as a whole number, got "yesterday".');
});

it('a model that is not installed is in it all the same, and that is said; one that was changed is an error', async () => {
  const project = two();
  rmSync(join(project, 'models/two'), { recursive: true });
  const { code, out, err } = await run('zoo', 'sbom', '--project', project);
  expect(code).toBe(0);
  expect(printed(out).components).toHaveLength(2);
  expect(err).toContain('note: two is not installed, so the bill has what models.lock says of it: secateur zoo install for the rest');
  writeFileSync(join(project, 'models/team/one/README.md'), 'changed');
  const changed = await run('zoo', 'sbom', '--project', project);
  expect(changed.code).toBe(3);
  expect(errorOf(changed)).toMatch(/^error: E_INTEGRITY team\/one: README\.md: is not the file in models\.lock, expected sha256:/);
});

it('a name that is not in the lock: the nearest; a bad subject', async () => {
  const project = two();
  const missing = await run('zoo', 'sbom', 'twoo', '--project', project);
  expect(missing.code).toBe(2);
  expect(errorOf(missing)).toBe('error: E_NAME twoo: no model of that name in models.lock, expected one of team/one, two. Try "two".');
  const subject = await run('zoo', 'sbom', '--project', project, '--subject', ' @1');
  expect(errorOf(subject)).toBe('error: --subject: no name or no version, expected NAME or NAME@VERSION, got " @1".');
});
