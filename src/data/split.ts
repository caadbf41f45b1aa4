/**
 * Splits of a data set into parts that never share an image, with a name and a role for each: what the attacker trains on, what the
 * defender holds (`validation`), what settings are chosen on (`tune`). No part may come out empty.
 */
import { fail } from '../core/errors.ts';
import { sha256Bytes } from '../core/hash.ts';
import { Rng } from '../core/rng.ts';
import type { Dataset, Groups } from './dataset.ts';
import { groupsPerClass, membersOf } from './groups.ts';
import { countByClass, imageAt, subset } from './make.ts';

/** Size of each part that is held out: a share below 1 or a number of images. */
export interface SplitParts {
  readonly validation: number;
  readonly tune?: number;
}

/** What remains keeps its role and goes by its name: `train` for training data, `test` for test data. */
export type Split<R extends 'train' | 'test', P extends SplitParts> = { readonly [K in R]: Dataset<K> } & {
  readonly validation: Dataset<'validation'>;
} & (P extends { readonly tune: number } ? { readonly tune: Dataset<'tune'> } : unknown);

type Held = 'validation' | 'tune';
const HELD: readonly Held[] = ['validation', 'tune'];
const WHERE = 'data: split';

/**
 * Draws the held-out parts by chance, each with the same share of every class (largest remainders get the odd images); images keep
 * their order. Where the data say which images belong together (`groups`), no group is parted, and the sizes are met as nearly as whole
 * groups allow; `note` is told of classes that a part has no image of for that reason. Fails where a size is no share and no count, or where
 * a part or the rest would be empty.
 */
export function split<R extends 'train' | 'test', const P extends SplitParts>(
  data: Dataset<R>,
  parts: P,
  seed: number,
  note?: (text: string) => void,
): Split<R, P> {
  if (data.groups !== undefined) return splitGroups(data, parts, seed, note);
  const rng = Rng.from(seed, 'split');
  const pools = Array.from(countByClass(data), (count) => new Int32Array(count));
  const filled = new Int32Array(data.classes.length);
  for (let i = 0; i < data.count; i++) pools[data.labels[i]][filled[data.labels[i]]++] = i;
  for (const [label, pool] of pools.entries()) rng.fork(label).shuffle(pool);

  const taken = new Int32Array(data.classes.length);
  const belongs = new Uint8Array(data.count);
  for (const [p, part] of HELD.entries()) {
    const size = parts[part];
    if (size === undefined) continue;
    checkSize(part, size, true);
    const total = size < 1 ? Math.round(size * data.count) : size;
    const left = pools.map((pool, label) => pool.length - taken[label]);
    if (total > left.reduce((a, b) => a + b, 0)) nothingLeft(`${total} images for ${part} from ${data.count}`);
    for (const [label, quota] of shareOut(total, left).entries()) {
      for (const index of pools[label].subarray(taken[label], taken[label] + quota)) belongs[index] = p + 1;
      taken[label] += quota;
    }
  }
  return assemble(data, parts, belongs);
}

/** Takes groups in an order drawn by chance, each for the first part whose share of the group's classes it brings nearer. */
function splitGroups<R extends 'train' | 'test', P extends SplitParts>(
  data: Dataset<R>,
  parts: P,
  seed: number,
  note?: (text: string) => void,
): Split<R, P> {
  const members = membersOf(data.groups!);
  const order = Rng.from(seed, 'split', 'groups').permutation(members.length);
  const counts = countByClass(data);
  const asked = HELD.filter((part) => parts[part] !== undefined);
  const wanted = asked.map((part) => {
    const size = parts[part]!;
    checkSize(part, size, true);
    if (size >= data.count) nothingLeft(`${size} images for ${part} from ${data.count}`);
    const share = size < 1 ? size : size / data.count;
    return Float64Array.from(counts, (count) => count * share);
  });
  const dealt = dealGroups(data.labels, members, order, wanted);
  const belongs = Uint8Array.from(data.groups!.ids, (id) => (dealt[id] < 0 ? 0 : HELD.indexOf(asked[dealt[id]]) + 1));
  return assemble(data, parts, belongs, note);
}

