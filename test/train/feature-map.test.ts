import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { openRuntime } from '../../src/runtime/open.node.ts';
import { FeatureMap } from '../../src/train/networks/feature-map.ts';

test('a feature map knows the size that ONNX Runtime gives it: convolutions, pools that are padded, round down and up', async () => {
  const runtime = await openRuntime({ threads: 1 });
  try {
    const window = fc.record({ kernel: fc.integer({ min: 1, max: 5 }), stride: fc.integer({ min: 1, max: 4 }) });
    await fc.assert(
      fc.asyncProperty(
        window,
        window,
        fc.boolean(),
        fc.integer({ min: 9, max: 30 }),
        fc.integer({ min: 9, max: 30 }),
        fc.nat(2),
        async (c, p, ceil, h, w, most) => {
          const b = new GraphBuilder();
          b.input('x', 'float32', [1, 2, h, w]);
          const map = new FeatureMap(b, Rng.from(1), 'x', { channels: 2, height: h, width: w })
            .conv('conv', { to: 4, ...c, pad: 2, group: 2 })
            .lrn('norm', { size: 3, alpha: 1e-4, beta: 0.75 });
          fc.pre(Math.min(map.height, map.width) >= p.kernel);
          // Caffe and ONNX differ where a window would begin behind the end: no network here has such a pool.
          fc.pre(!ceil || p.kernel >= p.stride);
          // as in zf: padded pools round down, and a window never lies in the padding alone
          const pad = ceil ? 0 : Math.min(most, Math.floor(p.kernel / 2));
          const pooled = map.maxPool('pool', { ...p, pad, ceil });
          b.output(pooled.flatten('flat'));
          b.output(pooled.value);
          const session = await runtime.open(b.build());
          const { pool, flat } = await session.run({
            x: { dtype: 'float32', dims: [1, 2, h, w], data: new Float32Array(2 * h * w).fill(1) },
          });
          await session.close();
          expect(pool.dims).toEqual([1, pooled.channels, pooled.height, pooled.width]);
          expect(flat.dims).toEqual([1, pooled.features]);
        },
      ),
      { numRuns: 40, seed: 7 },
    );
  } finally {
    await runtime.dispose();
  }
});
