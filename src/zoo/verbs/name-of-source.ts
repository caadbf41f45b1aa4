/** What a model is called where the user does not say. */
import type { SourceSpec } from '../sources/spec.ts';

/** The last telling part of a source, with what a name may not hold made into `-`: `hf:onnx-community/resnet-50@v1` is `resnet-50`. */
export function nameOfSource(spec: SourceSpec): string {
  switch (spec.kind) {
    case 'hf':
      return plain(spec.repo.split('/')[1]);
    case 'caffe-gist':
      return `gist-${spec.id.slice(0, 12)}`;
    case 'caffe':
      // .../models/bvlc_alexnet/readme.md: the folder is the model
      return plain(parts(spec.readme).at(-2) ?? 'caffe-model');
    case 'path':
      return plain(stem(parts(spec.path).at(-1)));
    case 'file':
    case 'url':
      return plain(stem(parts(new URL(spec.url).pathname).map(decoded).at(-1)));
  }
}

const parts = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '..' && !part.endsWith(':'));
const stem = (file = 'model'): string => file.replace(/(.)\.[^.]*$/, '$1');

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function plain(text: string): string {
  const safe = text.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+|[.-]+$/g, '');
  return safe === '' ? 'model' : safe.slice(0, 100);
}
