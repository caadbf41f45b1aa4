/** What the case studies ask of their data. */
import { fail } from '../../core/errors.ts';
import type { Dataset, Role } from '../../data/dataset.ts';
import type { Source } from '../recipe.ts';

/**
 * All clean images of a source in one set with groups, from which whole groups are held out.
 * Throws SecateurError where the source does not say which images belong together.
 */
export function grouped({ uri, train }: Source, what: string): Dataset<'train'> {
  if (train.groups !== undefined) return train;
  return fail({
    where: `data: ${uri}`,
    what: 'does not say which images belong together, so test images that are really new cannot be held out',
    expected: `groups of images (${what})`,
    hint: '--group-by COLUMN of its index or --group-by prefix of the file names (in reproduce face, speech and signs)',
  });
}

/** The same images, each a group of its own: a split then parts what was said by one voice. */
export function ungrouped<R extends Role>({ groups: _, ...data }: Dataset<R>): Dataset<R> {
  return data;
}
