/** What every runtime must do alike. Each backend's test file calls this; known gaps are skipped with a reason. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { f32, i64, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import type { Port } from '../../src/runtime/pool.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import type { Runtime } from '../../src/runtime/session.ts';

/** `worker` and `dispose` where there is a worker thread. */
export type Tested = Runtime & { readonly worker?: Port; dispose?(): Promise<void> };

export interface Skip {
  readonly test: string;
  readonly reason: string;
}

function accumulator(): GraphBuilder {
  const b = new GraphBuilder();
  b.input('x', 'float32', [2]);
  b.input('sum', 'float32', [2]);
  const next = b.op('Add', ['sum', 'x'], {}, { name: 'next' });
  b.output(b.op('Mul', [next, next], {}, { name: 'square' }), 'float32', [2]);
  b.output(next, 'float32', [2]);
  return b;
}

export function runtimeConformance(name: string, make: () => Tested | Promise<Tested>, skips: readonly Skip[] = []): void {
  const it = (title: string, body: () => Promise<void>): void => {
    const skip = skips.find((s) => s.test === title);
    if (skip) test.skip(`${title} (skipped: ${skip.reason})`, body);
    else test(title, body);
  };

  describe(`${name} runtime`, () => {
    let runtime: Tested;
    beforeAll(async () => {
      runtime = await make();
    });
    afterAll(() => runtime.dispose?.());

    it('runs a graph from the IR and from bytes alike', async () => {
      const b = new GraphBuilder();
      b.input('a', 'float32', ['n', 2]);
      b.output(b.op('MatMul', ['a', b.initializer('w', f32([1, 2, 3, 4], [2, 2]))], {}, { name: 'y' }), 'float32', ['n', 2]);
      for (const model of [b.build(), writeModel(b.build())]) {
        const session = await runtime.open(model);
        expect(session.inputNames).toEqual(['a']);
        expect(session.outputNames).toEqual(['y']);
        const { y } = await session.run({ a: f32([1, 1, 0, 1], [2, 2]) });
        expect(y.dims).toEqual([2, 2]);
        expect([...y.data]).toEqual([4, 6, 3, 4]);
        await session.close();
      }
    });

    it('says the types of all outputs, and the values of small ones', async () => {
      const b = new GraphBuilder();
      b.input('x', 'float32', ['n', 2]);
      b.output(b.op('Shape', ['x'], {}, { name: 'shape' }));
      b.output(b.op('Tile', ['x', b.ints([1, 3])], {}, { name: 'large' }));
      const session = await runtime.open(b.build());
      expect(await session.types({ x: f32([1, 2, 3, 4], [2, 2]) }, 4)).toEqual({
        shape: { dtype: 'int64', dims: [2], constant: i64([2, 2]) },
        large: { dtype: 'float32', dims: [2, 6] },
      });
      await session.close();
    });

    it('keeps every element type', async () => {
      const tensors: Record<string, Tensor> = {
        f64: { dtype: 'float64', dims: [2], data: Float64Array.of(0.1, -2) },
        i64: i64([-1, 2 ** 40]),
        i32: { dtype: 'int32', dims: [2], data: Int32Array.of(-7, 7) },
        u8: { dtype: 'uint8', dims: [2], data: Uint8Array.of(0, 255) },
        bool: { dtype: 'bool', dims: [2], data: Uint8Array.of(0, 1) },
      };
      const b = new GraphBuilder();
      for (const [key, t] of Object.entries(tensors)) {
        b.input(key, t.dtype, t.dims);
        b.output(b.op('Identity', [key], {}, { outputs: [`${key}.out`] }), t.dtype, t.dims);
      }
      const session = await runtime.open(b.build());
      const out = await session.run(tensors);
      for (const [key, t] of Object.entries(tensors)) expect(out[`${key}.out`], key).toEqual(t);
      await session.close();
    });

    it('carries state from run to run and gives and takes it', async () => {
      const first = f32([1, 2], [2]);
      const session = await runtime.open(accumulator().build(), { carry: { sum: 'next' }, state: { sum: first } });
      expect(session.inputNames).toEqual(['x']);
      expect(session.outputNames).toEqual(['square']);
      const x = f32([1, 1], [2]);
      expect([...(await session.run({ x })).square.data]).toEqual([4, 9]);
      expect([...(await session.run({ x })).square.data]).toEqual([9, 16]);
      expect([...(await session.run({ x })).square.data]).toEqual([16, 25]);
      expect([...(await session.state()).sum.data]).toEqual([4, 5]);
      expect([...first.data], 'what the caller gave is untouched').toEqual([1, 2]);
      await session.setState({ sum: f32([10, 20], [2]) });
      expect([...(await session.run({ x })).square.data]).toEqual([121, 441]);
      await session.close();
    });

    it('holds inputs that are given once', async () => {
      const session = await runtime.open(accumulator().build(), { state: { sum: f32([5, 6], [2]) } });
      expect(session.inputNames).toEqual(['x']);
      for (let i = 0; i < 2; i++) expect([...(await session.run({ x: f32([1, 1], [2]) })).next.data]).toEqual([6, 7]);
      await session.close();
    });

    it('carries out overlapping calls in order', async () => {
      const session = await runtime.open(accumulator().build(), { carry: { sum: 'next' }, state: { sum: f32([0, 0], [2]) } });
      const x = f32([1, 2], [2]);
      const results = await Promise.all(Array.from({ length: 8 }, () => session.run({ x })));
      expect(results.map((r) => r.square.data[0])).toEqual([1, 4, 9, 16, 25, 36, 49, 64]);
      await session.close();
    });

    it('gives only the outputs asked for, and takes buffers on request', async () => {
      const b = accumulator();
      const session = await runtime.open(b.build());
      const x = f32(new Float32Array([1, 1]), [2]);
      const out = await session.run({ x, sum: f32([0, 0], [2]) }, { outputs: ['next'], transfer: true });
      expect(Object.keys(out)).toEqual(['next']);
      if (runtime.worker !== undefined) expect(x.data.length, 'the buffer was moved').toBe(0);
      await session.close();
    });

    it('says what was wrong with a run and goes on', async () => {
      const session = await runtime.open(accumulator().build());
      await expect(session.run({ x: f32([1, 2, 3], [3]), sum: f32([0, 0], [2]) })).rejects.toThrow(
        new RegExp(`^runtime \\(${runtime.backend}\\): `),
      );
      expect([...(await session.run({ x: f32([1, 2], [2]), sum: f32([0, 0], [2]) })).next.data]).toEqual([1, 2]);
      await session.close();
      await expect(session.run({ x: f32([1, 2], [2]), sum: f32([0, 0], [2]) })).rejects.toThrow('session is closed');
    });

    it('refuses what is no model, naming it', async () => {
      await expect(runtime.open(new TextEncoder().encode('not a model'), { label: 'stranger.onnx' })).rejects.toThrow(
        new RegExp(`^runtime \\(${runtime.backend}\\): stranger.onnx: `),
      );
    });

    it('leaves the event loop free while it runs', async () => {
      const n = 384;
      const b = new GraphBuilder();
      let value = b.input('a', 'float32', [n, n]);
      for (let i = 0; i < 60; i++) value = b.op('Softmax', [b.op('MatMul', [value, 'a'])], { axis: 1 });
      b.output(value, 'float32', [n, n]);
      const session = await runtime.open(b.build());
      let ticks = 0;
      let stop = false;
      const tick = (): void => {
        ticks++;
        if (!stop) setImmediate(tick);
      };
      setImmediate(tick);
      await session.run({ a: f32(new Float32Array(n * n).fill(0.01), [n, n]) });
      stop = true;
      expect(ticks).toBeGreaterThan(5);
      await session.close();
    });

    it('finds the type of every value for a batch size', async () => {
      const b = new GraphBuilder();
      b.input('x', 'float32', ['batch', 3, 4, 4]);
      const conv = b.op(
        'Conv',
        ['x', b.initializer('w', f32(new Float32Array(2 * 3 * 9), [2, 3, 3, 3]))],
        { kernel_shape: [3, 3] },
        { name: 'conv' },
      );
      const shape = b.op('Shape', [conv], {}, { name: 'shape' });
      const rows = b.op('Gather', [shape, b.constant({ dtype: 'int64', dims: [1], data: BigInt64Array.of(0n) })], {}, { name: 'rows' });
      const flat = b.op('Reshape', [conv, b.op('Concat', [rows, b.ints([-1])], { axis: 0 }, { name: 'target' })], {}, { name: 'flat' });
      b.output(flat, 'float32', ['batch', 8]);
      const types = await probe(runtime, b.build(), { batch: 5 });
      expect(types.get('x')?.dims).toEqual([5, 3, 4, 4]);
      expect(types.get('conv')).toEqual({ dtype: 'float32', dims: [5, 2, 2, 2] });
      expect(types.get('flat')?.dims).toEqual([5, 8]);
      expect([...(types.get('target')?.constant?.data ?? [])].map(Number)).toEqual([5, -1]);
    });

    it('reports a worker that dies, and starts another', async () => {
      const own = await make();
      const session = await own.open(accumulator().build());
      const pending = session.run({ x: f32([1, 2], [2]), sum: f32([0, 0], [2]) });
      own.worker?.ref();
      await Promise.all([
        expect(pending).rejects.toThrow('the worker thread that runs the model died: it exited with code 1'),
        own.worker?.terminate(),
      ]);
      await expect(session.run({})).rejects.toThrow('the worker thread that runs the model died');
      const again = await own.open(accumulator().build());
      expect([...(await again.run({ x: f32([1, 2], [2]), sum: f32([0, 0], [2]) })).next.data]).toEqual([1, 2]);
      await again.close();
      await own.dispose?.();
    });
  });
}
