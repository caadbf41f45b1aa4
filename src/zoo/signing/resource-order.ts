/** The digest over all signed files, and the orders of names in which implementations have computed it. */
import { sha256 } from '../../core/hash.ts';
import { compareNames } from '../digest.ts';
import type { Sha256 } from '../types.ts';
import type { Resource } from './types.ts';

/** SHA-256 over the digests' bytes one after the other, in the order given, without names or separators (OMS v1.0; facts 2.5 nr 6). */
export function rootOf(digests: readonly { readonly digest: string }[]): Sha256 {
  const bytes = new Uint8Array(digests.reduce((sum, d) => sum + d.digest.length / 2, 0));
  let at = 0;
  for (const { digest } of digests) for (let i = 0; i < digest.length; i += 2) bytes[at++] = Number.parseInt(digest.slice(i, i + 2), 16);
  return `sha256:${sha256(bytes)}`;
}

/** By Unicode code point of the whole name, which the specification demands and Go's implementation insists on. */
const byName = (a: Resource, b: Resource): number => compareNames(a.name, b.name);

/** By parts of the path, ranges by number: how Python's implementation sorts, so that `onnx/model.onnx` stands before `onnx-config.json`. */
function byParts(a: Resource, b: Resource): number {
  const [x, y] = [(a.range?.path ?? a.name).split('/'), (b.range?.path ?? b.name).split('/')];
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const order = compareNames(x[i], y[i]);
    if (order !== 0) return order;
  }
  return x.length - y.length || (a.range?.start ?? 0) - (b.range?.start ?? 0) || (a.range?.end ?? 0) - (b.range?.end ?? 0);
}

export type RootOrder = 'specification' | 'listed' | 'python';

/**
 * In which order the resources give the root that was signed; undefined where none does. The specification's comes first: a list that is
 * sorted gives it. Then the order of the list, then Python's.
 */
export function orderOfRoot(resources: readonly Resource[], root: Sha256): RootOrder | undefined {
  if (rootOf([...resources].sort(byName)) === root) return isSorted(resources) ? 'specification' : 'listed';
  if (rootOf(resources) === root) return 'listed';
  return rootOf([...resources].sort(byParts)) === root ? 'python' : undefined;
}

const isSorted = (resources: readonly Resource[]): boolean => resources.every((r, i) => i === 0 || byName(resources[i - 1], r) < 0);

/** The order that is written. */
export function inOrder<T extends { readonly name: string }>(files: readonly T[]): T[] {
  return [...files].sort((a, b) => compareNames(a.name, b.name));
}
