import { describe, expect, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { trainableFrom } from '../../src/grad/freeze.ts';
import { parametersOf } from '../../src/grad/parameters.ts';
import { type GradientOptions, gradientGraph, type StepOptions, trainingStep, withWeights } from '../../src/grad/step.ts';
import { rules } from '../../src/grad/table.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Model } from '../../src/onnx/model.ts';
import { between, smooth } from './differences.ts';
import { linear, net, typesOf } from './nets.ts';

const options: StepOptions = { input: 'x', logits: 'logits', loss: 'cross-entropy', optimizer: { kind: 'sgd' } };
const step = async (model: Model, o: Partial<StepOptions> = {}) => trainingStep(model, await typesOf(model, 2), { ...options, ...o });
const gradients = async (model: Model, o: Partial<GradientOptions> = {}) =>
  gradientGraph(model, await typesOf(model, 2), { ...options, ...o });

const named = (b: GraphBuilder, op: string, inputs: string[], name: string, attributes = {}): string =>
  b.op(op, inputs, attributes, { name, outputs: [`${name}.out`] });
const logits = (b: GraphBuilder, x: string): string => b.op('Identity', [x], {}, { outputs: ['logits'] });

/** fc1 -> Erf "middle" -> fc2 -> logits; Erf has no rule. */
const blocked = net([3], (b, rng) => {
  const h = named(b, 'Erf', [linear(b, rng, 'fc1', 'x', 3, 3)], 'middle');
  return logits(b, linear(b, rng, 'fc2', h, 3, 3));
});

describe('an operator without a rule', () => {
  it('is named, with its node, the version, and the layer to freeze before', async () => {
    expect(Object.hasOwn(rules, 'Erf')).toBe(false);
    await expect(step(blocked)).rejects.toThrow(
      'grad: no rule for operator "Erf" (node "middle", opset 17). Try --freeze-before fc2 to train only the layers after it.',
    );
  });

  it('does not matter where the advice is followed', async () => {
    const left = trainableFrom(blocked, 'fc2');
    const { parameters } = await step(blocked, { trainable: (name) => left.has(name) });
    expect(parameters).toEqual(['fc2.weight', 'fc2.bias']);
  });

  it('twice: the advice leads past both', async () => {
    const model = net([3], (b, rng) => {
      const a = named(b, 'Erf', [linear(b, rng, 'fc1', 'x', 3, 3)], 'one');
      const c = linear(b, rng, 'fc2', a, 3, 3);
      const side = named(b, 'Elu', [linear(b, rng, 'fc3', c, 3, 3)], 'two');
      return logits(b, linear(b, rng, 'fc4', b.op('Add', [side, c]), 3, 3));
    });
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "Elu" (node "two", opset 17). Try --freeze-before fc4 to train only the layers after it.',
    );
  });

  it('that no layer follows: there is no way out, and it says so', async () => {
    const model = net([3], (b, rng) => logits(b, named(b, 'Erf', [linear(b, rng, 'fc1', 'x', 3, 3)], 'last')));
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "Erf" (node "last", opset 17). Try a model with trainable layers after this node: ' +
        'there are none here, so nothing can be trained.',
    );
  });

  it("between the loss and an input's gradient: freezing does not help", async () => {
    await expect(gradients(blocked, { wrt: ['x', 'fc2.weight'] })).rejects.toThrow(
      'grad: no rule for operator "Erf" (node "middle", opset 17). Try it without the gradient of "x", which has to pass this node.',
    );
  });

  it('of another domain is named with it; a node without a name by its output', async () => {
    const model = net([3], (b, rng) => {
      const h = b.op('Gelu', [linear(b, rng, 'fc1', 'x', 3, 3)], {}, { domain: 'com.microsoft', outputs: ['gelu.out'] });
      return logits(b, linear(b, rng, 'fc2', h, 3, 3));
    });
    for (const node of model.graph.nodes) if (node.opType === 'Gelu') node.name = '';
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "com.microsoft.Gelu" (node "gelu.out"). Try --freeze-before fc2 to train only the layers after it.',
    );
  });

  it('with attributes that its rule cannot do says which', async () => {
    const model = net(
      [1, 4, 4],
      (b, rng) => {
        const w = b.initializer('w', smooth(rng, [1, 1, 1, 1]));
        const c = named(b, 'Conv', ['x', w], 'conv');
        const p = b.op('AveragePool', [c], { kernel_shape: [2, 2], dilations: [2, 2] }, { name: 'pool' });
        return logits(b, linear(b, rng, 'fc', b.op('Flatten', [p]), 4, 3));
      },
      19,
    );
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "AveragePool" with dilations (node "pool", opset 19). Try --freeze-before fc to train only the layers after it.',
    );
  });

  it('in a subgraph that reads a trained value is found', async () => {
    const model = net([3], (b, rng) => {
      const h = linear(b, rng, 'fc1', 'x', 3, 3);
      const flag = b.constant({ dtype: 'bool', dims: [], data: Uint8Array.of(1) });
      return logits(b, linear(b, rng, 'fc2', b.op('If', [flag], {}, { name: 'choice', outputs: [`${h}.chosen`] }), 3, 3));
    });
    const choice = model.graph.nodes.find((n) => n.opType === 'If')!;
    for (const branch of ['then_branch', 'else_branch']) {
      const output = { name: `${branch}.out`, dtype: 'float32' as const, dims: [null, 3] };
      const node = { name: '', opType: 'Tanh', domain: '', inputs: ['fc1.out'], outputs: [output.name], attributes: new Map() };
      choice.attributes.set(branch, {
        type: 'graph',
        value: { name: branch, nodes: [node], inputs: [], outputs: [output], valueInfo: [], initializers: new Map() },
      });
    }
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "If" (node "choice", opset 17). Try --freeze-before fc2 to train only the layers after it.',
    );
  });
});