/**
 * Gives each group, in the order given, to the first part that it brings nearer to what it wants: `wanted` says for each part how many
 * images of each class, `[classes]`, and is used up. Returns each group's part, -1 where no part takes it.
 */
export function dealGroups(
  labels: Int32Array,
  members: readonly (readonly number[])[],
  order: Int32Array,
  wanted: readonly Float64Array[],
): Int32Array {
  const parts = new Int32Array(members.length).fill(-1);
  for (const id of order) {
    const classes = new Map<number, number>();
    for (const i of members[id]) classes.set(labels[i], (classes.get(labels[i]) ?? 0) + 1);
    for (const [p, want] of wanted.entries()) {
      let gain = 0;
      for (const [label, n] of classes) gain += Math.abs(want[label]) - Math.abs(want[label] - n);
      if (gain <= 0) continue;
      for (const [label, n] of classes) want[label] -= n;
      parts[id] = p;
      break;
    }
  }
  return parts;
}

/**
 * Splits by what the images are: the sha-256 of seed and pixels, read as a number in [0, 1), decides. So an image keeps its part when
 * others are added, removed or re-ordered, and equal images never fall on both sides. Where the data have `groups`, the first image of a
 * group decides for all of it. Sizes must be shares, and are met on average only. Notes and fails as {@link split} does.
 */
export function splitByHash<R extends 'train' | 'test', const P extends SplitParts>(
  data: Dataset<R>,
  parts: P,
  seed = 0,
  note?: (text: string) => void,
): Split<R, P> {
  for (const part of HELD) if (parts[part] !== undefined) checkSize(part, parts[part], false);
  const tune = parts.validation + (parts.tune ?? 0);
  const belongs = new Uint8Array(data.count);
  const salt = new TextEncoder().encode(`secateur split ${seed}\n`);
  const byGroup = new Map<number, number>();
  for (let i = 0; i < data.count; i++) {
    const group = data.groups?.ids[i];
    const known = group === undefined ? undefined : byGroup.get(group);
    if (known !== undefined) {
      belongs[i] = known;
      continue;
    }
    const image = imageAt(data, i);
    const bytes = new Uint8Array(salt.length + image.length);
    bytes.set(salt);
    bytes.set(image, salt.length);
    const digest = sha256Bytes(bytes);
    let place = 0;
    for (let k = 5; k >= 0; k--) place = (place + digest[k]) / 256;
    belongs[i] = place < parts.validation ? 1 : place < tune ? 2 : 0;
    if (group !== undefined) byGroup.set(group, belongs[i]);
  }
  return assemble(data, parts, belongs, note);
}

function checkSize(part: Held, size: number, counts: boolean): void {
  if (size > 0 && (size < 1 || (counts && Number.isInteger(size)))) return;
  const expected = counts ? 'a share between 0 and 1 or a whole number of images' : 'a share between 0 and 1';
  fail({ where: WHERE, what: `size of the ${part} part`, expected, got: `${size}`, exitCode: 2 });
}

/** `total` things dealt out in proportion to `sizes`, none getting more than its size. */
function shareOut(total: number, sizes: readonly number[]): number[] {
  const all = sizes.reduce((a, b) => a + b, 0);
  const exact = sizes.map((size) => (total * size) / Math.max(1, all));
  const quotas = exact.map(Math.floor);
  const order = sizes.map((_, i) => i).sort((a, b) => exact[b] - quotas[b] - (exact[a] - quotas[a]) || a - b);
  let left = total - quotas.reduce((a, b) => a + b, 0);
  for (const i of order) {
    if (left === 0) break;
    if (quotas[i] < sizes[i]) {
      quotas[i]++;
      left--;
    }
  }
  return quotas;
}

