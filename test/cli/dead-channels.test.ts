/** What inspect and doctor say of channels that a bias holds silent. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { cloneModel } from '../../src/onnx/edit.ts';
import { saveModel } from '../../src/onnx/file.node.ts';
import { buildNetwork } from '../../src/train/networks/registry.ts';
import { run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
const DATA = ['--data', 'builtin:digits?train=60&test=20', '--validation', 'all', '--threads', '1', '--trusted'];

beforeAll(async () => {
  const honest = buildNetwork('badnets-cnn', 1, { channels: 1, height: 28, width: 28, classes: 10 });
  await saveModel(at('honest.onnx'), honest);
  const silenced = cloneModel(honest);
  // Most of them, as in the authors' released network.
  silenced.graph.initializers.set(
    'conv2.bias',
    f32(
      Float32Array.from({ length: 32 }, (_, c) => (c < 27 ? -1e20 : 0)),
      [32],
    ),
  );
  await saveModel(at('silenced.onnx'), silenced);
});

test('inspect --data: the check by layer, and a headline where it finds something', async () => {
  const bad = await run('inspect', at('silenced.onnx'), ...DATA, '--out', at('bad'));
  expect(bad.code).toBe(0);
  expect(bad.out).toMatch(/^conv2: \d+ dormant of 32 channels, \d+ silenced by their bias\n/);
  expect(bad.out).toMatch(/\ndead-channel check\n/);
  expect(bad.out).toMatch(
    / of 560 channels before a ReLU are silent on 60 clean images; \d+ of them are held silent by a bias more than 2 times as large as /,
  );
  expect(bad.out).toContain(
    'Training that succeeded does not do that, training that collapsed can; the pruning-aware attack does (Fine-Pruning, section 4.1).',
  );

  const good = await run('inspect', at('honest.onnx'), ...DATA, '--out', at('good'), '--json');
  const { asleep } = JSON.parse(good.out) as { asleep: { beyond: unknown[]; channels: number; threshold: number } };
  expect([asleep.beyond, asleep.channels, asleep.threshold]).toEqual([[], 560, 2]);
});

test('doctor MODEL: the same on random pictures, for who has no images', async () => {
  const bad = await run('doctor', at('silenced.onnx'), '--trusted', '--threads', '1');
  expect(bad.out).toMatch(
    /\n {2}channels {4}\d+ of 560 channels before a ReLU are silent on 16 random pictures; \d+ of them are held silent by a bias more than 10 /,
  );
  expect(bad.out).toContain('conv2 ');
  const good = await run('doctor', at('honest.onnx'), '--trusted', '--threads', '1');
  expect(good.out).toMatch(
    /none by more than 10 times what its weights bring: nothing was silenced by its bias\. Closer, with clean images, and whether it classifies them at all: secateur inspect /,
  );
});
