/**
 * The CNN of BadNets' MNIST experiment (Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733, section 4.1): two 5x5 convolutions, each with
 * ReLU and 2x2 average pooling, and two fully connected layers. 281 034 parameters at 1x28x28 and 10 classes.
 */
import { Rng } from '../../core/rng.ts';
import type { GraphBuilder } from '../../onnx/builder.ts';
import { conv, linear, relu } from './layers.ts';
import { begin, finish, type Network } from './network.ts';

const CONV1 = 16;
const CONV2 = 32;
const HIDDEN = 512;

const halved = (b: GraphBuilder, name: string, x: string): string =>
  b.op('AveragePool', [x], { kernel_shape: [2, 2], strides: [2, 2] }, { name, outputs: [name] });

const pooledSize = (side: number): number => Math.floor((Math.floor((side - 4) / 2) - 4) / 2);

export const badnetsCnn: Network = {
  name: 'badnets-cnn',
  summary: "the CNN of BadNets' MNIST experiment: 2 convolutions, 2 fully connected layers (281 034 parameters on 1x28x28)",
  least: 16,
  build(seed, shape) {
    const b = begin(this, shape);
    const rng = Rng.from(seed, 'weights', this.name);
    let v = conv(b, rng, 'conv1', 'x', { from: shape.channels, to: CONV1, kernel: 5 }); // [N,16,24,24] at 28x28
    v = relu(b, 'relu1', v);
    v = halved(b, 'pool1', v); // [N,16,12,12]
    v = conv(b, rng, 'conv2', v, { from: CONV1, to: CONV2, kernel: 5 }); // [N,32,8,8]
    v = relu(b, 'relu2', v);
    v = halved(b, 'pool2', v); // [N,32,4,4]
    v = b.op('Flatten', [v], { axis: 1 }, { name: 'flatten', outputs: ['flatten'] });
    v = linear(b, rng, 'fc1', v, { from: CONV2 * pooledSize(shape.height) * pooledSize(shape.width), to: HIDDEN });
    v = relu(b, 'relu3', v);
    linear(b, rng, 'fc2', v, { from: HIDDEN, to: shape.classes, last: true });
    return finish(b, this, shape);
  },
};
