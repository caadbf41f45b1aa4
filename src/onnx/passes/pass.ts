/** What a graph change is: one file each, with its conditions written down as code. */
import { fail } from '../../core/errors.ts';
import { checkModel } from '../check.ts';
import { cloneModel } from '../edit.ts';
import type { Model } from '../model.ts';

export interface Pass {
  /** As the file is called. */
  readonly name: string;
  /** Why the pass cannot run on this model, or undefined if it can: a sentence that follows "cannot run:". */
  requires?(model: Model): string | undefined;
  /** Changes the model in place (it is the runner's copy); true if anything was changed. */
  run(model: Model): boolean;
  /** What is wrong with the result, or undefined; for what the pass promises. The rules of `check.ts` are checked anyway. */
  ensures?(model: Model): string | undefined;
}

export interface PassResult {
  readonly model: Model;
  readonly modified: boolean;
}

/**
 * Runs passes in order on a copy of the model, checking conditions before and promises after each. The given model stays as it is.
 * Throws SecateurError where a condition does not hold.
 */
export function runPasses(model: Model, ...passes: readonly Pass[]): PassResult {
  const copy = cloneModel(model);
  let modified = false;
  for (const pass of passes) {
    const where = `onnx: pass ${pass.name}`;
    const unmet = pass.requires?.(copy);
    if (unmet !== undefined) fail({ where, what: `cannot run: ${unmet}` });
    if (pass.run(copy)) modified = true;
    const broken = pass.ensures?.(copy);
    if (broken !== undefined) throw new Error(`${where} broke its promise: ${broken}`);
    checkModel(copy, where);
  }
  return { model: copy, modified };
}
