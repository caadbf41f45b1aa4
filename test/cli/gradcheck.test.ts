import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, i64, type Tensor } from '../../src/core/tensor.ts';
import { writeNpz } from '../../src/data/npz.ts';
import { saveModel } from '../../src/onnx/file.node.ts';
import type { Model } from '../../src/onnx/model.ts';
import { linear, net } from '../grad/nets.ts';
import { errorOf, run, scratch } from './in-process.ts';

vi.mock('../../src/runtime/open.node.ts', async () => {
  const { inProcess } = await import('../grad/runtime.ts');
  return { openRuntime: async () => ({ ...inProcess, dispose: async () => {} }) };
});

const folder = scratch();
const path = (name: string): string => join(folder, name);
mkdirSync(folder, { recursive: true });

/** y = x W + b with W = 0: softmax is even, so that the gradients are known without another framework. */
const arrays = (): [string, Tensor][] => {
  const third = 1 / 3;
  return [
    ['input', f32([1, 2], [1, 2])],
    ['labels', i64([0])],
    ['logits', f32([0, 0, 0], [1, 3])],
    ['loss', f32([Math.log(3)], [])],
    ['grad/fc.weight', f32([third - 1, 2 * (third - 1), third, 2 * third, third, 2 * third], [3, 2])],
    ['grad/fc.bias', f32([third - 1, third, third], [3])],
  ];
};

function zeroNet(): Model {
  const model = net([2], (b) => linear(b, Rng.from(1), 'fc', 'x', 2, 3));
  model.graph.initializers.set('fc.weight', f32(new Float32Array(6), [3, 2]));
  model.graph.initializers.set('fc.bias', f32(new Float32Array(3), [3]));
  return model;
}

beforeAll(async () => {
  await saveModel(path('model.onnx'), zeroNet());
  writeFileSync(path('right.npz'), writeNpz(arrays()));
  const wrong = arrays().map(([key, t]): [string, Tensor] => (key === 'grad/fc.bias' ? [key, f32([-0.6, 0.3, 0.3], [3])] : [key, t]));
  writeFileSync(path('wrong.npz'), writeNpz([...wrong, ['grad/other', f32([1], [1])]]));
});

const check = (...args: string[]) => run('gradcheck', path('model.onnx'), ...args);

describe('gradcheck', () => {
  test('a golden that agrees: a line a tensor, worst first', async () => {
    const { code, out } = await check('--golden', path('right.npz'));
    expect(code).toBe(0);
    const [line, , head, ...lines] = out.split('\n');
    expect(line).toMatch(/^gradients are right as in \S+right\.npz: worst \S+ \(.*\), tolerance 0\.001$/);
    expect(head.trim().split(/\s{2,}/)).toEqual(['tensor', 'shape', 'error', 'L2 error', 'largest']);
    const names = lines.filter((l) => l.startsWith('  ok')).map((l) => l.trim().split(/\s+/)[1]);
    expect(names.sort()).toEqual(['fc.bias', 'fc.weight', 'logits', 'loss']);
  });

  test('one that does not: exit code 3, the tensor, and names that only one of the two has', async () => {
    const { code, out } = await check('--golden', path('wrong.npz'));
    expect(code).toBe(3);
    expect(out).toMatch(/^1 of 4 tensors are not right as in \S+wrong\.npz: worst 1\.1e-1 \(fc\.bias\), tolerance 0\.001\n/);
    expect(out).toMatch(/\n {2}NO {2}fc\.bias +\[3\] +1\.1e-1 /);
    expect(out).toMatch(/gradients in \S+wrong\.npz of values that the model has not \(1\): other\n$/);
    const json = JSON.parse((await check('--golden', path('wrong.npz'), '--json')).out) as { ok: boolean; tensors: { name: string }[] };
    expect([json.ok, json.tensors[0].name]).toEqual([false, 'fc.bias']);
    expect((await check('--golden', path('wrong.npz'), '--tolerance', '0.2')).code).toBe(0);
  });

  test('without one: differences', async () => {
    const { code, out } = await check();
    expect(code).toBe(0);
    // The weights are all 0, so that the input makes no difference.
    expect(out).toMatch(/^gradients are right by differences of the loss, [12] of 3 judged: worst /);
    expect(out).toMatch(/\nnot judged \([12]\): .*\bx\b/);
  });

  test('errors', async () => {
    expect(errorOf(await check('--golden', path('none.npz')))).toMatch(/^error: npz: \S+none\.npz: .*no such file/);
    writeFileSync(path('text.npz'), 'this is no archive');
    expect(errorOf(await check('--golden', path('text.npz')))).toMatch(
      /^error: npz: \S+text\.npz: zip archive is damaged, expected a whole zip archive, got no directory at its end\./,
    );
    writeFileSync(path('few.npz'), writeNpz(arrays().slice(0, 2)));
    expect(errorOf(await check('--golden', path('few.npz')))).toMatch(
      /^error: \S+few\.npz: no gradients, expected arrays named grad\/NAME, NAME as in the ONNX file: fc\.weight, fc\.bias, got none\.$/,
    );
    expect(errorOf(await check('--freeze-before', 'fd'))).toBe(
      'error: --freeze-before: the model has no node "fd", expected the name of a node or of a value. Try --freeze-before fc.',
    );
  });
});
