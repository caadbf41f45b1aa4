/** A stranger's network described: what it is, how images go into it, and which of its nodes can be trained. */
import { SecateurError } from '../core/errors.ts';
import { formatDims } from '../core/shapes.ts';
import { sizeOf } from '../core/tensor.ts';
import { labelOf } from '../grad/freeze.ts';
import { layersOf } from '../grad/parameters.ts';
import { type NodeState, type Trainability, trainability } from '../grad/trainability.ts';
import { whyNotClassifier } from '../onnx/classifier.ts';
import { type ModelSummary, summarize } from '../onnx/describe.ts';
import type { Model } from '../onnx/model.ts';
import { readSpec, type SpecOverrides } from '../onnx/spec.ts';
import type { ValueTypes } from '../onnx/value-types.ts';

export interface LayerState {
  readonly name: string;
  readonly opType: string;
  readonly state: NodeState;
  /** `[64,3,7,7] + [64]` */
  readonly shapes: string;
  readonly parameters: number;
}

export interface Checkup {
  readonly summary: ModelSummary;
  /** Why it is no classifier of images; undefined where it seems to be one. */
  readonly notClassifier?: string;
  readonly classes?: number;
  /** How pixels become inputs, where the file says so. */
  readonly pixels?: string;
  /** What is missing otherwise, and what to type. */
  readonly pixelsUnknown?: string;
  /** Undefined where the graph cannot be differentiated at all, for the reason in `notTrainable`. */
  readonly training?: {
    /** State -> operator -> how many nodes. */
    readonly nodes: Partial<Record<NodeState, Record<string, number>>>;
    /** Nodes without a gradient, first ones first: name, operator and what it is that has none. */
    readonly blocked: readonly { readonly name: string; readonly opType: string; readonly why: string }[];
    readonly layers: readonly LayerState[];
    /** Numbers in all parameters, and in those that can be trained. */
    readonly parameters: number;
    readonly trainable: number;
    readonly freezeBefore?: string;
  };
  readonly notTrainable?: string;
}

/** @param types of every value, as `probe` finds them; the model's weights are initialisers (see `workingModel`) */
export function checkup(model: Model, types: ValueTypes, overrides: SpecOverrides = {}): Checkup {
  const notClassifier = whyNotClassifier(model, types);
  const classes = notClassifier === undefined ? types.get(model.graph.outputs[0].name)?.dims[1] : undefined;
  return {
    summary: summarize(model),
    ...(notClassifier !== undefined && { notClassifier }),
    ...(classes !== undefined && { classes }),
    ...describePixels(model, overrides, classes),
    ...describeTraining(model, types),
  };
}

/** @param classes as many as there are, for files that do not say it themselves */
function describePixels(model: Model, overrides: SpecOverrides, classes = 1): Pick<Checkup, 'pixels' | 'pixelsUnknown'> {
  try {
    const known = model.metadata.has('secateur.labels') || typeof model.graph.outputs[0]?.dims?.[1] === 'number';
    const labels = overrides.labels ?? (known ? undefined : Array.from({ length: classes }, (_, i) => String(i)));
    const spec = readSpec(model, { ...overrides, ...(labels && { labels }) });
    const { channels, height, width, layout, range, mean, std, channelOrder } = spec;
    const plain = mean.every((m) => m === 0) && std.every((s) => s === 1);
    const norm = plain ? '' : `, then minus ${list(mean)}, divided by ${list(std)}`;
    const order = channels === 3 ? ` ${channelOrder}` : '';
    return { pixels: `${channels}x${height}x${width}${order} ${layout}, 0..255 becomes ${range.join('..')}${norm}` };
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    const { what, hint } = error.parts;
    return { pixelsUnknown: hint === undefined ? what : `${what}: ${hint}` };
  }
}

const list = (values: readonly number[]): string => values.map((v) => String(Number(v.toPrecision(4)))).join(',');

function describeTraining(model: Model, types: ValueTypes): Pick<Checkup, 'training' | 'notTrainable'> {
  let found: Trainability;
  try {
    found = trainability(
      model,
      types,
      model.graph.outputs.map((output) => output.name),
    );
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    const { what, expected, got } = error.parts;
    return { notTrainable: [what, expected && `expected ${expected}`, got && `got ${got}`].filter(Boolean).join(', ') };
  }
  const nodes: Partial<Record<NodeState, Record<string, number>>> = {};
  for (const { node, state } of found.nodes) {
    nodes[state] ??= {};
    nodes[state][node.opType] = (nodes[state][node.opType] ?? 0) + 1;
  }
  const sizes = (names: Iterable<string>): number => [...names].reduce((sum, name) => sum + sizeOf(types.get(name)?.dims ?? [0]), 0);
  const states = new Map(found.nodes.map(({ node, state }) => [labelOf(node), state]));
  const layers = layersOf(model.graph).map(({ node, parameters }): LayerState => {
    const shapes = parameters.map((name) => formatDims(types.get(name)?.dims ?? [])).join(' + ');
    const state = states.get(labelOf(node)) ?? 'untouched';
    return { name: labelOf(node), opType: node.opType, state, shapes, parameters: sizes(parameters) };
  });
  const blocked = found.nodes.flatMap(({ node, state, why }) =>
    state === 'blocked'
      ? [{ name: labelOf(node), opType: node.opType, why: why === '' ? 'no gradient rule' : `no gradient rule with ${why}` }]
      : [],
  );
  const { parameters, trainable, freezeBefore } = found;
  return {
    training: {
      nodes,
      blocked,
      layers,
      parameters: sizes(parameters),
      trainable: sizes(trainable),
      ...(freezeBefore !== undefined && { freezeBefore }),
    },
  };
}
