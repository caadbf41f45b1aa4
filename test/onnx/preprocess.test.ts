import { describe, expect, it } from 'vitest';
import { f32 } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Dim, Model } from '../../src/onnx/model.ts';
import { parsePreprocess, presetPreprocess, scaledTo } from '../../src/onnx/preprocess.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { readSpec, type SpecOverrides, writeSpec } from '../../src/onnx/spec.ts';

/** Sums of the input, whatever its shape; enough for a spec. */
function net(dims: Dim[]): Model {
  const b = new GraphBuilder();
  b.input('x', 'float32', dims);
  const flat = b.op('Flatten', ['x']);
  b.output(b.op('MatMul', [flat, b.initializer('w', f32(new Float32Array(2), [1, 2]))], {}, { name: 'logits' }), 'float32', ['N', 2]);
  return b.build();
}

/** As the command line makes them (`cli/preprocess.node.ts`). */
function overrides(p: ReturnType<typeof parsePreprocess>): SpecOverrides {
  const { from, preparation, sizesFollow, layout, channelOrder, range, mean, std } = p;
  return { preprocess: preparation, sizesFollow, layout, channelOrder, range, mean, std, from: { preprocess: from, mean: from } };
}
const yaml = (value: unknown): SpecOverrides => overrides(parsePreprocess(value, 'p.yaml'));

describe('what the graph says of its input', () => {
  it.each<[Dim[], string, number[], number[]]>([
    [['N', 3, 8, 6], 'NCHW', [3, 8, 6], [3, 8, 6]],
    [['N', 8, 6, 3], 'NHWC', [3, 8, 6], [8, 6, 3]],
    [[null, null, 6, 1], 'NCHW', [0, 0, 0], []],
    [['N', 16, 20, 20], 'NCHW', [16, 20, 20], [16, 20, 20]],
    [['N', 28, 28], 'flat', [1, 28, 28], [28, 28]],
  ])('%j', (dims, layout, [channels, height, width], fed) => {
    const read = (): unknown => readSpec(net(dims), { range: [0, 1] });
    if (fed.length === 0) expect(read).toThrow('nothing says images of which size');
    else expect(read()).toMatchObject({ layout, channels, height, width, dims: fed });
  });

  it('a preset or a file gives the sizes that the graph leaves open', () => {
    const imagenet = overrides(presetPreprocess('imagenet'));
    const open = readSpec(net(['N', 3, 'h', 'w']), imagenet);
    expect(open).toMatchObject({ height: 224, width: 224, dims: [3, 224, 224], preprocess: { resize: 256, crop: [224, 224] } });
    expect(open.mean).toEqual([0.485, 0.456, 0.406]);
    const mnist = overrides(presetPreprocess('mnist'));
    expect(readSpec(net([1, 784, 1]), mnist)).toMatchObject({ layout: 'flat', channels: 1, height: 28, width: 28, dims: [784, 1] });
    expect(readSpec(net(['N', 192]), yaml({ resize: [8, 8] }))).toMatchObject({ channels: 3, dims: [192] });
    expect(readSpec(net(['N', null]), yaml({ resize: [8, 8], channels: 1 }))).toMatchObject({ channels: 1, dims: [64] });
  });

  it("a preset's sizes follow the network, a file's do not", () => {
    const imagenet = overrides(presetPreprocess('imagenet'));
    expect(readSpec(net(['N', 3, 32, 32]), imagenet).preprocess).toMatchObject({ resize: 37, crop: [32, 32] });
    expect(readSpec(net(['N', 3, 40, 30]), overrides(presetPreprocess('cifar10'))).preprocess).toMatchObject({ resize: [40, 30] });
    expect(() => readSpec(net(['N', 3, 32, 32]), yaml({ preset: 'imagenet', crop: 224 }))).toThrow(
      'p.yaml: makes images of another size than the network takes (height x width), expected 32x32, got 224x224.',
    );
    expect(scaledTo({ resize: 100, interpolation: 'bilinear', antialias: true }, 20, 30)).toMatchObject({ resize: 20 });
  });

  it('all of it comes back from the file it was written into', () => {
    for (const [dims, given] of [
      [['N', 3, 'h', 'w'], { preset: 'imagenet', 'channel-order': 'BGR', scale: 1, mean: [1, 2, 3], std: 1 }],
      [[1, 784, 1], { preset: 'mnist' }],
      [['N', 8, 6, 3], {}],
      [['N', 3, 4, 3], { layout: 'NHWC' }],
    ] as [Dim[], object][]) {
      const model = net(dims);
      const spec = readSpec(model, yaml(given));
      expect(readSpec(readModel(writeModel(writeSpec(model, spec))))).toEqual(spec);
    }
    const model = net([1, 784, 1]);
    expect([...writeSpec(model, readSpec(model, overrides(presetPreprocess('mnist')))).metadata.keys()]).toEqual(
      ['input', 'shape', 'preprocess', 'logits', 'range', 'mean', 'std', 'labels'].map((key) => `secateur.${key}`),
    );
  });
});

