/** Finds out whether ONNX Runtime's blocked convolution works here, and with which block size, by comparing it with the plain one. */
import { f32, sizeOf } from '../../core/tensor.ts';
import { GraphBuilder } from '../../onnx/builder.ts';
import type { Runtime } from '../session.ts';
import type { EmitContext, Geometry } from './candidate.ts';
import { nchwcConv } from './nchwc.ts';

/** AVX-512 and NEON, AVX2 and SSE, older NEON builds. */
const BLOCKS = [16, 8, 4];

/** A convolution on which a wrong block size gives wrong numbers. */
const TRIAL: Geometry = {
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  padsBegin: [1, 1],
  padsEnd: [1, 1],
  group: 1,
  input: [1, 32, 5, 5],
  output: [1, 48, 5, 5],
  rank: 2,
};

/** The block size, or 0 where the operators are absent or wrong. */
export async function nchwcBlock(runtime: Runtime): Promise<number> {
  const x = f32(wave([1, 32, 5, 5], 0.37), [1, 32, 5, 5]);
  const w = f32(wave([48, 32, 3, 3], 0.11), [48, 32, 3, 3]);
  const trial = async (block: number): Promise<Float32Array | undefined> => {
    const b = new GraphBuilder();
    b.input('x', 'float32', x.dims);
    b.input('w', 'float32', w.dims);
    if (block === 0)
      b.output(b.op('Conv', ['x', 'w'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { outputs: ['y'] }), 'float32', TRIAL.output);
    else {
      const op: EmitContext['op'] = (type, inputs, attributes, domain) => b.op(type, inputs, attributes, { domain: domain ?? '' });
      const context = { b, op, machine: { nchwcBlock: block } } as unknown as EmitContext;
      b.output(b.op('Identity', [nchwcConv(context, TRIAL, 'x', 'w')], {}, { outputs: ['y'] }), 'float32', TRIAL.output);
    }
    try {
      const session = await runtime.open(b.build());
      const { y } = await session.run({ x, w });
      await session.close();
      return y.data as Float32Array;
    } catch {
      // The backend does not know these operators, or refuses this block size: then there is nothing to choose.
      return undefined;
    }
  };
  const expected = await trial(0);
  if (expected === undefined) return 0;
  for (const block of BLOCKS) {
    const y = await trial(block);
    if (y !== undefined && y.length === expected.length && y.every((v, i) => Math.abs(v - expected[i]) < 1e-3)) return block;
  }
  return 0;
}

/** Numbers without a period that a block boundary could hide. */
function wave(dims: readonly number[], step: number): Float32Array {
  return Float32Array.from({ length: sizeOf(dims) }, (_, i) => Math.sin(i * step) * Math.cos(i * 0.013));
}
