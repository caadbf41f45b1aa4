/** Takes channels out of a file altogether: rows of the layer's weights, columns of the next layer's, and all that goes with them. */
import { fail } from '../../core/errors.ts';
import { i64 } from '../../core/tensor.ts';
import { featuresWithout } from '../channel-layout.ts';
import type { CutPoint } from '../cut-points.ts';
import { allNames, removeDead } from '../edit.ts';
import type { Model, Node } from '../model.ts';
import type { Mend } from '../removal.ts';
import { takeSlices } from '../slices.ts';
import { constantsToInitializers } from './constants-to-initializers.ts';
import { checkChannels, maskName, renumberCut } from './cut-channels.ts';
import { type Pass, type PassResult, runPasses } from './pass.ts';

/**
 * The model without `channels` of the layer at `point`. Its logits are those of the model with these channels cut, but for rounding.
 * Throws SecateurError where that cannot be done (see {@link whyNotCompact}) and where no channel would be left.
 */
export function compactChannels(model: Model, point: CutPoint, channels: readonly number[]): PassResult {
  checkChannels(point, channels);
  const gone = new Set(channels);
  const where = `layer ${point.layer}`;
  checkCompact(point, channels);
  if (gone.size >= point.channels) {
    fail({
      where,
      what: 'no channel would be left',
      expected: `at most ${point.channels - 1} channels to take out`,
      got: String(gone.size),
    });
  }
  return runPasses(model, compactPass(point, gone));
}

/** Throws SecateurError where `channels` at `point` (by default any at all) cannot be taken out of the file. */
export function checkCompact(point: CutPoint, channels: readonly number[] = []): void {
  const why = whyNotCompact(point, channels);
  if (why === undefined) return;
  const hint = 'without --compact: the channels are zero then, and stay in the file';
  fail({ where: `layer ${point.layer}`, what: `its channels cannot be taken out of the file: ${why}`, hint });
}

/** Why `channels` at `point` cannot be taken out of the file; undefined where they can. */
export function whyNotCompact(point: CutPoint, channels: readonly number[] = []): string | undefined {
  const { why, takes, mends } = point.removal();
  if (why !== undefined) return why;
  const gone = new Set(channels);
  const empty = takes.find(({ map }) => gone.size > 0 && map.length > 0 && map.every((c) => gone.has(c)));
  if (empty !== undefined && gone.size < point.channels) return `nothing would be left of "${empty.name}"`;
  for (const mend of mends) {
    if (mend.kind === 'split' && mend.maps.some((map) => map?.every((c) => gone.has(c)))) {
      return `nothing would be left of an output of node "${mend.node.name || mend.node.outputs[0]}" (Split)`;
    }
  }
  return undefined;
}

function compactPass(point: CutPoint, gone: ReadonlySet<number>): Pass {
  return {
    name: 'compact-channels',
    run(model) {
      if (gone.size === 0) return false;
      const { takes, mends, changed } = point.removal();
      if (takes.some(({ name }) => !model.graph.initializers.has(name))) constantsToInitializers.run(model);
      const { graph } = model;
      for (const { name, axis, map } of takes) {
        const tensor = graph.initializers.get(name);
        if (tensor !== undefined) graph.initializers.set(name, takeSlices(tensor, axis, featuresWithout({ map }, gone)));
      }
      for (const mend of mends) mended(model, mend, gone);
      // A Mul that was put in to cut the layer has a number for each channel too.
      const mask = graph.initializers.get(maskName(point.layer));
      if (mask?.dims[0] === point.channels) {
        const keep = Array.from({ length: point.channels }, (_, c) => c).filter((c) => !gone.has(c));
        graph.initializers.set(maskName(point.layer), takeSlices(mask, 0, keep));
      }
      // Declared shapes of what was on the way are wrong now; ONNX infers them again.
      graph.valueInfo = graph.valueInfo.filter((v) => !changed.has(v.name));
      renumberCut(model, point.layer, gone);
      removeDead(graph);
      return true;
    },
  };
}

function mended(model: Model, mend: Mend, gone: ReadonlySet<number>): void {
  const { graph } = model;
  const left = (map: Int32Array): number => featuresWithout({ map }, gone).length;
  if (mend.kind === 'shape') {
    const shape = graph.initializers.get(mend.name);
    if (shape === undefined) return;
    const dims = Array.from(shape.data, Number);
    dims[mend.axis] = left(mend.map);
    graph.initializers.set(mend.name, i64(dims));
    return;
  }
  // The point was found in another copy of the graph.
  const node = graph.nodes.find((n) => n.outputs[0] === mend.node.outputs[0]);
  if (node === undefined) return;
  if (mend.kind === 'group') node.attributes.set('group', { type: 'int', value: left(mend.map) });
  else
    splitSizes(
      model,
      node,
      mend.maps.map((map) => (map === undefined ? 0 : left(map))),
    );
}

/** Sizes became an input of Split with this opset; before, they are an attribute. */
const SPLIT_INPUT_OPSET = 13;

function splitSizes({ graph, opsets }: Model, node: Node, sizes: readonly number[]): void {
  if ((opsets.get('') ?? 0) < SPLIT_INPUT_OPSET) {
    node.attributes.set('split', { type: 'ints', value: sizes });
    return;
  }
  const taken = allNames(graph);
  let name = `${node.outputs[0]}/sizes`;
  while (taken.has(name)) name += '_';
  graph.initializers.set(name, i64(sizes));
  node.inputs = [node.inputs[0], name];
  node.attributes.delete('num_outputs');
}
