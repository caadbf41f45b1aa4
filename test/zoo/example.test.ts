/** The project in examples/zoo is one, and its program hands out only what was locked. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { classify } from '../../examples/zoo/classify.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { buildNetwork } from '../../src/train/networks/registry.ts';
import { parseManifest } from '../../src/zoo/manifest.ts';
import { signersFor } from '../../src/zoo/policy.ts';
import { madeProject } from './locked.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/zoo/${name}`, import.meta.url));
const bytes = writeModel(buildNetwork('badnets-cnn', 1, { channels: 1, height: 28, width: 28, classes: 10 }));
const project = madeProject({ digits: { files: { 'digits.onnx': bytes } } });
afterAll(() => rmSync(project, { recursive: true }));

test('examples/zoo/models.json is read, and wants a signature of the team', () => {
  const manifest = parseManifest(readFileSync(example('models.json'), 'utf8'));
  expect([...manifest.models.keys()]).toEqual(['resnet50', 'team/plate-reader']);
  expect(signersFor(manifest, 'team/plate-reader').map((s) => s.keys)).toEqual([['keys/team.pub']]);
  expect(signersFor(manifest, 'resnet50')).toEqual([]);
});

test('examples/zoo/github-actions.yml runs commands that there are', async () => {
  const { entries } = await import('../../src/cli/registry.node.ts');
  const text = readFileSync(example('github-actions.yml'), 'utf8');
  expect(Object.keys(parse(text).jobs)).toEqual(['models']);
  const called = [...text.matchAll(/secateur (zoo [a-z-]+)/g)].map((m) => m[1]);
  expect(called).toEqual(['zoo install', 'zoo audit', 'zoo diff']);
  for (const name of called) expect(entries.map((e) => e.name)).toContain(name);
});

test('examples/zoo/classify.ts runs a locked model, and stops where a byte differs', { timeout: 120_000 }, async () => {
  expect(await classify('digits', project)).toMatch(/^digits: sha256:[0-9a-f]{64}, pinned-on-first-use; \d+ of 200 digits right$/);
  const path = join(project, 'models', 'digits', 'digits.onnx');
  const changed = readFileSync(path);
  changed[changed.length >> 1] ^= 1;
  writeFileSync(path, changed);
  await expect(classify('digits', project)).rejects.toThrow(/^E_INTEGRITY digits: digits\.onnx/);
});
