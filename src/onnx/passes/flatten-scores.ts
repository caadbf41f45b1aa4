/** Class scores that come as maps of one place, [N,K,1,1], as rows [N,K]: what losses and accuracies are about. */
import { attrInt, cloneModel, consumers, producers } from '../edit.ts';
import type { Model, ValueInfo } from '../model.ts';
import type { Reversible } from './reversible.ts';

const SUFFIX = '/map';

/** undefined where there is nothing to do. The value keeps its name; what made it makes `NAME/map` instead. */
export function flattenScores(model: Model): Reversible | undefined {
  const { outputs } = model.graph;
  if (outputs.length !== 1 || !isOnePlace(outputs[0])) return undefined;
  const made = producers(model.graph);
  const last = made.get(outputs[0].name);
  const isSoftmax = last?.domain === '' && (last.opType === 'Softmax' || last.opType === 'LogSoftmax');
  if (isSoftmax && attrInt(last, 'axis', (model.opsets.get('') ?? 0) < 13 ? 1 : -1) !== 1) return undefined;
  const scores = isSoftmax ? last.inputs[0] : outputs[0].name;
  const maker = made.get(scores);
  const readers = consumers(model.graph).get(scores) ?? [];
  if (maker === undefined || readers.some((node) => node !== last)) return undefined;
  const flat = cloneModel(model);
  const at = flat.graph.nodes.findIndex((node) => node.outputs.includes(scores));
  const node = flat.graph.nodes[at];
  node.outputs = node.outputs.map((name) => (name === scores ? scores + SUFFIX : name));
  flat.graph.nodes.splice(at + 1, 0, {
    name: scores + SUFFIX,
    opType: 'Flatten',
    domain: '',
    inputs: [scores + SUFFIX],
    outputs: [scores],
    attributes: new Map([['axis', { type: 'int', value: 1 }]]),
  });
  const names = new Set([scores, outputs[0].name]);
  const before = new Map<string, ValueInfo['dims']>();
  for (const info of [...flat.graph.outputs, ...flat.graph.valueInfo]) {
    if (!names.has(info.name) || !isOnePlace(info)) continue;
    before.set(info.name, [...info.dims!]);
    info.dims = info.dims!.slice(0, 2);
  }
  return {
    model: flat,
    undo({ graph }) {
      graph.nodes = graph.nodes.filter((n) => n.name !== scores + SUFFIX || n.opType !== 'Flatten');
      for (const n of graph.nodes) {
        n.outputs = n.outputs.map((name) => (name === scores + SUFFIX ? scores : name));
        n.inputs = n.inputs.map((name) => (name === scores + SUFFIX ? scores : name));
      }
      for (const info of [...graph.outputs, ...graph.valueInfo]) {
        const dims = before.get(info.name);
        if (dims !== undefined && info.dims?.length === 2) info.dims = [...info.dims, ...dims.slice(2)];
      }
    },
  };
}

/** A declared shape [N,K,1,1], or [N,K,1]. */
function isOnePlace({ dims }: ValueInfo): boolean {
  return dims !== undefined && dims.length > 2 && dims.slice(2).every((d) => d === 1);
}
