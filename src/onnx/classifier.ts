/** Whether a network classifies single images, and if not, what it seems to do instead. */
import { formatDims } from '../core/shapes.ts';
import { producers } from './edit.ts';
import type { Model, ValueInfo } from './model.ts';
import { trueInputs } from './spec.ts';
import type { ValueTypes } from './value-types.ts';

/**
 * Why a network is not a classifier, in a clause that follows "it is not": undefined where nothing speaks against it. Judged by what its
 * outputs declare; with `types`, also by what they are made of.
 */
export function whyNotClassifier(model: Model, types?: ValueTypes): string | undefined {
  const inputs = trueInputs(model);
  if (inputs.length !== 1) return `it takes ${inputs.length} inputs (${list(inputs)})`;
  const { outputs } = model.graph;
  if (outputs.length !== 1)
    return `it gives out ${outputs.length} values (${list(outputs)}), as detectors and networks of several tasks do`;
  const [output] = outputs;
  const dims = output.dims ?? types?.get(output.name)?.dims;
  const text = `its output ${show(output)}`;
  if (output.dtype !== undefined && !output.dtype.includes('float')) return `${text} holds no scores but a decision or a count`;
  if (dims === undefined) return undefined;
  if (dims.length < 2) return `${text} is no row of class scores for each image`;
  if (dims.length > 2 && !dims.slice(2).every((d) => d === 1)) return `${text} is a map, as of a detector or a segmentation`;
  if (dims[1] === 1) return `${text} is one number for each image, as of a regression`;
  const places = types && flattenedPlaces(model, output.name, types);
  return places === undefined ? undefined : `${text} is a map of ${places} places written as one row, as of a detector`;
}

/** `13x13`, where a row is nothing but the map of a convolution. */
function flattenedPlaces({ graph }: Model, output: string, types: ValueTypes): string | undefined {
  const made = producers(graph);
  const last = made.get(output);
  if (last?.opType !== 'Flatten' && last?.opType !== 'Reshape') return undefined;
  const map = types.get(last.inputs[0])?.dims;
  if (map === undefined || map.length !== 4 || !map.slice(2).some((d) => d > 1)) return undefined;
  return made.get(last.inputs[0])?.opType === 'Conv' ? map.slice(2).join('x') : undefined;
}

/** Whether only {@link whyNotClassifier} with types can tell. */
export function needsTypes({ graph }: Model): boolean {
  const made = producers(graph);
  const last = made.get(graph.outputs[0]?.name ?? '');
  return (last?.opType === 'Flatten' || last?.opType === 'Reshape') && made.get(last.inputs[0])?.opType === 'Conv';
}

const show = ({ name, dtype, dims }: ValueInfo): string => `"${name}" ${dtype ?? ''}${dims === undefined ? '' : formatDims(dims)}`.trim();
const list = (infos: readonly ValueInfo[]): string => infos.map(show).join(', ') || 'none';
