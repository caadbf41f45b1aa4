/** Gives the batch, a symbol or unknown in most files, a size: static shapes are what gradients and lowerings are made for. */
import type { Dim, Model, ValueInfo } from '../model.ts';
import { trueInputs } from '../spec.ts';
import type { Pass } from './pass.ts';

/**
 * Sets the first dimension of every graph input to `batch`; where it was a symbol, the symbol is replaced wherever it stands.
 * Requires that no input has another fixed batch: a graph made for one size may have it in its constants too.
 */
export function bindBatch(batch: number): Pass {
  return {
    name: 'bind-batch',
    requires(model) {
      if (!Number.isInteger(batch) || batch < 1) return `a batch of ${batch} is no whole number above 0`;
      const fixed = batched(model).find((i) => typeof i.dims[0] === 'number' && i.dims[0] !== batch);
      return fixed && `input "${fixed.name}" has a fixed batch of ${fixed.dims[0]}, not ${batch}`;
    },
    run(model) {
      const symbols = new Set<Dim>(batched(model).flatMap((i) => (typeof i.dims[0] === 'string' ? [i.dims[0]] : [])));
      let modified = false;
      const bind = (info: ValueInfo, isInput: boolean): void => {
        info.dims = info.dims?.map((d, axis) => {
          const isBatch = (d !== null && symbols.has(d)) || (isInput && axis === 0 && d === null);
          if (isBatch) modified = true;
          return isBatch ? batch : d;
        });
      };
      const inputs = new Set<ValueInfo>(batched(model));
      for (const info of [...model.graph.inputs, ...model.graph.outputs, ...model.graph.valueInfo]) bind(info, inputs.has(info));
      return modified;
    },
    ensures: (model) => batched(model).find((i) => i.dims[0] !== batch) && 'an input is left without its batch',
  };
}

/** Inputs that have a first dimension: scalars and inputs of unknown rank have no batch to bind. */
function batched(model: Model): (ValueInfo & { dims: Dim[] })[] {
  return trueInputs(model).filter((i): i is ValueInfo & { dims: Dim[] } => i.dims !== undefined && i.dims.length > 0);
}
