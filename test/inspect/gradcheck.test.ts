import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32, i64, type Tensor } from '../../src/core/tensor.ts';
import { compareWithGolden } from '../../src/inspect/gradcheck.ts';
import { checkByDifferences } from '../../src/inspect/gradcheck-differences.ts';
import type { Model } from '../../src/onnx/model.ts';
import type { Runtime } from '../../src/runtime/session.ts';
import { goldenModel, goldenTensors } from '../grad/golden.ts';
import { linear, net } from '../grad/nets.ts';
import { inProcess } from '../grad/runtime.ts';

/** What PyTorch computed, in the form of a golden file. */
function torchGolden(name = 'mnist-cnn'): Map<string, Tensor> {
  const values = goldenTensors(name);
  const keys = [...values.keys()];
  const gradients = keys
    .filter((key) => key.startsWith('grad:'))
    .map((key): [string, Tensor] => [`grad/${key.slice(5)}`, values.get(key)!]);
  const get = (key: string): Tensor => values.get(key)!;
  return new Map([['input', get('x')], ['labels', get('labels')], ['logits', get('logits')], ['loss', get('loss')], ...gradients]);
}

const where = 'golden.npz';

describe('with a golden file', () => {
  const model = goldenModel('mnist-cnn');

  it('what PyTorch computed is what comes out here', async () => {
    const found = await compareWithGolden(inProcess, model, torchGolden(), { where });
    expect(found.tensors.map((t) => t.ok)).toEqual(found.tensors.map(() => true));
    expect(found.tensors.length).toBe(torchGolden().size - 2);
    expect(Math.max(...found.tensors.map((t) => t.error))).toBeLessThan(1e-4);
    expect([found.notInModel, found.notInGolden]).toEqual([[], []]);
    const errors = found.tensors.map((t) => t.error);
    expect(errors).toEqual(errors.toSorted((a, b) => b - a));
  });

  it('batch norm with the statistics of the batch, on request', async () => {
    const net = goldenModel('resnet');
    const golden = torchGolden('resnet-training');
    const found = await compareWithGolden(inProcess, net, golden, { where, batchNorm: 'training' });
    expect(found.tensors.filter((t) => !t.ok)).toEqual([]);
    const other = await compareWithGolden(inProcess, net, golden, { where });
    expect(other.tensors.some((t) => t.name === 'logits' && !t.ok)).toBe(true);
  });

  it('sees what is off, and puts it first', async () => {
    const golden = torchGolden();
    const [key] = [...golden.keys()].filter((k) => k.startsWith('grad/') && golden.get(k)!.dims.length === 4);
    const data = Float32Array.from(golden.get(key)!.data as Float32Array);
    const largest = data.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
    data[0] += 0.01 * largest;
    golden.set(key, f32(data, golden.get(key)!.dims));
    const { tensors } = await compareWithGolden(inProcess, model, golden, { where });
    expect(tensors[0]).toMatchObject({ name: key.slice(5), ok: false });
    expect(tensors[0].error).toBeCloseTo(0.01, 3);
    expect(tensors.filter((t) => !t.ok).length).toBe(1);
    const wide = await compareWithGolden(inProcess, model, golden, { where, tolerance: 0.02 });
    expect(wide.tensors.every((t) => t.ok)).toBe(true);
  });

  it('says which names only one of the two has; float64 and grad/input are taken', async () => {
    const golden = torchGolden();
    const [first] = [...golden.keys()].filter((k) => k.startsWith('grad/'));
    golden.set('grad/nowhere.weight', golden.get(first)!);
    const input = golden.get('input')!;
    golden.set('input', { ...input, dtype: 'float64', data: Float64Array.from(input.data as Float32Array) });
    const gradient = golden.get(`grad/${model.graph.inputs[0].name}`);
    if (gradient) golden.set('grad/input', gradient);
    golden.delete(first);
    const found = await compareWithGolden(inProcess, model, golden, { where });
    expect(found.notInModel).toEqual(['nowhere.weight']);
    expect(found.notInGolden).toEqual(first === 'grad/x' ? [] : [first.slice(5)]);
    expect(found.tensors.every((t) => t.ok)).toBe(true);
  });

  it('errors name the array, what was expected and what is there', async () => {
    const without = (change: (golden: Map<string, Tensor>) => void): Promise<string> => {
      const golden = torchGolden();
      change(golden);
      return compareWithGolden(inProcess, model, golden, { where }).then(
        () => 'no error',
        (error: Error) => error.message,
      );
    };
    const set = (key: string, tensor: Tensor) => (golden: Map<string, Tensor>) => void golden.set(key, tensor);
    expect(await without((g) => g.delete('logits'))).toMatch(
      /^golden\.npz: no array "logits", expected input, labels, logits, loss and grad\/NAME for each gradient, got input, labels, loss, /,
    );
    expect(await without((g) => g.set('label', g.get('labels')!) && g.delete('labels'))).toMatch(/ Try to rename "label"\.$/);
    expect(await without(set('labels', f32([0, 1], [2])))).toBe(
      'golden.npz: elements of "labels", expected integers, class numbers from 0, got float32.',
    );
    expect(await without(set('labels', i64([1])))).toMatch(/^golden\.npz: shape of "labels", expected \[\d+\], got \[1\]\.$/);
    expect(await without(set('input', f32([1, 2], [2, 1])))).toMatch(
      /^golden\.npz: shape of "input", expected \[.*,1,28,28\], as the model's ".*", got \[2,1\]\.$/,
    );
    expect(await without(set('loss', f32([1, 2], [2])))).toBe('golden.npz: shape of "loss", expected [], got [2].');
    expect(await without(set('loss', i64([1])))).toBe('golden.npz: elements of "loss", expected float32 or float64, got int64.');
    const [some] = [...torchGolden().keys()].filter((k) => k.startsWith('grad/'));
    expect(await without(set(some, f32([1], [1])))).toMatch(/^golden\.npz: shape of "grad\/.*", expected \[.*\], got \[1\]\.$/);
    expect(
      await without((g) => {
        for (const key of g.keys()) if (key.startsWith('grad/')) g.delete(key);
      }),
    ).toMatch(/^golden\.npz: no gradients, expected arrays named grad\/NAME, NAME as in the ONNX file: .*, got none\.$/);
    const count = torchGolden().get('labels')!.dims[0];
    expect(await without(set('labels', i64(new Array<number>(count).fill(10))))).toBe(
      'golden.npz: class in "labels", expected 0 to 9, as there are 10 logits, got 10.',
    );
  });
});

