/** Which class of the data is which class of a network: by name where names agree, else in order, and then it is said. */
import { fail } from '../core/errors.ts';
import type { Dataset, Role } from './dataset.ts';
import { withLabels } from './make.ts';

export type ClassMatching = 'auto' | 'name' | 'order';

/** `007` and `7` are one class; nothing else is changed but case and outer spaces. */
const plain = (name: string): string => {
  const text = name.trim().toLowerCase();
  return /^\d+$/.test(text) ? String(BigInt(text)) : text;
};

/** For each class of the data, the network's; undefined where one of them has no name in common. */
export function matchByName(classes: readonly string[], labels: readonly string[]): number[] | undefined {
  const places = new Map<string, number>();
  for (const [i, label] of labels.entries()) {
    if (places.has(plain(label))) return undefined;
    places.set(plain(label), i);
  }
  const map = classes.map((name) => places.get(plain(name)) ?? -1);
  return map.includes(-1) || new Set(map).size !== map.length ? undefined : map;
}

/**
 * For class numbers in a file, the network's class of each, where all of these numbers are names of its classes (`1` to `102`, or `0`, `1`,
 * `10`, ... in alphabetical order); undefined where they are not: they count from 0 then. `note` is told where the two differ.
 */
export function placesOfNumbers(
  numbers: Iterable<number>,
  classes: readonly string[],
  note: (text: string) => void = () => {},
): ReadonlyMap<number, number> | undefined {
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  const places = matchByName(distinct.map(String), classes);
  if (places === undefined) return undefined;
  const moved = distinct.findIndex((number, i) => places[i] !== number);
  if (moved >= 0)
    note(`class numbers are taken as the names of classes: ${distinct[moved]} is the network's class at place ${places[moved]}`);
  return new Map(distinct.map((number, i) => [number, places[i]]));
}

/** {@link placesOfNumbers} for files that number their classes and cannot name them: only where every class of the network is a number. */
export function placesInArrays(
  numbers: Iterable<number>,
  classes: readonly string[],
  note?: (text: string) => void,
): ReadonlyMap<number, number> | undefined {
  return classes.every((name) => /^\d+$/.test(name.trim())) ? placesOfNumbers(numbers, classes, note) : undefined;
}

const list = (names: readonly string[], most = 6): string =>
  names.length <= most ? names.join(', ') : `${names.slice(0, most - 1).join(', ')}, ... ${names.at(-1)}`;

/**
 * The data with the network's classes: labels renumbered where names agree (the data may lack some), left as they are where there are as
 * many and no name of the data is another class of the network. `note` is told what was taken for what where it is not plain.
 * Throws SecateurError where the numbers differ and the names do not agree, where one name stands at another place while another is not
 * known (unless `matching` is 'order'), or `matching` is 'name' and they do not agree.
 */
export function matchClasses<R extends Role>(
  data: Dataset<R>,
  labels: readonly string[],
  matching: ClassMatching = 'auto',
  note: (text: string) => void = () => {},
): Dataset<R> {
  const same = data.classes.length === labels.length && data.classes.every((name, i) => name === labels[i]);
  if (same) return data;
  const byName = matching === 'order' ? undefined : matchByName(data.classes, labels);
  if (byName !== undefined) {
    const inOrder = byName.every((to, i) => to === i) && data.classes.length === labels.length;
    if (inOrder) return data;
    if (data.classes.length < labels.length) {
      note(`the data have ${data.classes.length} of the network's ${labels.length} classes: ${list(data.classes)}`);
    } else note(`the classes of the data stand in another order than the network's: they are matched by name`);
    const renumbered = Int32Array.from(data.labels, (label) => byName[label]);
    return withLabels(data, renumbered, labels);
  }
  const strangers = data.classes.filter((name) => matchByName([name], labels) === undefined);
  const elsewhere =
    matching === 'auto' &&
    data.classes.length === labels.length &&
    data.classes.some((name, i) => (matchByName([name], labels)?.[0] ?? i) !== i);
  const byNameOnly = matching === 'name' || elsewhere;
  if (byNameOnly || data.classes.length !== labels.length) {
    fail({
      where: `data: ${data.source}`,
      what: byNameOnly ? 'classes do not have the names of the network' : 'classes do not fit the network',
      expected: `${labels.length} (${list(labels)})`,
      got: `${data.classes.length} (${list(data.classes)})${strangers.length < data.classes.length ? `; unknown: ${list(strangers)}` : ''}`,
      hint:
        data.classes.length === labels.length
          ? '--classes order, if they stand in the same order'
          : '--labels with the names of all its classes, in the order of the outputs',
    });
  }
  const pairs = data.classes.slice(0, 3).map((name, i) => `${name} is ${labels[i]}`);
  if (matching === 'auto') {
    note(
      `the classes of the data have other names than the network's, so they are taken in order: ${pairs.join(', ')}${labels.length > 3 ? ', ...' : ''} (--labels names the network's)`,
    );
  }
  return data;
}
