/** Arithmetic, element by element; operands broadcast. */
import type { Rule } from '../table.ts';

export const elementwise = {
  Identity: (c) => [() => c.dy],
  Neg: (c) => [() => c.e.neg(c.dy)],
  Add: (c) => [() => c.fit(c.dy, 0), () => c.fit(c.dy, 1)],
  Sub: (c) => [() => c.fit(c.dy, 0), () => c.e.neg(c.fit(c.dy, 1))],
  Mul: (c) => [() => c.fit(c.e.mul(c.dy, c.in(1)), 0), () => c.fit(c.e.mul(c.dy, c.in(0)), 1)],
  // d(a/b)/db = -y/b
  Div: (c) => [() => c.fit(c.e.div(c.dy, c.in(1)), 0), () => c.e.neg(c.fit(c.e.mul(c.dy, c.e.div(c.out(), c.in(1))), 1))],
  Exp: (c) => [() => c.e.mul(c.dy, c.out())],
  Log: (c) => [() => c.e.div(c.dy, c.in(0))],
  Sqrt: (c) => [() => c.e.div(c.e.scale(c.dy, 0.5), c.out())],
  Pow: (c) => [() => c.fit(powBase(c), 0), () => c.fit(powExponent(c), 1)],
  Cast: (c) => [() => c.e.cast(c.dy, c.inType(0).dtype)],
} satisfies Record<string, Rule>;

/** dy * p * x^(p-1); a constant exponent, which is what networks have, needs no care at zero. */
function powBase(c: Parameters<Rule>[0]): string {
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
function powExponent(c: Parameters<Rule>[0]): string {
  const { e } = c;
  const positive = e.op('Greater', c.in(0), e.scalar(0));
  const slope = e.mul(c.out(), e.op('Log', e.where(positive, c.in(0), e.scalar(1))));
  return e.mul(c.dy, slope);
}
