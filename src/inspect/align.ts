/** Which parts of two graphs are the same part: by name, and where names tell nothing, in graph order. */
import { topologicalOrder } from '../onnx/edit.ts';
import type { Graph, Node } from '../onnx/model.ts';

export type Pair = readonly [before: number, after: number];

/** Above this many cells an alignment in order would take too long; only equal sequences are then paired. */
const MAX_CELLS = 3e7;

/** A longest common subsequence of two lists of keys, as pairs of positions. */
export function inOrder(a: readonly string[], b: readonly string[]): Pair[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const [n, m] = [a.length - start - end, b.length - start - end];
  const head = Array.from({ length: start }, (_, i): Pair => [i, i]);
  const tail = Array.from({ length: end }, (_, i): Pair => [a.length - end + i, b.length - end + i]);
  if (n * m > MAX_CELLS) return [...head, ...tail];
  const width = m + 1;
  const length = new Uint16Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      const same = a[start + i] === b[start + j];
      length[i * width + j] = same ? length[(i + 1) * width + j + 1] + 1 : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  const middle: Pair[] = [];
  for (let i = 0, j = 0; i < n && j < m; ) {
    if (a[start + i] === b[start + j]) middle.push([start + i++, start + j++]);
    else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
    else j++;
  }
  return [...head, ...middle, ...tail];
}

export interface AlignedNodes {
  readonly pairs: readonly (readonly [Node, Node])[];
  readonly removed: readonly Node[];
  readonly added: readonly Node[];
  readonly by: 'names' | 'order';
}

/** Nodes by their names, or by what they make where they have none; in graph order, by operator, where that finds less than half of them. */
export function alignNodes(before: Graph, after: Graph): AlignedNodes {
  const [a, b] = [topologicalOrder(before), topologicalOrder(after)];
  const named = byName(a, b);
  const fewer = Math.min(a.length, b.length);
  if (named.length >= fewer / 2) return rest(a, b, named, 'names');
  const key = (node: Node): string => `${node.domain} ${node.opType}`;
  const ordered = inOrder(a.map(key), b.map(key)).map(([i, j]) => [a[i], b[j]] as const);
  return ordered.length > named.length ? rest(a, b, ordered, 'order') : rest(a, b, named, 'names');
}

function byName(a: readonly Node[], b: readonly Node[]): (readonly [Node, Node])[] {
  const names = uniqueBy(b, (node) => node.name);
  const outputs = uniqueBy(b, (node) => node.outputs[0] ?? '');
  const ownNames = uniqueBy(a, (node) => node.name);
  const taken = new Set<Node>();
  return a.flatMap((node) => {
    const sameName = ownNames.get(node.name) === node ? names.get(node.name) : undefined;
    const other = [sameName, outputs.get(node.outputs[0] ?? '')].find((n) => n?.opType === node.opType && n.domain === node.domain);
    if (other === undefined || taken.has(other)) return [];
    taken.add(other);
    return [[node, other] as const];
  });
}

/** Nodes by a text that only one of them has. */
function uniqueBy(nodes: readonly Node[], text: (node: Node) => string): Map<string, Node> {
  const found = new Map<string, Node>();
  const several = new Set<string>();
  for (const node of nodes) {
    const t = text(node);
    if (found.has(t)) several.add(t);
    found.set(t, node);
  }
  for (const t of several) found.delete(t);
  found.delete('');
  return found;
}

function rest(a: readonly Node[], b: readonly Node[], pairs: AlignedNodes['pairs'], by: AlignedNodes['by']): AlignedNodes {
  const [left, right] = [new Set(pairs.map(([n]) => n)), new Set(pairs.map(([, n]) => n))];
  return { pairs, removed: a.filter((n) => !left.has(n)), added: b.filter((n) => !right.has(n)), by };
}
