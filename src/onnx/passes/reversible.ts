/**
 * A change of form: the same network, written so that the rest of the program can work on it. It can be taken back from whatever a defence
 * makes of the changed model, so that the file that comes out differs from the file that came in only in what the defence did.
 */
import type { Tensor } from '../../core/tensor.ts';
import type { Model } from '../model.ts';

export interface Reversible {
  /** The changed model; the given one stays as it is. */
  readonly model: Model;
  /** Takes the change back, in place, from a model made out of {@link model}: other weights, nodes put in, channels taken out. */
  undo(later: Model): void;
}

/** Whether two tensors hold the same bits. */
export function sameTensor(a: Tensor | undefined, b: Tensor | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.dtype !== b.dtype) return false;
  if (a.dims.length !== b.dims.length || !a.dims.every((d, i) => d === b.dims[i]) || a.data.length !== b.data.length) return false;
  for (let i = 0; i < a.data.length; i++) if (!Object.is(a.data[i], b.data[i])) return false;
  return true;
}
