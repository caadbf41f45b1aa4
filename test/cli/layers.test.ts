import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { stacked } from '../onnx/cut-nets.ts';
import { errorOf, run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));

describe('inspect --layers', () => {
  it('lists what can be cut and how, and says which one is taken and why', async () => {
    const path = join(folder, 'residual.onnx');
    writeFileSync(path, writeModel(stacked(['residual'], 'averaged')));
    const { code, out } = await run('inspect', path, '--layers', '--trusted', '--out', join(folder, 'layers'));
    expect(code).toBe(0);
    expect(out).toContain(
      [
        '4 layers can be cut, default 0.add',
        '',
        'layers',
        '     stem     Conv  4 channels  [4,8,8]  weights  Relu > MaxPool > Conv > Add',
        '     0.conv1  Conv  4 channels  [4,4,4]  weights  Relu > Conv',
        '     0.conv2  Conv  4 channels  [4,4,4]  weights  BatchNormalization > Add',
        '  *  0.add    Add   4 channels  [4,4,4]  Mul      Relu > GlobalAveragePool > Flatten > Gemm',
        "     fc       Gemm                                not cut: its channels are the model's outputs",
        'weights: a channel is cut by zeros in what is stored; Mul: by a product with 0 and 1 that is put behind it.',
        '* pruned by default: 0.add: the output of the last convolutional block, behind its residual Add and Relu.',
        '  It is cut by a Mul, as node "0.conv1" (Conv) reads "stem.pool" too.',
      ].join('\n'),
    );
  });

  it('is the list only', async () => {
    const path = join(folder, 'residual.onnx');
    const printed = await run('inspect', path, '--layers', '--layer', '0.add', '--out', join(folder, 'both'));
    expect(printed.code).toBe(2);
    expect(errorOf(printed)).toBe('error: --layers: gives the list only, not with --layer. Try one of the two.');
  });

  it('says so where there is nothing to cut', async () => {
    const b = new GraphBuilder({ name: 'none' });
    b.output(b.op('Relu', [b.input('x', 'float32', ['batch', 3])]), 'float32', ['batch', 3]);
    const path = join(folder, 'none.onnx');
    writeFileSync(path, writeModel(b.build()));
    const { code, out } = await run('inspect', path, '--layers', '--trusted', '--out', join(folder, 'none'));
    expect(code).toBe(0);
    expect(out).toContain('0 layers can be cut\n\nlayers: none, there is no Conv, Gemm or MatMul with weights in it');
  });
});
