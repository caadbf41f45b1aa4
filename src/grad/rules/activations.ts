/** Activations, and Dropout, which is an identity wherever a rule meets it (`forward.ts` replaces the ones that train). */
import { type Context, once } from '../context.ts';
import type { Rule } from '../table.ts';

export const activations = {
  Relu: (c) => [() => c.pseudo('ReluGrad', [c.dy, c.out()])],
  LeakyRelu: (c) => [() => c.e.where(c.e.op('Greater', c.in(0), c.e.scalar(0)), c.dy, c.e.scale(c.dy, c.float('alpha', 0.01)))],
  // y (1 - y) = y - y^2
  Sigmoid: (c) => [() => c.e.mul(c.dy, c.e.sub(c.out(), c.e.mul(c.out(), c.out())))],
  // 1 - y^2
  Tanh: (c) => [() => c.e.sub(c.dy, c.e.mul(c.dy, c.e.mul(c.out(), c.out())))],
  Clip: clip,
  Dropout: (c) => [() => c.dy],
  Softmax: (c) => {
    // y (dy - sum(dy y))
    return [
      () => {
        const weighted = c.e.mul(c.dy, c.out());
        return c.e.sub(weighted, c.e.mul(c.out(), c.e.reduceSum(weighted, [c.int('axis', -1)], true)));
      },
    ];
  },
  // dy - softmax sum(dy)
  LogSoftmax: (c) => [() => c.e.sub(c.dy, c.e.mul(c.e.op('Exp', c.out()), c.e.reduceSum(c.dy, [c.int('axis', -1)], true)))],
} satisfies Record<string, Rule>;

/** Passes where the value lay within the bounds (on them too), which is where input and output are equal. */
function clip(c: Context): ReturnType<Rule> {
  const { e } = c;
  const zero = once(() => e.scalar(0));
  // Each bound takes the gradient of what it replaced.
  const bound = (comparison: 'Less' | 'Greater', i: number) => () => c.fit(e.where(e.op(comparison, c.in(0), c.in(i)), c.dy, zero()), i);
  return [() => e.where(e.op('Equal', c.in(0), c.out()), c.dy, zero()), bound('Less', 1), bound('Greater', 2)];
}
