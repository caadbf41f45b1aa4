/** What an untrusted file may ask for. All sizes are checked against the bytes that are really there before anything is allocated. */
import { fail } from '../core/errors.ts';

/** protobuf's own bound for one message, hence for a model without external data. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** External data that one model may load, all its tensors together. */
export const MAX_EXTERNAL_BYTES = 2 ** 32;

/** Messages within messages. A graph inside a node is three levels down; ONNX Runtime itself ends at 100. */
export const MAX_DEPTH = 64;

/** Names of nodes, values, operators, domains, keys. Exporters write a few hundred bytes at most. */
export const MAX_NAME_BYTES = 4096;

/** Dimensions of one tensor. */
export const MAX_RANK = 64;

/** Nodes that a graph may have once the functions of its file are written out where they are called. */
export const MAX_EXPANDED_NODES = 1_000_000;

/** One value of the graph, where its shape can be told without running it. */
export const MAX_VALUE_BYTES = 2 ** 32;

/** One value that a graph makes out of nothing but what stands in the file. */
export const MAX_GENERATED_BYTES = 2 ** 30;

/** One input, its unknown sizes taken as 1: it is made here to find the shapes. */
export const MAX_INPUT_BYTES = 2 ** 28;

/** Rounds of one Loop, where their number stands in the file. */
export const MAX_LOOP_ROUNDS = 1_000_000;

/** How much of a file is believed. */
export interface Limits {
  /** Memory for all that is not weights, given the size of the file. */
  structureBytes(fileBytes: number): number;
  readonly externalBytes: number;
}

/**
 * For files of strangers: what a file of up to 10 MB makes in memory stays small, so that it is read or refused within a second and 100 MB.
 * That is some 6,000 nodes of a usual kind; larger files may have more, in proportion.
 */
export const UNTRUSTED: Limits = { structureBytes: (bytes) => Math.max(16e6, 2 * bytes - 4e6), externalBytes: MAX_EXTERNAL_BYTES };

/** For files whose author is believed to mean no harm. */
export const TRUSTED: Limits = { structureBytes: (bytes) => Math.max(1e9, 64 * bytes), externalBytes: MAX_EXTERNAL_BYTES };

/**
 * Dimensions of a tensor in a file as numbers, and their product. Refuses negative sizes and products beyond the safe integers,
 * so that later arithmetic on them is exact.
 */
export function checkedDims(dims: readonly bigint[], where: string): { dims: number[]; elements: number } {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  const shown = (): string => `[${dims.join(',')}]`;
  if (dims.length > MAX_RANK)
    fail({ where, what: 'tensor of too many dimensions', expected: `at most ${MAX_RANK}`, got: String(dims.length) });
  let elements = 1n;
  let empty = false;
  for (const d of dims) {
    if (d < 0n) fail({ where, what: 'negative dimension', expected: 'sizes of 0 or more', got: shown() });
    if (d === 0n) empty = true;
    else elements *= d;
    // Checked at every step, zeros left out: an empty tensor of absurd sizes would pass for small.
    if (elements > limit) fail({ where, what: 'tensor too large', expected: 'at most 2^53 elements', got: `dimensions ${shown()}` });
  }
  return { dims: dims.map(Number), elements: empty ? 0 : Number(elements) };
}
