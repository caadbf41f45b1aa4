/** Arithmetic, element by element; operands broadcast. */
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';

export const elementwise = {
  Identity: (c) => [() => c.dy],
  Neg: (c) => [() => c.e.neg(c.dy)],
  Add: (c) => [() => c.fit(c.dy, 0), () => c.fit(c.dy, 1)],
  Sub: (c) => [() => c.fit(c.dy, 0), () => c.e.neg(c.fit(c.dy, 1))],
  Mul: (c) => [() => c.fit(c.e.mul(c.dy, c.in(1)), 0), () => c.fit(c.e.mul(c.dy, c.in(0)), 1)],
  // d(a/b)/db = -y/b
  Div: (c) => [() => c.fit(c.e.div(c.dy, c.in(1)), 0), () => c.e.neg(c.fit(c.e.mul(c.dy, c.e.div(c.out(), c.in(1))), 1))],
  // y = a - n b, whichever way n is rounded, and n stays as it is for small steps: n = (a - y) / b.
  Mod: (c) => [() => c.fit(c.dy, 0), () => c.fit(c.e.mul(c.dy, c.e.op('Round', c.e.div(c.e.sub(c.out(), c.in(0)), c.in(1)))), 1)],
  Sum: (c) => c.node.inputs.map((_, i) => () => c.fit(c.dy, i)),
  Mean: (c) => c.node.inputs.map((_, i) => () => c.e.scale(c.fit(c.dy, i), 1 / c.node.inputs.length)),
  Min: extremum('Less'),
  Max: extremum('Greater'),
  Where: (c) => [null, () => c.fit(c.e.where(c.in(0), c.dy, c.e.scalar(0)), 1), () => c.fit(c.e.where(c.in(0), c.e.scalar(0), c.dy), 2)],
  Abs: (c) => [() => c.e.mul(c.dy, c.e.op('Sign', c.in(0)))],
  Reciprocal: (c) => [() => c.e.neg(c.e.mul(c.dy, c.e.mul(c.out(), c.out())))],
  Exp: (c) => [() => c.e.mul(c.dy, c.out())],
  Log: (c) => [() => c.e.div(c.dy, c.in(0))],
  Sqrt: (c) => [() => c.e.div(c.e.scale(c.dy, 0.5), c.out())],
  Pow: (c) => [() => c.fit(powBase(c), 0), () => c.fit(powExponent(c), 1)],
  // 2 / sqrt(pi) e^(-x^2), the factor in the exponent
  Erf: (c) => [
    () => {
      const exponent = c.e.sub(c.e.scalar(Math.log(2 / Math.sqrt(Math.PI))), c.e.mul(c.in(0), c.in(0)));
      return c.e.mul(c.dy, c.e.op('Exp', exponent));
    },
  ],
  Sin: (c) => [() => c.e.mul(c.dy, c.e.op('Cos', c.in(0)))],
  Cos: (c) => [() => c.e.neg(c.e.mul(c.dy, c.e.op('Sin', c.in(0))))],
  Tan: (c) => [() => c.e.add(c.dy, c.e.mul(c.dy, c.e.mul(c.out(), c.out())))],
  Asin: (c) => [() => c.e.div(c.dy, c.e.op('Sqrt', c.e.sub(c.e.scalar(1), c.e.mul(c.in(0), c.in(0)))))],
  Acos: (c) => [() => c.e.neg(c.e.div(c.dy, c.e.op('Sqrt', c.e.sub(c.e.scalar(1), c.e.mul(c.in(0), c.in(0))))))],
  Atan: (c) => [() => c.e.div(c.dy, c.e.add(c.e.mul(c.in(0), c.in(0)), c.e.scalar(1)))],
  Sinh: (c) => [() => c.e.mul(c.dy, c.e.op('Cosh', c.in(0)))],
  Cosh: (c) => [() => c.e.mul(c.dy, c.e.op('Sinh', c.in(0)))],
  Asinh: (c) => [() => c.e.div(c.dy, c.e.op('Sqrt', c.e.add(c.e.mul(c.in(0), c.in(0)), c.e.scalar(1))))],
  Acosh: (c) => [() => c.e.div(c.dy, c.e.op('Sqrt', c.e.sub(c.e.mul(c.in(0), c.in(0)), c.e.scalar(1))))],
  Atanh: (c) => [() => c.e.div(c.dy, c.e.sub(c.e.scalar(1), c.e.mul(c.in(0), c.in(0))))],
  Cast: (c) => [() => c.e.cast(c.dy, c.inType(0).dtype)],
  CastLike: (c) => [() => c.e.cast(c.dy, c.inType(0).dtype), null],
  // Steps: met only where they count as the lines they approximate.
  Floor: (c) => [() => c.dy],
  Ceil: (c) => [() => c.dy],
  Round: (c) => [() => c.dy],
  Sign: (c) => [() => c.e.mul(c.dy, c.e.mask(c.e.op('LessOrEqual', c.e.op('Abs', c.in(0)), c.e.scalar(1))))],
} satisfies Record<string, Rule>;

/** The gradient goes to the operand that was taken, and in equal parts to those that were equal, as PyTorch has it. */
function extremum(better: 'Less' | 'Greater'): Rule {
  return (c) => {
    const { e } = c;
    const { inputs } = c.node;
    if (inputs.length === 1) return [() => c.dy];
    if (inputs.length > 2) return inputs.map((_, i) => () => c.fit(e.mul(c.dy, shareOfTies(c, i)), i));
    const share = (a: number, b: number) => () => {
      const masks = [e.op(better, c.in(a), c.in(b)), e.op(`${better}OrEqual`, c.in(a), c.in(b))].map((m) => e.mask(m));
      return c.fit(e.mul(e.scale(c.dy, 0.5), e.sum(masks)), a);
    };
    return [share(0, 1), share(1, 0)];
  };
}

/** 1 / (number of operands that are equal to the output) where operand `i` is one of them, else 0. */
function shareOfTies(c: Context, i: number): string {
  const { e } = c;
  const masks = c.node.inputs.map((name) => e.mask(e.op('Equal', name, c.out())));
  return e.div(masks[i], e.sum(masks));
}

/** dy * p * x^(p-1); a constant exponent, which is what networks have, needs no care at zero. */
function powBase(c: Context): string {
  const { e } = c;
  const exponents = c.constant(1);
  if (exponents?.length === 1) {
    const [p] = exponents;
    if (p === 0) return e.scale(c.dy, 0);
    if (p === 1) return c.dy;
    if (p === 2) return e.mul(c.dy, e.scale(c.in(0), 2));
    return e.mul(c.dy, e.scale(e.op('Pow', c.in(0), e.scalar(p - 1)), p));
  }
  const p = c.inType(1).dtype === e.dtype ? c.in(1) : e.cast(c.in(1), e.dtype);
  const slope = e.mul(p, e.op('Pow', c.in(0), e.sub(p, e.scalar(1))));
  // 0 * 0^-1 is not a number, but the slope of x^0 is 0 at zero too.
  return e.mul(c.dy, e.where(e.op('Equal', p, e.scalar(0)), e.scalar(0), slope));
}

/** dy * y * log x, and 0 where x is not positive: at 0 that is the limit, below it no gradient exists. */
function powExponent(c: Context): string {
  const { e } = c;
  const positive = e.op('Greater', c.in(0), e.scalar(0));
  const slope = e.mul(c.out(), e.op('Log', e.where(positive, c.in(0), e.scalar(1))));
  return e.mul(c.dy, slope);
}
