/** A defence must not be judged on the images that it saw without saying so. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { imageAt } from '../../src/data/make.ts';
import { encodePng } from '../../src/data/png.ts';
import type { Result } from '../../src/evaluate/result.ts';
import { saveModel } from '../../src/onnx/file.node.ts';
import { cnn, images, SIDE } from '../defend/tiny-nets.ts';
import { run, scratch } from './in-process.ts';

vi.mock('../../src/runtime/open.node.ts', async () => {
  const { inProcess } = await import('../grad/runtime.ts');
  return { openRuntime: async () => ({ ...inProcess, dispose: async () => {} }) };
});

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);

/** Pictures of the classes in folders of their names. */
function pictures(path: string, seed: number): void {
  const data = images(24, 'train', seed);
  for (let i = 0; i < data.count; i++) {
    const of = join(path, data.classes[data.labels[i]]);
    mkdirSync(of, { recursive: true });
    writeFileSync(join(of, `${i}.png`), encodePng(imageAt(data, i), SIDE, SIDE, 1));
  }
}

const TUNE = ['--allow-chance', '--epochs', '1', '--batch-size', '8'];
beforeAll(async () => {
  await saveModel(at('suspect.onnx'), cnn());
  pictures(at('images'), 1);
  pictures(at('others'), 2);
  cpSync(at('images'), at('copy'), { recursive: true });
  for (const part of ['train', 'test']) pictures(at('parted', part), part.length);
  const all = ['--data', at('images'), '--validation', 'all'];
  expect((await run('fineprune', at('suspect.onnx'), ...all, ...TUNE, '--out', at('cured'))).code).toBe(0);
  const some = ['--data', at('images'), '--validation', '8'];
  expect((await run('finetune', at('suspect.onnx'), ...some, ...TUNE, '--out', at('tuned'))).code).toBe(0);
  expect(
    (await run('train', at('suspect.onnx'), '--data', at('images'), '--epochs', '1', '--batch-size', '8', '--out', at('trained'))).code,
  ).toBe(0);
});

const ALL = 'The data have no test part: all 24 images are taken for test images.';
const WHOLE = 'Warning: the defence (fineprune) saw these images: how well the network does on others, they do not say.';
const PART = 'Warning: the defence (finetune) saw some of these images: how well the network does on others, they do not say.';
const TRAINED = 'Warning: the network was trained (train) on most of these images: how well it does on others, they do not say.';

describe('evaluate', () => {
  test.each([
    ['what a defence made of all of them', at('cured', 'model.onnx'), 'images', [ALL, WHOLE]],
    ['the same images elsewhere', at('cured', 'model.onnx'), 'copy', [ALL, WHOLE]],
    ['what a defence made of some of them', at('tuned', 'model.onnx'), 'images', [ALL, PART]],
    ['what was trained on them', at('trained', 'model.onnx'), 'images', [ALL, TRAINED]],
    ['other images', at('cured', 'model.onnx'), 'others', [ALL]],
    ['a network of which nothing is known', at('suspect.onnx'), 'images', [ALL]],
    ['a test part', at('cured', 'model.onnx'), 'parted', []],
  ])('%s', async (_, model, data, notes) => {
    const out = at('judged');
    const printed = await run('evaluate', model, '--data', at(data), '--out', out);
    expect(printed.code).toBe(0);
    expect(printed.out.trimEnd().split('\n\n').slice(2)).toEqual(notes.length === 0 ? [out] : [notes.join('\n'), out]);
    const result = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')) as Result;
    expect(result.tables[0].notes).toEqual(['Intervals are 95 % (Wilson).', ...notes]);
    const json = JSON.parse((await run('evaluate', model, '--data', at(data), '--out', out, '--force', '--json')).out) as {
      notes: string[];
    };
    expect(json.notes).toEqual(notes);
    rmSync(out, { recursive: true });
  });
});

test('inspect with a trigger looks at test images too', async () => {
  const trigger = ['--trigger', 'pixel', '--label-map', 'target:1'];
  const printed = await run(
    'inspect',
    at('cured', 'model.onnx'),
    '--data',
    at('images'),
    ...trigger,
    '--trusted',
    '--out',
    at('inspected'),
  );
  expect(printed.code).toBe(0);
  expect(printed.out).toContain(`\n${ALL}\n${WHOLE}\n\n`);
  const result = JSON.parse(readFileSync(at('inspected', 'result.json'), 'utf8')) as Result;
  expect(result.tables[0].notes?.slice(1)).toEqual([ALL, WHOLE]);
});
