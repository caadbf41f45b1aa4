/** dX of Relu from its output: dY where Y > 0, else 0. */
import type { Candidate } from './candidate.ts';

const where: Candidate = {
  name: 'where',
  applies: () => true,
  emit(c) {
    const [dy, y] = c.node.inputs;
    const zero = c.b.scalar(0);
    return c.op('Where', [c.op('Greater', [y, zero]), dy, zero]);
  },
};

/** Relu's output is never negative, so its sign is 0 or 1. */
const sign: Candidate = {
  name: 'sign',
  applies: () => true,
  emit(c) {
    const [dy, y] = c.node.inputs;
    return c.op('Mul', [dy, c.op('Sign', [y])]);
  },
};

export const reluGrad: readonly Candidate[] = [where, sign];
