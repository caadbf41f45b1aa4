/** Types for a batch that was never run are those of a run with it. */
import { afterAll, describe, expect, it } from 'vitest';
import { f32, i64, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Model } from '../../src/onnx/model.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import type { Runtime, Session } from '../../src/runtime/session.ts';

const native = nativeRuntime({ threads: 1 });
afterAll(() => native.dispose());

/** Counts runs and the elements that come back. */
function counted(): { runtime: Runtime; batches: number[] } {
  const batches: number[] = [];
  const open = async (...given: Parameters<Runtime['open']>): Promise<Session> => {
    const session = await native.open(...given);
    const types: Session['types'] = (feeds, limit) => {
      batches.push(feeds.x.dims[0]);
      return session.types(feeds, limit);
    };
    return { ...session, types, close: () => session.close() } as Session;
  };
  return { runtime: { backend: 'native', threads: 1, open }, batches };
}

function model(add: (b: GraphBuilder) => string): Model {
  const b = new GraphBuilder();
  b.input('x', 'float32', ['batch', 4]);
  b.output(add(b));
  return b.build();
}

/** Shape arithmetic, as exporters write a flatten. */
const flatten = model((b) => {
  const shape = b.op('Shape', ['x'], {}, { name: 'shape' });
  const batch = b.op('Gather', [shape, b.initializer('zero', i64([0]))], {}, { name: 'size' });
  const target = b.op('Concat', [batch, b.ints([2, 2])], { axis: 0 }, { name: 'target' });
  return b.op('Reshape', ['x', target], {}, { name: 'y' });
});

/** batch x batch elements in a row. */
const square = model((b) => {
  const product = b.op('MatMul', ['x', b.op('Transpose', ['x'], { perm: [1, 0] }, { name: 'turned' })]);
  return b.op('Reshape', [product, b.ints([-1])], {}, { name: 'y' });
});

const plain = (types: Awaited<ReturnType<typeof probe>>): [string, string][] =>
  [...types]
    .map(([name, t]): [string, string] => [name, `${t.dtype} [${t.dims}] ${t.constant === undefined ? '' : [...t.constant.data]}`])
    .sort();

describe('probe', () => {
  it('tells a large batch from three small runs, constants of shape arithmetic included', async () => {
    const { runtime, batches } = counted();
    const types = await probe(runtime, flatten, { batch: 200 });
    expect(batches).toEqual([2, 3, 5]);
    expect(types.get('y')).toEqual({ dtype: 'float32', dims: [200, 2, 2] });
    const target = types.get('target')?.constant as Tensor;
    expect([...target.data]).toEqual([200n, 2n, 2n]);
    // The same as fixed sizes, which are run as they are.
    const fixed: Model = { ...flatten, graph: { ...flatten.graph, inputs: [{ name: 'x', dtype: 'float32', dims: [200, 4] }] } };
    expect(plain(types)).toEqual(plain(await probe(native, fixed)));
  });

  it('runs the batch itself where sizes do not grow evenly', async () => {
    const { runtime, batches } = counted();
    const types = await probe(runtime, square, { batch: 20 });
    expect(batches).toEqual([2, 3, 5, 20]);
    expect(types.get('y')?.dims).toEqual([400]);
  });

  it('runs a small batch as it is', async () => {
    const { runtime, batches } = counted();
    expect((await probe(runtime, flatten, { batch: 4 })).get('y')?.dims).toEqual([4, 2, 2]);
    expect(batches).toEqual([4]);
  });

  it('does not ask for four-bit values, for which onnxruntime-node ends the process', async () => {
    const b = new GraphBuilder({ opset: 21 });
    b.input('x', 'float32', ['batch', 4]);
    const scale = b.initializer('scale', f32([0.5], []));
    const zero = b.initializer('zero', { dtype: 'int4', dims: [], data: Uint8Array.of(0) });
    const quantized = b.op('QuantizeLinear', ['x', scale, zero], {}, { name: 'quantized' });
    const turned = b.op('Transpose', [quantized], {}, { name: 'turned' });
    b.output(b.op('DequantizeLinear', [turned, scale, zero], {}, { name: 'y' }));
    const types = await probe(native, b.build(), { batch: 3 });
    expect([...types.keys()].sort()).toEqual(['scale', 'x', 'y', 'zero']);
    expect(types.get('y')?.dims).toEqual([4, 3]);
  });
});
