/** dX of Relu from its output: dY where Y > 0, else 0. */
import { dtypeCode } from '../../onnx/dtypes.ts';
import type { Candidate } from './candidate.ts';

const FLOAT = dtypeCode('float32');

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

/** The comparison as numbers, which a product reads faster than Where reads a condition. */
const mask: Candidate = {
  name: 'mask',
  applies: () => true,
  emit(c) {
    const [dy, y] = c.node.inputs;
    return c.op('Mul', [dy, c.op('Cast', [c.op('Greater', [y, c.b.scalar(0)])], { to: FLOAT })]);
  },
};

export const reluGrad: readonly Candidate[] = [where, sign, mask];
