import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { type GradientGraph, gradientGraph } from '../../src/grad/step.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import { float, type Model } from '../../src/onnx/model.ts';
import { expectClose, smooth } from './differences.ts';
import { classes, linear, net, typesOf } from './nets.ts';
import { runOnce } from './runtime.ts';

const EPSILON = 0.02;

interface Form {
  readonly opset?: number;
  readonly square?: 'Pow' | 'Mul';
  /** Which of scale and bias follow: both, the scale alone, none. */
  readonly affine?: 2 | 1 | 0;
  readonly axes?: readonly number[];
  /** Whether something else reads the difference. */
  readonly shared?: boolean;
}

function norm(b: GraphBuilder, x: string, o: Form, rng: Rng, named: boolean): string {
  const [scale, bias] = ['scale', 'bias'].map((name) => b.initializer(name, smooth(rng, [6])));
  const affine = o.affine ?? 2;
  if (named) {
    const y = b.op('LayerNormalization', [x, affine > 0 ? scale : b.constant(smooth(rng, [6]))], { epsilon: float(EPSILON) });
    return affine === 2 ? b.op('Add', [y, bias]) : y;
  }
  const axes = o.axes ?? [-1];
  const mean = (v: string) => ((o.opset ?? 11) < 18 ? b.op('ReduceMean', [v], { axes }) : b.op('ReduceMean', [v, b.ints(axes)]));
  const centred = b.op('Sub', [x, mean(x)]);
  const square = o.square === 'Mul' ? b.op('Mul', [centred, centred]) : b.op('Pow', [centred, b.scalar(2)]);
  const deviation = b.op('Sqrt', [b.op('Add', [mean(square), b.scalar(EPSILON)])]);
  let y = b.op('Div', [centred, deviation]);
  if (affine > 0) y = b.op('Mul', [scale, y]);
  if (affine > 1) y = b.op('Add', [y, bias]);
  return o.shared ? b.op('Add', [y, centred]) : y;
}

const model = (o: Form, named = false): Model =>
  net(
    [4],
    (b, rng) => {
      const y = norm(b, linear(b, rng, 'fc1', 'x', 4, 6), o, rng, named);
      return b.op('Identity', [linear(b, rng, 'fc2', y, 6, 3)], {}, { outputs: ['logits'] });
    },
    o.opset ?? 11,
  );

const graphOf = async (m: Model, wrt?: string[]): Promise<GradientGraph> =>
  gradientGraph(m, await typesOf(m, 2), { input: 'x', logits: 'logits', loss: 'cross-entropy', ...(wrt ? { wrt } : {}) });
const forwardNorms = (g: GradientGraph): number =>
  g.model.graph.nodes.filter((n) => n.opType === 'LayerNormalization' && n.inputs[0].startsWith('fc1')).length;
const divisions = (g: GradientGraph): number => g.model.graph.nodes.filter((n) => n.opType === 'Sqrt').length;

const feeds = { x: smooth(Rng.from(5), [2, 4]), 'step/labels': classes(2, 0) };

describe('a layer normalisation that is written out', () => {
  it('becomes one node, with the same gradients', async () => {
    const expected = await graphOf(model({ opset: 17 }, true));
    const right = await runOnce(expected.model, feeds);
    for (const o of [{}, { square: 'Mul' }, { opset: 13 }, { opset: 18 }] as const) {
      const found = await graphOf(model(o));
      expect([forwardNorms(found), divisions(found)]).toEqual([1, 0]);
      const values = await runOnce(found.model, feeds);
      expect(Object.keys(found.gradients)).toContain('scale');
      for (const [name, gradient] of Object.entries(found.gradients)) {
        expectClose(
          `gradient of ${name}`,
          values[gradient].data as Float32Array,
          right[expected.gradients[name]].data as Float32Array,
          1e-5,
        );
      }
    }
  });

  it('with the scale alone, and with neither', async () => {
    for (const affine of [1, 0] as const) expect(forwardNorms(await graphOf(model({ affine })))).toBe(1);
  });

  it('stays where another node, or the caller, reads what lies between, or where it runs over another axis', async () => {
    expect(forwardNorms(await graphOf(model({ shared: true })))).toBe(0);
    expect(forwardNorms(await graphOf(model({ axes: [0] })))).toBe(0);
    expect(forwardNorms(await graphOf(model({}), ['pow']))).toBe(0);
    expect(forwardNorms(await graphOf(model({}), ['fc1.weight']))).toBe(1);
  });
});
