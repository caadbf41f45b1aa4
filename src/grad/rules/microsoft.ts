/**
 * Operators of the domain `com.microsoft` that ONNX Runtime's own optimiser writes into the models it saves: two standard ones in one
 * node. Each is differentiated as what it was made of.
 */
import { attrFloats } from '../../onnx/edit.ts';
import { float } from '../../onnx/model.ts';
import { type Context, once } from '../context.ts';
import type { Rule } from '../table.ts';
import { geluSlope, swishSlope, tanhGeluSlope, within } from './activations.ts';
import { conv } from './convolutions.ts';
import { layerNormalization } from './layer-norms.ts';
import { gemm } from './matrices.ts';

export const microsoft = {
  Gelu: (c) => [() => c.e.mul(c.dy, geluSlope(c, c.in(0)))],
  BiasGelu: biased(geluSlope),
  FastGelu: biased(tanhGeluSlope),
  QuickGelu: (c) => [() => c.e.mul(c.dy, swishSlope(c, c.in(0), c.out(), c.float('alpha', 1.702)))],
  FusedConv: (c) => {
    const dz = once(() => throughActivation(c));
    return [...conv(c, dz), dz];
  },
  FusedGemm: (c) =>
    gemm(
      c,
      once(() => throughActivation(c)),
    ),
  FusedMatMul: fusedMatMul,
  SkipLayerNormalization: (c) => skipNormalization(c, true),
  SkipSimplifiedLayerNormalization: (c) => skipNormalization(c, false),
} satisfies Record<string, Rule>;

/** An activation of x + bias; the bias may be left out. */
function biased(slope: (c: Context, x: string) => string): Rule {
  return (c) => {
    const g = once(() => c.e.mul(c.dy, slope(c, c.has(1) ? c.e.add(c.in(0), c.in(1)) : c.in(0))));
    return [g, () => c.fit(g(), 1)];
  };
}

/** Gradient before the activation, from the node's output alone. */
function throughActivation(c: Context): string {
  const { e } = c;
  const y = c.out();
  const activation = c.string('activation', '');
  const parameters = attrFloats(c.node, 'activation_params', []);
  switch (activation) {
    case '':
      return c.dy;
    case 'Relu':
      return c.pseudo('ReluGrad', [c.dy, y]);
    case 'Sigmoid':
      return e.mul(c.dy, e.sub(y, e.mul(y, y)));
    case 'Tanh':
      return e.sub(c.dy, e.mul(c.dy, e.mul(y, y)));
    case 'LeakyRelu': {
      const alpha = parameters[0] ?? c.float('activation_alpha', 0.01);
      return e.mul(c.dy, e.add(e.scale(e.mask(e.op('Greater', y, e.scalar(0))), 1 - alpha), e.scalar(alpha)));
    }
    case 'Clip':
      return e.mul(c.dy, within(c, y, parameters[0], parameters[1]));
    case 'HardSigmoid':
      return e.mul(e.scale(c.dy, parameters[0]), within(c, y, 0, 1));
    default:
      return c.refuse(`activation "${activation}"`);
  }
}

/** Y = alpha A' B', where ' stands for a transpose of the last two axes that may be there. */
function fusedMatMul(c: Context): ReturnType<Rule> {
  const { e } = c;
  if (c.int('transBatchA', 0) === 1 || c.int('transBatchB', 0) === 1) c.refuse('batch axes that are transposed');
  if (c.shape(0).length < 2 || c.shape(1).length < 2) c.refuse('a vector as operand');
  const [ta, tb] = [c.int('transA', 0), c.int('transB', 0)];
  const [a, b] = [c.in(0), c.in(1)];
  const batch = c.outShape().slice(0, -2);
  const product = (left: string, right: string, transA: number, transB: number, i: number): string => {
    const found = e.with('FusedMatMul', [left, right], { transA, transB, alpha: float(c.float('alpha', 1)) }, c.node.domain);
    return e.sumTo(found, [...batch, ...c.shape(i).slice(-2)], c.shape(i));
  };
  return [
    () => (ta === 1 ? product(b, c.dy, tb, 1, 0) : product(c.dy, b, 0, 1 - tb, 0)),
    () => (tb === 1 ? product(c.dy, a, 1, ta, 1) : product(a, c.dy, 1 - ta, 0, 1)),
  ];
}

/** Layer normalisation of x + skip (+ bias), a sum that is the fourth output too. */
function skipNormalization(c: Context, centred: boolean): ReturnType<Rule> {
  const { e } = c;
  const biasAt = centred ? 4 : 3;
  // The sum does not depend on scale and shift: where only those are trained, its gradient is of no use, which is no reason to refuse.
  c.dyOf(3);
  const sum = once(() => {
    const both = e.add(c.in(0), c.in(1));
    return c.has(biasAt) ? e.add(both, c.in(biasAt)) : both;
  });
  const norm = once(() => layerNormalization(c, { x: sum(), scale: 2, centred, epsilon: 1e-12 }));
  const g = once(() => {
    const through = norm()[0]();
    const direct = c.dyOf(3);
    return direct === undefined ? through : e.add(through, direct);
  });
  const rest = centred ? [() => norm()[2]()] : [];
  return [g, () => c.fit(g(), 1), () => norm()[1](), ...rest, () => c.fit(g(), biasAt)];
}
