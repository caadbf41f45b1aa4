/** What comes from a data address. */
import type { Dataset } from './dataset.ts';

export interface LoadedData {
  train?: Dataset<'train'>;
  test?: Dataset<'test'>;
  /** The source knows no parts: all of it is in `train`. */
  undivided?: boolean;
}
