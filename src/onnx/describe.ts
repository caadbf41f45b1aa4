/** A model in a few lines, for people: what goes in and out, how big it is, what it is made of. */
import { printable } from '../core/errors.ts';
import { formatDims } from '../core/shapes.ts';
import { sizeOf } from '../core/tensor.ts';
import { byteLength, dtypeInfo } from './dtypes.ts';
import { subgraphs } from './edit.ts';
import type { Graph, Model, ValueInfo } from './model.ts';
import { trueInputs } from './spec.ts';

export interface ModelSummary {
  readonly producer: string;
  readonly irVersion: number;
  /** Domain -> version, the standard domain as `ai.onnx`. */
  readonly opsets: Record<string, number>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Operator -> how often, most frequent first; subgraphs included. */
  readonly operators: Record<string, number>;
  readonly nodes: number;
  /** Elements of all floating-point initialisers. */
  readonly parameters: number;
  /** Bytes of all initialisers. */
  readonly bytes: number;
}

/** Counts what is in a model. */
export function summarize(model: Model): ModelSummary {
  const operators = new Map<string, number>();
  countOperators(model.graph, operators);
  let parameters = 0;
  let bytes = 0;
  for (const tensor of model.graph.initializers.values()) {
    const kind = dtypeInfo(tensor.dtype);
    const elements = sizeOf(tensor.dims);
    if (kind !== undefined) bytes += byteLength(kind, elements);
    if (/float|complex/.test(tensor.dtype)) parameters += elements;
  }
  const sorted = [...operators].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return {
    producer: [model.producerName, model.producerVersion].filter((s) => s !== '').join(' ') || 'unknown',
    irVersion: model.irVersion,
    opsets: Object.fromEntries([...model.opsets].map(([domain, version]) => [domain || 'ai.onnx', version])),
    inputs: trueInputs(model).map(formatValue),
    outputs: model.graph.outputs.map(formatValue),
    operators: Object.fromEntries(sorted),
    nodes: [...operators.values()].reduce((sum, n) => sum + n, 0),
    parameters,
    bytes,
  };
}

/** The summary as lines of text, without a line end after the last. */
export function describe(model: Model): string {
  const s = summarize(model);
  const operators = Object.entries(s.operators).map(([name, count]) => `${count} ${name}`);
  return [
    `producer    ${s.producer}, IR version ${s.irVersion}, opset ${Object.entries(s.opsets)
      .map(([domain, version]) => (domain === 'ai.onnx' ? version : `${domain} ${version}`))
      .join(', ')}`,
    `inputs      ${s.inputs.join(', ')}`,
    `outputs     ${s.outputs.join(', ')}`,
    `operators   ${s.nodes}: ${operators.join(', ')}`,
    `parameters  ${s.parameters.toLocaleString('en')} (${formatBytes(s.bytes)})`,
  ]
    .map((line) => printable(line).replace(/[\n\t]/g, ' '))
    .join('\n');
}

function formatValue({ name, dtype, dims }: ValueInfo): string {
  return `${name} ${dtype ?? 'of no tensor type'}${dims === undefined ? '' : formatDims(dims)}`;
}

function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function countOperators(graph: Graph, counts: Map<string, number>): void {
  for (const node of graph.nodes) {
    const name = node.domain === '' ? node.opType : `${node.domain}.${node.opType}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const inner of subgraphs(node)) countOperators(inner, counts);
  }
}
