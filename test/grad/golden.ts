/** Reads what scripts/golden-grad.py wrote. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'fflate';
import { f32, sizeOf, type Tensor } from '../../src/core/tensor.ts';
import type { Model } from '../../src/onnx/model.ts';
import { readModel } from '../../src/onnx/proto.ts';

const file = (name: string): Uint8Array => readFileSync(new URL(`../golden/grad/${name}`, import.meta.url));

export const goldenModel = (name: string): Model => readModel(gunzipSync(file(`${name}.onnx.gz`)), name);

export type Golden = ReadonlyMap<string, Tensor>;

/** Tensors by name: `x`, `labels`, `weights`, `logits`, `loss`, `grad:NAME`, `running:NAME`. */
export function goldenTensors(name: string): Golden {
  const bytes = gunzipSync(file(`${name}.gz`));
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header: Record<string, { dtype: 'F32' | 'I64'; shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + headerLength)),
  );
  return new Map(
    Object.entries(header).map(([key, { dtype, shape, data_offsets: at }]): [string, Tensor] => {
      const raw = bytes.slice(8 + headerLength + at[0], 8 + headerLength + at[1]).buffer;
      return [key, dtype === 'F32' ? f32(new Float32Array(raw), shape) : { dtype: 'int64', dims: shape, data: new BigInt64Array(raw) }];
    }),
  );
}

export interface OptimizerGoldens {
  readonly dims: Readonly<Record<string, number[]>>;
  readonly start: Readonly<Record<string, number[]>>;
  readonly rates: readonly number[];
  readonly gradients: readonly Readonly<Record<string, number[]>>[];
  readonly cases: readonly { options: never; steps: readonly Readonly<Record<string, number[]>>[] }[];
}

export const optimizerGoldens = (): OptimizerGoldens => JSON.parse(new TextDecoder().decode(file('optimizers.json')));

/** ||a - b|| / ||b||, the Euclidean norm over all elements. */
export function relativeError(found: Tensor, expected: Tensor): number {
  const [a, b] = [found.data as Float32Array, expected.data as Float32Array];
  if (a.length !== b.length) throw new Error(`${a.length} elements, expected ${b.length}`);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < sizeOf(expected.dims); i++) {
    difference += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(difference / norm);
}
