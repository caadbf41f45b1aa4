/** Gives every BatchNormalization running statistics of its own. */
import { allNames, cloneModel, producers } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';

/**
 * A copy of the model in which no two BatchNormalization nodes read the same scale, bias, mean or variance. Exporters store equal
 * tensors once (PyTorch does: the statistics of all fresh layers of one width are equal, and all but one become Identities of that one),
 * which is right as long as nobody trains.
 */
export function unshareStatistics(model: Model): Model {
  const copy = cloneModel(model);
  const { graph } = copy;
  const taken = allNames(graph);
  const seen = new Set<string>();
  const made = producers(graph);
  const outputs = new Set(graph.outputs.map((o) => o.name));
  /** Makes an initialiser again of one that became the alias of another. */
  const separate = (name: string): void => {
    const node = made.get(name);
    if (node?.opType !== 'Identity' || node.domain !== '' || outputs.has(name)) return;
    separate(node.inputs[0]);
    const tensor = graph.initializers.get(node.inputs[0]);
    if (tensor === undefined) return;
    graph.initializers.set(name, tensor);
    graph.nodes = graph.nodes.filter((other) => other !== node);
  };
  for (const node of graph.nodes) {
    if (node.opType !== 'BatchNormalization' || node.domain !== '') continue;
    for (let i = 1; i <= 4; i++) {
      const name = node.inputs[i];
      separate(name);
      const tensor = graph.initializers.get(name);
      if (tensor === undefined) continue;
      if (!seen.has(name)) {
        seen.add(name);
        continue;
      }
      let own = `${name}.${node.name || node.outputs[0]}`;
      while (taken.has(own)) own += '_';
      taken.add(own);
      seen.add(own);
      graph.initializers.set(own, tensor);
      node.inputs[i] = own;
    }
  }
  return copy;
}
