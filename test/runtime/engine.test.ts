/** The side where ONNX Runtime lives, driven by a stand-in for it: what the builds on this machine do not do. */
import { expect, it } from 'vitest';
import { Engine, type Ort, type OrtTensor } from '../../src/runtime/engine.ts';

/** As Float16Array, which Node has from version 24 on: a typed array of two bytes an element that is no Uint16Array. */
class HalfArray extends Int16Array {}

/** Gives back what it is fed, float16 in the array type of newer systems, at an offset into its memory. */
const echo: Ort = {
  Tensor: class implements OrtTensor {
    readonly type: string;
    readonly data: unknown;
    readonly dims: readonly number[];
    constructor(type: string, data: unknown, dims: readonly number[]) {
      this.type = type;
      this.data = data;
      this.dims = dims;
      if (type === 'float16') {
        const bits = data as Uint16Array;
        const memory = new Uint16Array(bits.length + 2);
        memory.set(bits, 1);
        this.data = new HalfArray(memory.buffer, 2, bits.length);
      }
    }
  },
  InferenceSession: {
    create: async () => ({
      inputNames: ['x', 'y'],
      outputNames: ['x', 'y'],
      run: async (feeds) => feeds,
      release: async () => {},
      endProfiling: () => {},
    }),
  },
};

it('float16 comes back as bits, whichever array ONNX Runtime holds it in', async () => {
  const engine = new Engine(echo, 'wasm');
  const { id } = await engine.open({ bytes: new Uint8Array(), carry: {}, state: {}, ortOptions: {} });
  const x = { dtype: 'float16', dims: [2], data: Uint16Array.of(0x3c00, 0xc000) } as const;
  const y = { dtype: 'int16', dims: [1], data: Int16Array.of(-1) } as const;
  const fetched = await engine.run(id, { x, y }, undefined);
  expect(fetched).toEqual({ x, y });
  expect(fetched.x.data).toBeInstanceOf(Uint16Array);
});
