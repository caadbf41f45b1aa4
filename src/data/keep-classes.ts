/** Data with some of their classes: those of which there are enough signs, or those that two countries share. */
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import type { Dataset, Role } from './dataset.ts';
import { subset, withLabels } from './make.ts';

/**
 * The images of the classes called `names`, which become the classes of the result in that order; groups stay. A class may have no images
 * (a test part can lack one). Throws SecateurError where a name is unknown or given twice, or no image is left.
 */
export function keepClasses<R extends Role>(data: Dataset<R>, names: readonly string[]): Dataset<R> {
  const where = `data: ${data.source}`;
  const place = new Int32Array(data.classes.length).fill(-1);
  for (const [i, name] of names.entries()) {
    const at = data.classes.indexOf(name);
    if (at < 0) {
      const near = nearest(name, data.classes);
      const expected = data.classes.length > 12 ? `one of ${data.classes.length} classes` : data.classes.join(', ');
      fail({ where, what: `no class "${name}"`, expected, hint: near && `"${near}"`, exitCode: 2 });
    }
    if (place[at] >= 0) fail({ where, what: `class "${name}" is kept twice`, expected: 'each name once', exitCode: 2 });
    place[at] = i;
  }
  const kept = Int32Array.from(data.labels.keys()).filter((i) => place[data.labels[i]] >= 0);
  if (kept.length === 0) fail({ where, what: 'no images of the classes that are kept', expected: 'at least one', got: names.join(', ') });
  const some = subset(data, kept);
  return withLabels(
    some,
    some.labels.map((label) => place[label]),
    names,
  );
}