describe('a file', () => {
  it('overrules its preset, in any spelling', () => {
    const p = parsePreprocess({ preset: 'imagenet', channel_order: 'BGR', scale: '1/127.5', mean: 1, interpolation: 'bicubic' }, 'p.yaml');
    expect(p).toMatchObject({ channelOrder: 'BGR', range: [0, 2], mean: [1], std: [0.229, 0.224, 0.225], sizesFollow: true });
    expect(p.preparation).toEqual({ resize: 256, crop: [224, 224], interpolation: 'bicubic', antialias: true, channels: 3 });
    expect(parsePreprocess({}, 'p.yaml')).toEqual({
      from: 'p.yaml',
      sizesFollow: true,
      channelOrder: 'RGB',
      range: [0, 1],
      mean: [0],
      std: [1],
    });
  });

  it.each<[unknown, string]>([
    ['imagenet', 'p.yaml: not a description of preprocessing, expected lines such as "mean: [0.5, 0.5, 0.5]".'],
    [
      { sdt: 1 },
      'p.yaml: no key "sdt", expected one of preset, resize, crop, interpolation, antialias, channels, layout, channelOrder, range, scale, mean, std. Try "std".',
    ],
    [{ resize: 'big' }, 'p.yaml: resize is not valid, expected the shorter side in pixels, or [height, width], got "big".'],
    [{ crop: [1, 2, 3] }, 'p.yaml: crop is not valid, expected a side in pixels, or [height, width], got [1,2,3].'],
    [{ scale: '1:255' }, 'p.yaml: scale is not valid, expected a number above 0, or a fraction such as 1/255, got "1:255".'],
    [{ scale: 1, range: [0, 1] }, 'p.yaml: range and scale say the same thing, expected one of them, got both.'],
    [{ range: [1, 0] }, 'p.yaml: range is not valid, expected the lower number first, got 1,0.'],
    [{ layout: 'CHWN' }, 'p.yaml: layout is not valid, expected NCHW, NHWC, flat, got "CHWN".'],
    [{ preset: 'cifar' }, 'p.yaml: preset is not valid, expected imagenet, cifar10, mnist, none, got "cifar".'],
  ])('%j is refused', (value, message) => expect(() => parsePreprocess(value, 'p.yaml')).toThrow(message));

  it('that does not fit the network is refused', () => {
    expect(() => readSpec(net(['N', 1, 8, 8]), overrides(presetPreprocess('imagenet')))).toThrow(
      '--preprocess imagenet: mean: bad value, expected 1 number, one a channel, got 0.485,0.456,0.406.',
    );
    expect(() => readSpec(net(['N', 8, 8]), yaml({ layout: 'NCHW' }))).toThrow(
      '--preprocess: input "x" is not NCHW, expected float32 [N,C,H,W], got float32 [N,8,8].',
    );
    expect(() => readSpec(net([1, 784, 1]), yaml({ resize: [20, 20] }))).toThrow(
      'model: input "x" does not take images of 20x20, expected 784 numbers, channels x height x width, got 20 x 20. Try --preprocess FILE.yaml with "resize: [HEIGHT, WIDTH]" and "channels: 1" or 3.',
    );
  });
});

describe('metadata that a stranger wrote', () => {
  it.each<[string, string, string]>([
    ['layout', 'HWC', 'model metadata secateur.layout: bad value, expected NCHW, NHWC or flat, got HWC.'],
    ['channelOrder', 'RBG', 'model metadata secateur.channelOrder: bad value, expected RGB or BGR, got RBG.'],
    ['preprocess', '{', 'model metadata secateur.preprocess: does not parse, expected JSON, got {.'],
    ['preprocess', '{"crop":[9e9,1]}', 'model metadata secateur.preprocess: crop.0: bad value'],
    ['preprocess', '{"crop":[4,4]}', 'makes images of another size than the network takes (height x width), expected 8x8, got 4x4.'],
  ])('%s', (key, value, message) => {
    const model = net(['N', 3, 8, 8]);
    model.metadata.set(`secateur.${key}`, value);
    expect(() => readSpec(model, { range: [0, 1] })).toThrow(message);
  });

  it('shape', () => {
    const model = net(['N', 3, 'h', 'w']);
    model.metadata.set('secateur.shape', '[3,0,1]');
    expect(() => readSpec(model, { range: [0, 1] })).toThrow(
      'model metadata secateur.shape: bad value, expected channels, height and width in brackets, got [3,0,1].',
    );
  });
});
