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

/** An operator that has no rule, with both sequences of the batch at full length. */
const reverse = (b: GraphBuilder, x: string, name: string): string =>
  named(b, 'ReverseSequence', [x, b.ints([3, 3])], name, { batch_axis: 0, time_axis: 1 });

/** fc1 -> ReverseSequence "middle" -> fc2 -> logits. */
const blocked = net([3], (b, rng) => {
  const h = reverse(b, linear(b, rng, 'fc1', 'x', 3, 3), 'middle');
  return logits(b, linear(b, rng, 'fc2', h, 3, 3));
});

describe('an operator without a rule', () => {
  it('is named, with its node, the version, and the layer to freeze before', async () => {
    expect(Object.hasOwn(rules, 'ReverseSequence')).toBe(false);
    await expect(step(blocked)).rejects.toThrow(
      'grad: no rule for operator "ReverseSequence" (node "middle", opset 17). Try --freeze-before fc2 to train only the layers after it.',
    );
  });

  it('before a convolution whose batch norm the step folds: the advice names the convolution', async () => {
    const model = net([3, 2], (b, rng) => {
      const first = b.op('Conv', ['x', b.initializer('first.weight', smooth(rng, [3, 3, 1]))], {}, { name: 'first' });
      const turned = named(b, 'ReverseSequence', [first, b.ints([3, 3])], 'middle', { batch_axis: 0, time_axis: 1 });
      const c = named(b, 'Conv', [turned, b.initializer('conv.weight', smooth(rng, [4, 3, 2]))], 'conv');
      const stats = ['scale', 'shift', 'mean'].map((name) => b.initializer(`norm.${name}`, smooth(rng, [4])));
      stats.push(b.initializer('norm.variance', between(rng, [4], 0.5, 1)));
      return logits(b, b.op('Flatten', [named(b, 'BatchNormalization', [c, ...stats], 'norm')]));
    });
    await expect(step(model)).rejects.toThrow('Try --freeze-before conv to train only the layers after it.');
    const left = trainableFrom(model, 'conv');
    const { parameters } = await step(model, { trainable: (name) => left.has(name) });
    expect(parameters).toEqual(['conv.weight', 'norm.scale', 'norm.shift']);
  });

  it('does not matter where the advice is followed', async () => {
    const left = trainableFrom(blocked, 'fc2');
    const { parameters } = await step(blocked, { trainable: (name) => left.has(name) });
    expect(parameters).toEqual(['fc2.weight', 'fc2.bias']);
  });

  it('twice: the advice leads past both', async () => {
    const model = net([3], (b, rng) => {
      const a = reverse(b, linear(b, rng, 'fc1', 'x', 3, 3), 'one');
      const c = linear(b, rng, 'fc2', a, 3, 3);
      const side = reverse(b, linear(b, rng, 'fc3', c, 3, 3), 'two');
      return logits(b, linear(b, rng, 'fc4', b.op('Add', [side, c]), 3, 3));
    });
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "ReverseSequence" (node "two", opset 17). Try --freeze-before fc4 to train only the layers after it.',
    );
  });

  it('that no layer follows: there is no way out, and it says so', async () => {
    const model = net([3], (b, rng) => logits(b, reverse(b, linear(b, rng, 'fc1', 'x', 3, 3), 'last')));
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "ReverseSequence" (node "last", opset 17). Try a model with trainable layers after this node: ' +
        'there are none here, so nothing can be trained.',
    );
  });

  it("between the loss and an input's gradient: freezing does not help", async () => {
    await expect(gradients(blocked, { wrt: ['x', 'fc2.weight'] })).rejects.toThrow(
      'grad: no rule for operator "ReverseSequence" (node "middle", opset 17). Try it without the gradient of "x", which has to pass this node.',
    );
  });

  it('of another domain is named with it; a node without a name by its output', async () => {
    const model = net([3], (b, rng) => {
      const inputs = [linear(b, rng, 'fc1', 'x', 3, 3), b.constant(smooth(rng, [3, 3]))];
      const h = b.op('TransposeMatMul', inputs, {}, { domain: 'com.microsoft', outputs: ['product.out'] });
      return logits(b, linear(b, rng, 'fc2', h, 3, 3));
    });
    for (const node of model.graph.nodes) if (node.opType === 'TransposeMatMul') node.name = '';
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "com.microsoft.TransposeMatMul" (node "product.out"). Try --freeze-before fc2 to train only the layers after it.',
    );
  });

  it('with attributes that its rule cannot do says which', async () => {
    const model = net(
      [1, 4, 4],
      (b, rng) => {
        const w = b.initializer('w', smooth(rng, [1, 1, 1, 1]));
        const c = named(b, 'Conv', ['x', w], 'conv');
        const at = b.constant({ dtype: 'int64', dims: [1, 1, 1, 1], data: BigInt64Array.of(2n) });
        const factor = b.constant(smooth(rng, [1, 1, 1, 1]));
        const p = b.op('ScatterElements', [c, at, factor], { axis: 3, reduction: 'mul' }, { name: 'product' });
        return logits(b, linear(b, rng, 'fc', b.op('Flatten', [p]), 16, 3));
      },
      19,
    );
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "ScatterElements" with reduction "mul" (node "product", opset 19). ' +
        'Try --freeze-before fc to train only the layers after it.',
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
  it('a model older than opset 7', async () => {
    const old = net([3], (b, rng) => logits(b, b.op('Mul', ['x', b.initializer('w', smooth(rng, [1, 3]))])), 7);
    const types = await typesOf(old, 2);
    old.opsets.set('', 6);
    expect(() => trainingStep(old, types, options)).toThrow(
      'grad: the model is too old to be trained, expected opset 7 or newer, got opset 6.',
    );
  });
  it('a model all of whose weights lie before a step', async () => {
    const signs = net([3], (b, rng) => logits(b, named(b, 'Sign', [linear(b, rng, 'fc', 'x', 3, 3)], 'binary')));
    await expect(step(signs)).rejects.toThrow(
      'grad: nothing to train, expected at least one trainable parameter, got none of 2: gradients end at operator "Sign" ' +
        '(node "binary"), whose slope is zero.',
    );
    expect((await step(signs, { straightThrough: true })).parameters).toEqual(['fc.weight', 'fc.bias']);
  });
  it('a model whose weights are integers', async () => {
    const quantised = net([3], (b) => {
      const stored = b.initializer('w', { dtype: 'int8', dims: [3, 3], data: Int8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]) });
      const w = named(b, 'DequantizeLinear', [stored, b.scalar(0.1)], 'weights');
      return logits(b, b.op('MatMul', ['x', w]));
    });
    await expect(step(quantised)).rejects.toThrow(
      'grad: nothing to train, expected at least one trainable parameter, got none of 0: weights are stored as integers ' +
        '(operator "DequantizeLinear" (node "weights")), which have no gradient.',
    );
  });
  it('a model that computes with integers', async () => {
    const zero = (b: GraphBuilder) => b.constant({ dtype: 'uint8', dims: [], data: Uint8Array.of(128) });
    const integers = (b: GraphBuilder, x: string): string => {
      const stored = b.initializer('w', { dtype: 'uint8', dims: [3, 3], data: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]) });
      const one = b.scalar(0.1);
      const levels = b.op('QuantizeLinear', [x, one, zero(b)], {}, { name: 'rounding' });
      const turned = b.op('Transpose', [b.op('Transpose', [levels])]);
      const product = named(b, 'QLinearMatMul', [turned, one, zero(b), stored, one, zero(b), one, zero(b)], 'product');
      return b.op('DequantizeLinear', [product, one, zero(b)]);
    };
    const whole = net([3], (b) => logits(b, integers(b, 'x')));
    await expect(step(whole)).rejects.toThrow(
      'grad: nothing to train, expected at least one trainable parameter, got none of 0: weights are stored as integers ' +
        '(operator "QLinearMatMul" (node "product")), which have no gradient.',
    );
    // A layer before them is not passed over in silence.
    const later = net([3], (b, rng) => logits(b, linear(b, rng, 'fc2', integers(b, linear(b, rng, 'fc1', 'x', 3, 3)), 3, 3)));
    await expect(step(later)).rejects.toThrow(
      'grad: no rule for operator "QLinearMatMul" (node "product", opset 17). Try --freeze-before fc2 to train only the layers after it.',
    );
  });
  it('a layer before its result is rounded to integers', async () => {
    const scale = 1 / 16;
    const model = net([3], (b, rng) => {
      const zero = b.constant({ dtype: 'uint8', dims: [], data: Uint8Array.of(128) });
      const rounded = named(b, 'QuantizeLinear', [linear(b, rng, 'fc1', 'x', 3, 3), b.scalar(scale), zero], 'rounding');
      return logits(b, linear(b, rng, 'fc2', b.op('DequantizeLinear', [rounded, b.scalar(scale), zero]), 3, 3));
    });
    await expect(step(model)).rejects.toThrow(
      'grad: no rule for operator "QuantizeLinear" with integers as its result: a quantised model has no slope there ' +
        '(node "rounding", opset 17). Try --freeze-before fc2 to train only the layers after it.',
    );
    const { gradients: found } = await gradients(model, { straightThrough: true });
    expect(Object.keys(found)).toEqual(['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias']);
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

  it('are tokens, tables that are looked up, norms and slopes; not masks', () => {
    const transformer = net([4, 6], (b, rng) => {
      const param = (name: string, dims: number[]) => b.initializer(name, smooth(rng, dims));
      const h = b.op('MatMul', ['x', param('embedding', [6, 6])]);
      const tokens = b.op('Concat', [b.op('Expand', [param('token', [1, 1, 6]), b.ints([2, 1, 6])]), h], { axis: 1 });
      const placed = b.op('Add', [tokens, param('positions', [1, 5, 6])]);
      const scores = b.op('MatMul', [placed, b.op('Transpose', [placed], { perm: [0, 2, 1] })]);
      const table = b.op('Gather', [param('table', [9]), b.ints(Array.from({ length: 25 }, (_, i) => i % 9))]);
      const near = b.op('Add', [scores, b.op('Reshape', [table, b.ints([5, 5])])]);
      const mask = (values: number[]) =>
        f32(
          Array.from({ length: 25 }, (_, i) => values[i % 2]),
          [5, 5],
        );
      const shut = b.op('Add', [near, b.initializer('shut', mask([0, -100]))]);
      const open = b.op('Mul', [b.op('Softmax', [shut]), b.initializer('open', mask([0, 1]))]);
      const scaled = b.op('Mul', [open, b.initializer('scale of ones', f32(new Float32Array(5).fill(1), [5]))]);
      const bent = b.op('PRelu', [scaled, param('slope', [5])]);
      const y = b.op('LayerNormalization', [bent, param('norm.scale', [5]), param('norm.bias', [5])]);
      return logits(b, b.op('MatMul', [b.op('Reshape', [y, b.ints([0, -1])]), param('head', [25, 3])]));
    });
    const expected = ['embedding', 'token', 'positions', 'table', 'scale of ones', 'slope', 'norm.scale', 'norm.bias', 'head'];
    expect(parametersOf(transformer)).toEqual(expected);
  });

  it('from a node on', () => {
    expect([...trainableFrom(model, 'norm')]).toEqual(['scale', 'shift', 'layer scale', 'fc.weight', 'fc.bias']);
    expect([...trainableFrom(model, 'fc.out')]).toEqual(['fc.weight', 'fc.bias']);
    expect(() => trainableFrom(model, 'fc-bais')).toThrow(
      '--freeze-before: the model has no node "fc-bais", expected the name of a node or of a value. Try --freeze-before fc-bias.',
    );
  });
});