function assemble<R extends 'train' | 'test', P extends SplitParts>(
  data: Dataset<R>,
  parts: P,
  belongs: Uint8Array,
  note?: (text: string) => void,
): Split<R, P> {
  const indices = [0, 1, 2].map((part) => Int32Array.from(belongs.keys()).filter((i) => belongs[i] === part));
  const asked = HELD.filter((part) => parts[part] !== undefined);
  const sizes = [[data.role, indices[0]] as const, ...asked.map((part) => [part, indices[HELD.indexOf(part) + 1]] as const)];
  if (sizes.some(([, list]) => list.length === 0)) {
    const why = data.groups && sizes[0][1].length > 0 ? groupsTooLarge(data, data.groups) : undefined;
    nothingLeft(sizes.map(([name, list]) => `${name} ${list.length}`).join(', '), why);
  }
  const result: Record<string, Dataset> = { [data.role]: subset(data, indices[0]) };
  for (const part of asked) result[part] = subset(data, indices[HELD.indexOf(part) + 1], part);
  if (note !== undefined) noteMissing(data, sizes, note);
  return result as unknown as Split<R, P>;
}

function nothingLeft(got: string, why?: { got: string; hint: string }): never {
  const expected = 'at least one image in every part';
  const what = 'no clean data left after a split';
  return fail({ where: WHERE, what, expected, got: why ? `${got}: ${why.got}` : got, hint: why?.hint ?? 'other shares, or more data' });
}

/** Whether every one of several groups is all that there is of its class or classes, as persons are where the classes are persons. */
export function groupsAreClasses(data: Dataset, groups: Groups): boolean {
  const groupOf = new Map<number, number>();
  for (const [i, label] of data.labels.entries()) {
    if ((groupOf.get(label) ?? groups.ids[i]) !== groups.ids[i]) return false;
    groupOf.set(label, groups.ids[i]);
  }
  return new Set(groupOf.values()).size > 1;
}

/** What to group by instead of classes. */
export const GROUPS_HINT =
  'groups by what images of a class differ in: --group-by with the column (or columns, joined by commas) of light, session, film, speaker or track';

/** Why a part by whole groups came out empty, and what to do. */
export function groupsTooLarge(data: Dataset, groups: Groups): { got: string; hint: string } {
  if (groupsAreClasses(data, groups)) return { got: `each group by ${groups.by} is all there is of its class`, hint: GROUPS_HINT };
  const counts = countByClass(data);
  const shares = membersOf(groups).flatMap((members) => {
    const classes = new Set(members.map((i) => data.labels[i]));
    const all = [...classes].reduce((sum, label) => sum + counts[label], 0);
    return all === 0 ? [] : [members.length / all];
  });
  const least = Math.min(...shares);
  const share = Math.min(1, Math.ceil(least * 100) / 100).toFixed(2);
  const got = `groups by ${groups.by} are larger than the share, the smallest being ${share} of the images of its classes`;
  const hint = shares.length < 2 ? 'data of several groups' : `a share of at least ${share}, or smaller groups`;
  return { got, hint };
}

/** Names that are written out in a note. */
const NAMED = 5;

/**
 * Tells of classes that some part has no image of, though there are several groups of them: whole groups may be larger than its
 * share.
 * `parts`: name and images (indices into `data`) of each.
 */
export function noteMissing(
  data: Dataset,
  parts: readonly (readonly [name: string, images: Int32Array])[],
  note: (text: string) => void,
): void {
  if (data.groups === undefined) return;
  const groups = groupsPerClass(data);
  for (const [name, images] of parts) {
    const has = new Uint8Array(data.classes.length);
    for (const i of images) has[data.labels[i]] = 1;
    const lacking = data.classes.filter((_, label) => groups[label] > 1 && has[label] === 0);
    if (lacking.length === 0) continue;
    const names = lacking.slice(0, NAMED).map((text) => `"${text}"`);
    const more = lacking.length > NAMED ? ` and ${lacking.length - NAMED} more` : '';
    const classes = lacking.length === 1 ? '1 class' : `${lacking.length} classes`;
    note(`the ${name} part has no image of ${classes} with several groups by ${data.groups.by}: ${names.join(', ')}${more}`);
  }
}
