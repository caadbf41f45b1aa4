/** What the user of a downloaded network wants it for: the signs of his own country, sorted into classes of his own. */
import { fail } from '../../core/errors.ts';
import type { Dataset, Role } from '../../data/dataset.ts';
import { groupsPerClass } from '../../data/groups.ts';
import { holdOut } from '../../data/hold-out.ts';
import { keepClasses } from '../../data/keep-classes.ts';
import { shapeText, withLabels } from '../../data/make.ts';
import type { Source } from '../recipe.ts';
import { belgianSigns, KINDS } from './belgium.ts';

export interface Task {
  /** `classes`: each kind of sign is a class. `kinds`: the five kinds of the paper. */
  readonly name: 'classes' | 'kinds';
  readonly train: Dataset<'train'>;
  readonly test: Dataset<'test'>;
  /** What was kept and what not, in a sentence. */
  readonly says: string;
}

/** Share of the user's signs that is held out where the data have no test part. */
const HELD_OUT = 0.33;

/**
 * The user's tasks on the data of a country, the harder one first: its classes with at least `least` signs (whole groups: poles, tracks), and, where
 * they are Belgian, the five kinds of the paper with all images of the
 * signs that have a name here.
 * Throws SecateurError for images that are not of the network's size, without groups to hold out by, or with fewer than two classes left.
 */
export function tasksOf(source: Source, shape: { channels: number; height: number; width: number }, least: number, seed: number): Task[] {
  const where = `data: ${source.uri}`;
  if (shapeText(source.train) !== shapeText(shape)) {
    fail({ where, what: 'signs of another size than at home', expected: shapeText(shape), got: shapeText(source.train) });
  }
  const { train, test } =
    source.test === undefined ? holdOut(source.train, { share: HELD_OUT }, seed) : { train: source.train, test: source.test };
  const signs = belgianSigns(train.classes);
  const [inTrain, inTest] = [groupsPerClass(train), groupsPerClass(test)];
  const kept = [...train.classes.keys()].filter((c) => inTrain[c] + inTest[c] >= least && inTrain[c] > 0 && inTest[c] > 0);
  if (kept.length < 2) {
    const expected = `at least 2 classes with ${least} signs each, some to train on and some to test on`;
    fail({ where, what: 'too few signs to learn from', expected, got: `${kept.length} such classes` });
  }
  const some = <R extends Role>(data: Dataset<R>): Dataset<R> => {
    const part = keepClasses(
      data,
      kept.map((c) => train.classes[c]),
    );
    return withLabels(
      part,
      part.labels,
      signs === undefined ? part.classes : kept.map((c) => signs[c]?.name ?? `number ${Number(train.classes[c])}`),
    );
  };
  const unit = train.groups === undefined ? 'images' : `signs by ${train.groups.by}`;
  const classes: Task = {
    name: 'classes',
    train: some(train),
    test: some(test),
    says: `${kept.length} of ${train.classes.length} classes, those with at least ${least} ${unit}`,
  };
  if (signs === undefined) return [classes];
  const unnamed = train.classes.filter((_, c) => signs[c] === undefined);
  const sorted = <R extends Role>(data: Dataset<R>): Dataset<R> => {
    const known = keepClasses(
      data,
      train.classes.filter((_, c) => signs[c] !== undefined),
    );
    const kinds = signs.flatMap((s) => s?.kind ?? []);
    return withLabels(
      known,
      known.labels.map((label) => KINDS.indexOf(kinds[label])),
      KINDS,
    );
  };
  const left =
    unnamed.length === 0
      ? `all ${train.classes.length} classes`
      : `${train.classes.length - unnamed.length} of ${train.classes.length} classes (numbers ${unnamed.map(Number).join(', ')} have no name here and are left out)`;
  return [
    classes,
    {
      name: 'kinds',
      train: sorted(train),
      test: sorted(test),
      says: `${left}, sorted into ${KINDS.length} kinds`,
    },
  ];
}