describe('what cannot be trained', () => {
  const plain = net([3], (b, rng) => logits(b, linear(b, rng, 'fc', 'x', 3, 3)));

  it('a model with nothing left', async () => {
    await expect(step(plain, { trainable: () => false })).rejects.toThrow(
      'grad: nothing to train, expected at least one trainable parameter, got none of 2.',
    );
  });
  it('a loss of a value that is not there', async () => {
    await expect(step(plain, { logits: 'logit' })).rejects.toThrow('grad: logits "logit" is no value of the model. Try "logits".');
    await expect(step(plain, { input: 'image' })).rejects.toThrow('grad: input "image" is no value of the model.');
  });
  it('a gradient of a value that is not there', async () => {
    await expect(gradients(plain, { wrt: ['fc.wieght'] })).rejects.toThrow('grad: "fc.wieght" is no value of the model.');
  });
  it('masks that do not fit', async () => {
    const mask = (name: string, dims: number[]) => ({
      masks: new Map([[name, f32(new Float32Array(dims.reduce((a, d) => a * d, 1)), dims)]]),
    });
    await expect(step(plain, mask('fc.wight', [3, 3]))).rejects.toThrow('grad: mask of "fc.wight": no such parameter. Try "fc.weight".');
    await expect(step(plain, mask('fc.weight', [2, 3]))).rejects.toThrow(
      'grad: mask of "fc.weight": shape, expected float32 that broadcasts to [3,3], got float32 [2,3].',
    );
  });
  it('weights that do not fit', () => {
    expect(() => withWeights(plain, { 'fc.bias': f32([1], [1]) })).toThrow(
      'grad: new value for "fc.bias", expected float32 [3], got float32 [1].',
    );
  });
  it('a model older than opset 9', async () => {
    const old = net([3], (b, rng) => logits(b, b.op('Mul', ['x', b.initializer('w', smooth(rng, [1, 3]))])), 8);
    await expect(step(old)).rejects.toThrow('grad: the model is too old to be trained, expected opset 9 or newer, got opset 8.');
  });
  it('a model with a second input', async () => {
    const two = net([3], (b, rng) => logits(b, b.op('Add', [linear(b, rng, 'fc', 'x', 3, 3), b.input('y', 'float32', ['batch', 3])])));
    await expect(step(two)).rejects.toThrow('grad: the loss depends on a second input, expected "x" alone, got "y" too.');
  });
});

describe('parameters', () => {
  const model = net([3, 4, 4], (b, rng) => {
    const mean = b.initializer('pixel mean', smooth(rng, [1, 3, 1, 1]));
    const w = b.initializer('conv.weight', smooth(rng, [2, 3, 3, 3]));
    const c = named(b, 'Conv', [b.op('Add', ['x', mean]), w, b.initializer('conv.bias', smooth(rng, [2]))], 'conv');
    const stats = ['scale', 'shift', 'mean', 'variance'].map((n) => b.initializer(n, between(rng, [2], 0.5, 1)));
    const n = named(b, 'BatchNormalization', [c, ...stats], 'norm');
    const scaled = named(b, 'Mul', [n, b.initializer('layer scale', smooth(rng, [2, 1, 1]))], 'scale-by-channel');
    const half = b.op('Mul', [scaled, b.initializer('half', f32([0.5], [1]))]);
    const clipped = b.op('Clip', [half, b.scalar(-1), b.scalar(1)]);
    const turned = b.op('Transpose', [b.initializer('fc.weight', smooth(rng, [3, 8]))], { perm: [1, 0] });
    const z = named(b, 'MatMul', [b.op('Flatten', [clipped]), turned], 'fc');
    return logits(b, named(b, 'Add', [z, b.initializer('fc.bias', smooth(rng, [3]))], 'fc-bias'));
  });
  const all = ['conv.weight', 'conv.bias', 'scale', 'shift', 'layer scale', 'fc.weight', 'fc.bias'];

  it('are weights, biases and scales; not statistics, bounds, scalars or what normalises pixels', async () => {
    expect(parametersOf(model)).toEqual(all);
    expect((await step(model)).parameters).toEqual(all);
  });

  it('from a node on', () => {
    expect([...trainableFrom(model, 'norm')]).toEqual(['scale', 'shift', 'layer scale', 'fc.weight', 'fc.bias']);
    expect([...trainableFrom(model, 'fc.out')]).toEqual(['fc.weight', 'fc.bias']);
    expect(() => trainableFrom(model, 'fc-bais')).toThrow(
      '--freeze-before: the model has no node "fc-bais", expected the name of a node or of a value. Try --freeze-before fc-bias.',
    );
  });
});
