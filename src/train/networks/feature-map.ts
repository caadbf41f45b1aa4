/** A value [N,C,H,W] of a graph under construction that knows its size, for networks whose fully connected layers depend on the image. */
import type { Rng } from '../../core/rng.ts';
import type { GraphBuilder } from '../../onnx/builder.ts';
import { float } from '../../onnx/model.ts';
import { type ConvShape, conv, relu } from './layers.ts';

export interface PoolShape {
  readonly kernel: number;
  readonly stride: number;
  readonly pad?: number;
  /** Caffe's way: a window that sticks out at the end counts. */
  readonly ceil?: boolean;
}

export class FeatureMap {
  readonly value: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly #b: GraphBuilder;
  readonly #rng: Rng;

  constructor(b: GraphBuilder, rng: Rng, value: string, size: { channels: number; height: number; width: number }) {
    this.#b = b;
    this.#rng = rng;
    this.value = value;
    this.channels = size.channels;
    this.height = size.height;
    this.width = size.width;
  }

  /** Values of one image once flattened. */
  get features(): number {
    return this.channels * this.height * this.width;
  }

  conv(name: string, shape: Omit<ConvShape, 'from'>): FeatureMap {
    const value = conv(this.#b, this.#rng, name, this.value, { ...shape, from: this.channels });
    const size = (s: number): number => Math.floor((s + 2 * (shape.pad ?? 0) - shape.kernel) / (shape.stride ?? 1)) + 1;
    return this.#next(value, { channels: shape.to, height: size(this.height), width: size(this.width) });
  }

  relu(name: string): FeatureMap {
    return this.#next(relu(this.#b, name, this.value), this);
  }

  maxPool(name: string, { kernel, stride, pad = 0, ceil = false }: PoolShape): FeatureMap {
    const attributes = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      ...(ceil ? { ceil_mode: 1 } : {}),
    };
    const value = this.#b.op('MaxPool', [this.value], attributes, { name, outputs: [name] });
    const round = ceil ? Math.ceil : Math.floor;
    const size = (s: number): number => round((s + 2 * pad - kernel) / stride) + 1;
    return this.#next(value, { channels: this.channels, height: size(this.height), width: size(this.width) });
  }

  /** Local response normalisation over `size` neighbouring channels. */
  lrn(name: string, { size, alpha, beta }: { size: number; alpha: number; beta: number }): FeatureMap {
    const attributes = { size, alpha: float(alpha), beta: float(beta), bias: float(1) };
    return this.#next(this.#b.op('LRN', [this.value], attributes, { name, outputs: [name] }), this);
  }

  /** [N,C*H*W] */
  flatten(name: string): string {
    return this.#b.op('Flatten', [this.value], { axis: 1 }, { name, outputs: [name] });
  }

  #next(value: string, size: { channels: number; height: number; width: number }): FeatureMap {
    return new FeatureMap(this.#b, this.#rng, value, size);
  }
}
