/** Gives every BatchNormalization running statistics of its own. */
import { allNames, cloneModel } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';

/**
 * A copy of the model in which no two BatchNormalization nodes read the same scale, bias, mean or variance. Exporters store equal
 * tensors once (PyTorch does: the statistics of all fresh layers of one width are equal), which is right as long as nobody trains.
 */
export function unshareStatistics(model: Model): Model {
  const copy = cloneModel(model);
  const { graph } = copy;
  const taken = allNames(graph);
  const seen = new Set<string>();
  for (const node of graph.nodes) {
    if (node.opType !== 'BatchNormalization' || node.domain !== '') continue;
    for (let i = 1; i <= 4; i++) {
      const name = node.inputs[i];
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