describe('by differences of the loss', () => {
  const model = net([6], (b, rng) => {
    const hidden = b.op('Tanh', [linear(b, rng, 'a', 'x', 6, 5)], {}, { name: 'tanh' });
    return linear(b, rng, 'b', hidden, 5, 3);
  });

  it('every tensor of a small network is judged and right', async () => {
    const found = await checkByDifferences(inProcess, model);
    expect(found.tensors.map((t) => t.name).sort()).toEqual(['a.bias', 'a.weight', 'b.bias', 'b.weight', 'x']);
    expect(found.tensors.every((t) => t.ok)).toBe(true);
    expect(found.notJudged).toEqual([]);
    expect(found.batch).toBe(2);
  });

  it('a gradient that is wrong is found: scaled, shifted by one place, or said to be 0', async () => {
    const wrongs: ((data: Float32Array) => Float32Array)[] = [
      (d) => d.map((v) => v * 1.02),
      (d) => d.map((_, i) => d[(i + 1) % d.length]),
      (d) => d.map(() => 0),
    ];
    for (const wrong of wrongs) {
      const found = await checkByDifferences(tampered('a.weight', wrong), model);
      expect(found.tensors.filter((t) => !t.ok).map((t) => t.name)).toEqual(['a.weight']);
      expect(found.tensors[0].name).toBe('a.weight');
    }
  });

  it('with --freeze-before only what is left to train', async () => {
    const found = await checkByDifferences(inProcess, model, { freezeBefore: 'b' });
    expect(found.tensors.map((t) => t.name).sort()).toEqual(['b.bias', 'b.weight']);
  });

  it('an input of open size is asked for', async () => {
    const open = net([], (b) => b.op('Relu', ['x']));
    open.graph.inputs[0].dims = [null, 3, null, null];
    await expect(checkByDifferences(inProcess, open)).rejects.toThrow(
      'gradcheck: shape of the input "x", expected one that the file fixes, apart from the batch, got [?,3,?,?]. Try --input-shape 2,3,224,224, or whatever the network was made for.',
    );
    await expect(checkByDifferences(inProcess, open, { inputShape: [2, 1, 4, 4] })).rejects.toThrow(
      '--input-shape: shape of the input "x", expected [?,3,?,?], got [2,1,4,4].',
    );
  });
});

/** A runtime that gives another gradient of one tensor: the positive control. */
function tampered(name: string, wrong: (data: Float32Array) => Float32Array): Runtime {
  return {
    ...inProcess,
    async open(model, options) {
      const session = await inProcess.open(model, options);
      if (options?.label !== 'gradients') return session;
      // The outputs stand in the order of the logits, the loss and the gradients: found by running the real one.
      const output = gradientOutput(model as Model, name);
      return {
        ...session,
        async run(feeds, o) {
          const values = await session.run(feeds, o);
          const { dims, data } = values[output];
          return { ...values, [output]: f32(wrong(Float32Array.from(data as Float32Array)), dims) };
        },
      };
    },
  };
}

/** The gradient of a.weight is the only output of its shape. */
function gradientOutput({ graph }: Model, name: string): string {
  const { dims } = graph.initializers.get(name)!;
  return graph.outputs.find((o) => String(o.dims) === String(dims))!.name;
}

it('random numbers come from the seed', async () => {
  const model = net([4], (b) => linear(b, Rng.from(1), 'a', 'x', 4, 2));
  const [one, same, other] = [
    await checkByDifferences(inProcess, model, { seed: 1 }),
    await checkByDifferences(inProcess, model, { seed: 1 }),
    await checkByDifferences(inProcess, model, { seed: 2 }),
  ];
  expect(same).toEqual(one);
  expect(other.loss).not.toBe(one.loss);
});
