/**
 * A test part out of data that come without one, by whole groups: test images show lights, speakers or signs that nobody trained on.
 * Frames of one sign on both sides would flatter every number that is measured.
 */
import { fail } from '../core/errors.ts';
import { Rng } from '../core/rng.ts';
import type { Dataset } from './dataset.ts';
import { membersOf } from './groups.ts';
import { countByClass, subset } from './make.ts';
import { dealGroups, GROUPS_HINT, groupsAreClasses, groupsTooLarge, noteMissing } from './split.ts';

/** What is held out: about that share of each class (0..1), drawn by chance; or the groups with these ids. */
export type HeldOut = { readonly share: number } | { readonly groups: readonly number[] };

const WHERE = 'data: hold-out';

/**
 * Holds whole groups out as test images; the rest stays training data, both with the same classes and group ids as before. With a share,
 * groups are drawn by `seed` and taken where they bring each class nearer to its share; ids name them otherwise, and `seed` plays no part.
 * `note` is told of classes of several groups that a part has no image of.
 * Throws SecateurError where the data have no groups, every group is a whole class, the share is none, an id is unknown, or a part would be empty.
 */
export function holdOut(
  data: Dataset<'train'>,
  held: HeldOut,
  seed: number,
  note?: (text: string) => void,
): { train: Dataset<'train'>; test: Dataset<'test'> } {
  const { groups } = data;
  if (groups === undefined) {
    const hint = '--group-by with the column that says it';
    return fail({ where: WHERE, what: `${data.source} does not say which images belong together`, expected: 'groups', hint });
  }
  if (groupsAreClasses(data, groups)) {
    fail({
      where: WHERE,
      what: 'groups that are whole classes cannot be held out: nobody would be trained on such a class',
      expected: 'classes of several groups',
      got: `groups by ${groups.by}, each all there is of its class`,
      hint: GROUPS_HINT,
    });
  }
  const members = membersOf(groups);
  const taken = new Uint8Array(data.count);
  for (const id of 'share' in held ? drawn(data, members, held.share, seed) : named(groups.by, members, held.groups)) {
    for (const i of members[id]) taken[i] = 1;
  }
  const all = Int32Array.from(taken.keys());
  const [train, test] = [all.filter((i) => taken[i] === 0), all.filter((i) => taken[i] === 1)];
  if (train.length === 0 || test.length === 0) {
    const expected = 'at least one image in every part';
    const why = 'share' in held && test.length === 0 ? groupsTooLarge(data, groups) : undefined;
    const got = `train ${train.length}, test ${test.length}${why ? `: ${why.got}` : ''}`;
    fail({ where: WHERE, what: 'no images left', expected, got, hint: why?.hint });
  }
  const parts = [['training', train] as const, ['test', test] as const];
  if (note !== undefined) noteMissing(data, parts, note);
  return { train: subset(data, train), test: subset(data, test, 'test') };
}

function drawn(data: Dataset, members: readonly (readonly number[])[], share: number, seed: number): number[] {
  if (!(share > 0 && share < 1)) {
    fail({ where: WHERE, what: 'not a share', expected: 'above 0 and below 1', got: `${share}`, exitCode: 2 });
  }
  const order = Rng.from(seed, 'hold-out').permutation(members.length);
  const wanted = Float64Array.from(countByClass(data), (count) => count * share);
  const parts = dealGroups(data.labels, members, order, [wanted]);
  return [...parts.keys()].filter((id) => parts[id] === 0);
}

function named(by: string, members: readonly (readonly number[])[], ids: readonly number[]): readonly number[] {
  const unknown = ids.find((id) => (members[id] ?? []).length === 0);
  if (unknown !== undefined) {
    const known = [...members.keys()].filter((id) => members[id].length > 0);
    const expected = `${known.length} groups by ${by}, ${known[0]} to ${known.at(-1)}`;
    fail({ where: WHERE, what: 'no such group', expected, got: `${unknown}`, exitCode: 2 });
  }
  return ids;
}
