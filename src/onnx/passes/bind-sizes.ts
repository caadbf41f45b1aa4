/** Gives an input whose height and width are open the sizes that it is going to be fed: what is inside is then of one size too. */
import { cloneModel } from '../edit.ts';
import type { Dim, Model } from '../model.ts';
import type { Reversible } from './reversible.ts';

/** @param dims sizes after the batch; undefined is given back where the input has them already, or another number of axes */
export function bindSizes(model: Model, input: string, dims: readonly number[]): Reversible | undefined {
  const was = model.graph.inputs.find((i) => i.name === input)?.dims;
  if (was === undefined || was.length !== dims.length + 1 || !was.some((d, i) => i > 0 && typeof d !== 'number')) return undefined;
  const symbols = new Map<Dim, number>(was.flatMap((d, i) => (i > 0 && typeof d === 'string' ? [[d, dims[i - 1]] as const] : [])));
  const bound = cloneModel(model);
  const before = new Map<string, Dim[]>();
  const lists = (m: Model) => [...m.graph.inputs, ...m.graph.outputs, ...m.graph.valueInfo];
  for (const info of lists(bound)) {
    const old = info.dims;
    if (old === undefined) continue;
    info.dims = old.map((d, i) => (info.name === input && i > 0 ? dims[i - 1] : (symbols.get(d) ?? d)));
    before.set(info.name, old);
  }
  const after = new Map(lists(bound).map((info) => [info.name, info.dims]));
  return {
    model: bound,
    undo(later) {
      for (const info of lists(later)) {
        const old = before.get(info.name);
        const now = after.get(info.name);
        if (info.dims === undefined || old?.length !== info.dims.length) continue;
        info.dims = info.dims.map((d, i) => (d === now?.[i] ? old[i] : d));
      }
    },
  };
}
