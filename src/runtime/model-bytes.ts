/** A model as ONNX Runtime is given it: bytes, with the weights that lie in other files in them. */
import type { Model } from '../onnx/model.ts';
import { writeModel } from '../onnx/proto.ts';

/** Throws SecateurError for a model of more than 2 GB, which can be read but is no single ONNX file any more. `where` is for messages. */
export function modelBytes(model: Model | Uint8Array, where: string): Uint8Array {
  if (model instanceof Uint8Array) return model;
  return writeModel(model, where, {
    what: 'models of more than 2 GB can be compared (diff) but not run',
    expected: 'less than 2 GB, with the weights that lie in other files',
    hint: 'the same model with its weights in float16',
  });
}
