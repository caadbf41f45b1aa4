import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { loadModel, saveModel } from '../../src/onnx/file.node.ts';
import { smooth } from '../grad/differences.ts';
import { linear, net } from '../grad/nets.ts';
import { errorOf, run, scratch } from './in-process.ts';

// What runs a stranger's file in a process of its own is tested with it; here it would only take time.
vi.mock('../../src/runtime/open.node.ts', async () => {
  const { inProcess } = await import('../grad/runtime.ts');
  return { openRuntime: async () => ({ ...inProcess, dispose: async () => {} }) };
});

describe('doctor MODEL', () => {
  const folder = scratch();

  test('what it is, what is known of its pixels, what can be trained and from where on', async () => {
    const rng = Rng.from(1);
    const model = net([3, 4, 4], (b) => {
      const w = b.initializer('conv.weight', smooth(rng, [2, 3, 3, 3]));
      const conv = b.op('Conv', ['x', w], { pads: [1, 1, 1, 1] }, { name: 'conv' });
      const flat = b.op('Flatten', [b.op('Relu', [conv], {}, { name: 'relu' })], {}, { name: 'flat' });
      const odd = b.op('Normalizer', [flat], { norm: 'L2' }, { name: 'odd', domain: 'ai.onnx.ml' });
      return linear(b, rng, 'head', odd, 32, 5);
    });
    await saveModel(join(folder, 'odd.onnx'), model);
    const { code, out } = await run('doctor', join(folder, 'odd.onnx'));
    expect(code).toBe(0);
    expect(out).toMatch(/^\S+odd\.onnx: a classifier of 5 classes; it can be trained from "head" on \(75\.3 % of its parameters\)\n/);
    expect(out).toContain('\n  operators   5: 1 Conv, 1 Flatten, 1 Gemm, 1 Relu, 1 ai.onnx.ml.Normalizer (all of them accepted)\n');
    expect(out).toMatch(/\n {2}images {6}not known: nothing says how pixels become inputs of this network: --preprocess /);
    expect(out).toContain(
      [
        'training',
        '  trained              1 node:  1 Gemm',
        '  have no gradient     1 node:  1 Normalizer',
        '  frozen before        3 nodes: 1 Conv, 1 Flatten, 1 Relu',
        '    Normalizer "odd": no gradient rule',
        '',
        'layers with parameters (2)',
        '  conv  Conv  [2,3,3,3]     frozen',
        '  head  Gemm  [5,32] + [5]',
      ].join('\n'),
    );
    expect(out).toContain('Try --freeze-before head with finetune and fineprune: ');
    const known = await run('doctor', join(folder, 'odd.onnx'), '--input-range', '0,1', '--mean', '0.5', '--std', '0.25', '--json');
    const json = JSON.parse(known.out) as { pixels: string; training: { freezeBefore: string; layers: unknown[] } };
    expect(json.pixels).toBe('3x4x4 RGB NCHW, 0..255 becomes 0..1, then minus 0.5,0.5,0.5, divided by 0.25,0.25,0.25');
    expect([json.training.freezeBefore, json.training.layers.length]).toEqual(['head', 2]);
  });

  test.each(['finetune', 'fineprune'])('what it advises is a flag of %s', async (command) => {
    const path = join(folder, 'blocked.onnx');
    const model = net([1, 28, 28], (b, rng) => {
      const conv = b.op('Conv', ['x', b.initializer('conv.weight', smooth(rng, [4, 1, 7, 7]))], { strides: [7, 7] }, { name: 'conv' });
      const flat = b.op('Flatten', [b.op('Relu', [conv], {}, { name: 'relu' })], {}, { name: 'flat' });
      return linear(b, rng, 'head', b.op('Normalizer', [flat], { norm: 'L2' }, { name: 'odd', domain: 'ai.onnx.ml' }), 64, 10);
    });
    model.graph.outputs[0].dims = ['batch', 10];
    await saveModel(path, model);
    const [, flag, node] = /^Try (--freeze-before) (\S+) with finetune and fineprune: /m.exec((await run('doctor', path)).out)!;
    const data = [
      '--data',
      'builtin:digits?train=60&test=20',
      '--validation',
      '40',
      '--input-range',
      '0,1',
      '--allow-chance',
      '--epochs',
      '1',
    ];
    const out = join(folder, `${command}-blocked`);
    const args = [command, path, ...data, '--out', out];
    const without = await run(...args);
    expect([without.code, errorOf(without)]).toEqual([
      1,
      'error: grad: no rule for operator "ai.onnx.ml.Normalizer" (node "odd"). Try --freeze-before head to train only the layers after it.',
    ]);
    const wrong = await run(...args, flag, 'haed');
    expect([wrong.code, errorOf(wrong)]).toEqual([
      1,
      'error: --freeze-before: the model has no node "haed", expected the name of a node or of a value. Try --freeze-before head.',
    ]);
    expect(wrong.err).not.toContain('reading data');
    expect((await run(...args, flag, node)).code).toBe(0);
    const [before, after] = [model, await loadModel(join(out, 'model.onnx'))].map((m) => m.graph.initializers);
    expect(after.get('head.bias')!.data).not.toEqual(before.get('head.bias')!.data);
    if (command === 'finetune') expect(after.get('conv.weight')!.data).toEqual(before.get('conv.weight')!.data);
  });

  test('many layers stay readable: equal neighbours are one line, and of many lines the first and the last are shown', async () => {
    const rng = Rng.from(1);
    const deep = (different: boolean) =>
      net([4], (b) => {
        let x = 'x';
        let size = 4;
        for (let i = 0; i < 60; i++) {
          const next = different ? 3 + (i % 2) : 4;
          x = b.op('Relu', [linear(b, rng, `layer${i}`, x, size, next)]);
          size = next;
        }
        return x;
      });
    await saveModel(join(folder, 'same.onnx'), deep(false));
    const same = await run('doctor', join(folder, 'same.onnx'));
    expect(same.out).toContain('layers with parameters (60)\n  layer0 ... layer59  60 x Gemm  [4,4] + [4]\n');
    await saveModel(join(folder, 'many.onnx'), deep(true));
    const many = await run('doctor', join(folder, 'many.onnx'));
    expect(many.out).toContain('\n  ... 20 lines more, all of them with --json ...\n');
    expect(many.out.split('\n').length).toBeLessThan(60);
  });

  test('a file that is refused is an error, not a report', async () => {
    writeFileSync(join(folder, 'page.onnx'), '<!doctype html>');
    const refused = await run('doctor', join(folder, 'page.onnx'));
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/^error: \S+page\.onnx: not an ONNX model, expected the protobuf of an ONNX file, got a web page/m);
  });
});
