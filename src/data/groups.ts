/** Images that belong together: frames of one sign, recordings of one person. A split that parts them would be flattered. */
import type { Dataset, Groups } from './dataset.ts';

/** Columns of an index that say it, in the order in which they are looked for. */
export const GROUP_COLUMNS: readonly string[] = ['track', 'pole', 'person', 'subject', 'speaker', 'session', 'group'];

/** Groups from one key for each image; equal keys are one group, called what `nameOf` says of its first image. */
export function groupsOf(by: string, keys: readonly string[], nameOf?: (image: number) => string): Groups {
  const known = new Map<string, number>();
  const names: string[] = [];
  const ids = Int32Array.from(keys, (key, i) => {
    const id = known.get(key) ?? known.size;
    if (id === known.size && nameOf !== undefined) names.push(nameOf(i));
    known.set(key, id);
    return id;
  });
  return { by, ids, ...(nameOf && { names }) };
}

/**
 * Key of an image's group by {@link byPrefix}. Digits alone number things within a class (sign 12 of this class); a prefix with a name in it
 * means the same in every class (`subject01_happy`, `subject01_sad`).
 */
export function prefixKey(label: number, name: string): string {
  const prefix = byPrefix(name);
  return /^\d+$/.test(prefix) ? `${label} ${prefix}` : prefix;
}

/** What people would call the group of {@link prefixKey}: `12 of stop`, `subject01`. */
export function prefixName(className: string, name: string): string {
  const prefix = byPrefix(name);
  return /^\d+$/.test(prefix) ? `${prefix} of ${className}` : prefix;
}

/** A file's name up to its last `_` or `-`: `00012_00029.ppm` is frame 29 of sign 12. */
export function byPrefix(name: string): string {
  const stem = name.replace(/\.[^.]*$/, '');
  const cut = Math.max(stem.lastIndexOf('_'), stem.lastIndexOf('-'));
  return cut > 0 ? stem.slice(0, cut) : stem;
}

/** Images of each group, by its id; an id that no image has gets an empty list. */
export function membersOf({ ids }: Groups): number[][] {
  const members: number[][] = [];
  for (const [i, id] of ids.entries()) {
    while (members.length <= id) members.push([]);
    members[id].push(i);
  }
  return members;
}

/** How many groups (signs, persons) each class has images of, `[classes]`; without groups each image is one of its own. */
export function groupsPerClass(data: Dataset): Int32Array {
  const seen = new Set<string>();
  const counts = new Int32Array(data.classes.length);
  for (const [i, label] of data.labels.entries()) {
    const key = `${label} ${data.groups?.ids[i] ?? i}`;
    if (!seen.has(key)) counts[label]++;
    seen.add(key);
  }
  return counts;
}
