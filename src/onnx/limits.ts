/** What an untrusted file may ask for. All sizes are checked against the bytes that are really there before anything is allocated. */
import { fail } from '../core/errors.ts';

/** protobuf's own bound for one message, hence for a model without external data. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** External data that one model may load, all its tensors together. */
export const MAX_EXTERNAL_BYTES = 2 ** 32;

/**
 * Dimensions of a tensor in a file as numbers, and their product. Refuses negative sizes and products beyond the safe integers,
 * so that later arithmetic on them is exact.
 */
export function checkedDims(dims: readonly bigint[], where: string): { dims: number[]; elements: number } {
  let elements = 1n;
  for (const d of dims) {
    if (d < 0n) fail({ where, what: 'negative dimension', expected: 'sizes of 0 or more', got: `[${dims.join(',')}]` });
    elements *= d;
  }
  if (elements > BigInt(Number.MAX_SAFE_INTEGER) || dims.some((d) => d > BigInt(Number.MAX_SAFE_INTEGER))) {
    fail({ where, what: 'tensor too large', expected: 'at most 2^53 elements', got: `dimensions [${dims.join(',')}]` });
  }
  return { dims: dims.map(Number), elements: Number(elements) };
}
