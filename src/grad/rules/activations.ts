/** Activations, and Dropout, which is an identity wherever a rule meets it (`training-mode.ts` replaces the ones that train). */
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';

export const activations = {
  Relu: (c) => [() => c.pseudo('ReluGrad', [c.dy, c.out()])],
  LeakyRelu: (c) => [() => c.e.mul(c.dy, twoSlopes(c, 1, c.float('alpha', 0.01)))],
  PRelu: prelu,
  ThresholdedRelu: (c) => [() => c.e.mul(c.dy, c.e.mask(c.e.op('Greater', c.in(0), c.e.scalar(c.float('alpha', 1)))))],
  Shrink: (c) => [() => c.e.mul(c.dy, c.e.mask(c.e.op('Greater', c.e.op('Abs', c.in(0)), c.e.scalar(c.float('lambd', 0.5)))))],
  // Below zero y = alpha (e^x - 1), so that the slope alpha e^x is y + alpha; with other factors likewise.
  Elu: (c) => [() => c.e.mul(c.dy, exponentialSlope(c, 1, c.float('alpha', 1)))],
  Selu: (c) => {
    const gamma = c.float('gamma', 1.0507010221481323);
    return [() => c.e.mul(c.dy, exponentialSlope(c, gamma, gamma * c.float('alpha', 1.6732631921768188)))];
  },
  Celu: (c) => [() => c.e.mul(c.dy, c.e.add(c.e.scale(c.e.clip(c.out(), { max: 0 }), 1 / c.float('alpha', 1)), c.e.scalar(1)))],
  // y (1 - y) = y - y^2
  Sigmoid: (c) => [() => c.e.mul(c.dy, c.e.sub(c.out(), c.e.mul(c.out(), c.out())))],
  HardSigmoid: (c) => [() => c.e.mul(c.e.scale(c.dy, c.float('alpha', 0.2)), within(c, c.out(), 0, 1))],
  HardSwish: (c) => [() => c.e.mul(c.dy, hardSwishSlope(c))],
  // 1 - y^2
  Tanh: (c) => [() => c.e.sub(c.dy, c.e.mul(c.dy, c.e.mul(c.out(), c.out())))],
  Softplus: (c) => [() => c.e.mul(c.dy, c.e.op('Sigmoid', c.in(0)))],
  // 1 / (1 + |x|) = 1 - |y|
  Softsign: (c) => [
    () => {
      const rest = c.e.sub(c.e.scalar(1), c.e.op('Abs', c.out()));
      return c.e.mul(c.dy, c.e.mul(rest, rest));
    },
  ],
  Mish: (c) => [() => c.e.mul(c.dy, mishSlope(c))],
  Swish: (c) => [() => c.e.mul(c.dy, swishSlope(c, c.in(0), c.out(), c.float('alpha', 1)))],
  Gelu: (c) => [() => c.e.mul(c.dy, c.string('approximate', 'none') === 'tanh' ? tanhGeluSlope(c, c.in(0)) : geluSlope(c, c.in(0)))],
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

/** `above` where the node's input is above zero, `below` elsewhere. */
function twoSlopes(c: Context, above: number, below: number): string {
  const { e } = c;
  return e.add(e.scale(e.mask(e.op('Greater', c.in(0), e.scalar(0))), above - below), e.scalar(below));
}

/** `above` where y > 0, y + `below` elsewhere. */
function exponentialSlope(c: Context, above: number, below: number): string {
  const negative = c.e.clip(c.out(), { max: 0 });
  return c.e.add(negative, above === below ? c.e.scalar(above) : twoSlopes(c, above, below));
}

/** 1 where lo < x < hi, else 0. */
export function within({ e }: Context, x: string, lo: number, hi: number): string {
  return e.mask(e.op('And', e.op('Greater', x, e.scalar(lo)), e.op('Less', x, e.scalar(hi))));
}

/** y = x h, h = clip(x / 6 + 1/2, 0, 1): h + x h', where x h' is h - 1/2 as long as |x| < 3, and 0 beyond. */
function hardSwishSlope(c: Context): string {
  const { e } = c;
  const x = c.in(0);
  const h = e.add(e.clip(e.scale(x, 1 / 6), { min: -0.5, max: 0.5 }), e.scalar(0.5));
  const inside = e.mask(e.op('Less', e.op('Abs', x), e.scalar(3)));
  return e.add(h, e.mul(inside, e.scale(x, 1 / 6)));
}

/**
 * y = x t, t = tanh(log(1 + e^x)) = w / (w + 2) with w = e^x (e^x + 2): t + x sigmoid(x) (1 - t^2). Written with e^x alone, because
 * ONNX Runtime's Softplus is forty times slower than its Exp. Beyond 20, t is 1 in float32 and its slope 0.
 */
function mishSlope(c: Context): string {
  const { e } = c;
  const x = c.in(0);
  const power = e.op('Exp', e.clip(x, { max: 20 }));
  const w = e.mul(power, e.add(power, e.scalar(2)));
  const t = e.div(w, e.add(w, e.scalar(2)));
  const rest = e.sub(e.scalar(1), e.mul(t, t));
  return e.add(t, e.mul(e.mul(x, e.op('Sigmoid', x)), rest));
}

/** y = x s, s = sigmoid(alpha x): s + alpha y (1 - s). */
export function swishSlope({ e }: Context, x: string, y: string, alpha: number): string {
  const s = e.op('Sigmoid', e.scale(x, alpha));
  return e.add(s, e.mul(e.scale(y, alpha), e.sub(e.scalar(1), s)));
}

/** y = x F(x), F the normal distribution: F + x F'. With u = x / sqrt 2: (1 + erf u) / 2 + u exp(-u^2) / sqrt pi. */
export function geluSlope({ e }: Context, x: string): string {
  const u = e.scale(x, Math.SQRT1_2);
  const share = e.add(e.scale(e.op('Erf', u), 0.5), e.scalar(0.5));
  // The factor stands in the exponent, where it saves a pass.
  const density = e.op('Exp', e.sub(e.scalar(-Math.log(Math.PI) / 2), e.mul(u, u)));
  return e.add(share, e.mul(u, density));
}

/** y = x (1 + t) / 2, t = tanh u, u = k (x + 0.044715 x^3), k = sqrt(2 / pi): (1 + t) / 2 + x (1 - t^2) u' / 2. */
export function tanhGeluSlope({ e }: Context, x: string): string {
  const k = Math.sqrt(2 / Math.PI);
  const square = e.mul(x, x);
  const t = e.op('Tanh', e.mul(x, e.add(e.scale(square, k * 0.044715), e.scalar(k))));
  const slope = e.add(e.scale(square, 1.5 * k * 0.044715), e.scalar(k / 2));
  const rest = e.mul(e.mul(x, slope), e.sub(e.scalar(1), e.mul(t, t)));
  return e.add(e.add(e.scale(t, 0.5), e.scalar(0.5)), rest);
}

/** y = x above zero, slope x elsewhere; the slope is broadcast to x. */
function prelu(c: Context): ReturnType<Rule> {
  const { e } = c;
  return [
    () => {
      const above = e.mask(e.op('Greater', c.in(0), e.scalar(0)));
      return e.mul(c.dy, e.add(e.mul(above, e.sub(e.scalar(1), c.in(1))), c.in(1)));
    },
    () => c.fit(e.mul(c.dy, e.clip(c.in(0), { max: 0 })), 1),
  ];
}

/**
 * y = min(max(x, low), high): passes where the value lay within the bounds (on them too), which is where input and output are equal.
 * Each bound takes the gradient of what it replaced; where low is above high, that is high's.
 */
function clip(c: Context): ReturnType<Rule> {
  const { e } = c;
  return [
    () => e.mul(c.dy, e.mask(e.op('Equal', c.in(0), c.out()))),
    () => {
      const below = e.op('Less', c.in(0), c.in(1));
      return c.fit(e.mul(c.dy, e.mask(c.has(2) ? e.op('And', below, e.op('LessOrEqual', c.in(1), c.in(2))) : below)), 1);
    },
    () => c.fit(e.mul(c.dy, e.mask(e.op('Greater', c.has(1) ? e.op('Max', c.in(0), c.in(1)) : c.in(0), c.in(2)))), 2),
  ];
}
