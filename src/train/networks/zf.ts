/**
 * The network of Zeiler and Fergus (2014), the backbone of BadNets' and Fine-Pruning's traffic-sign detector, as a classifier: conv1 to conv5
 * and the fully connected fc6 to fc8. conv5 is the layer that is pruned, and conv1 to conv5 are what a user of a stranger's network keeps.
 */
import { Rng } from '../../core/rng.ts';
import type { GraphBuilder } from '../../onnx/builder.ts';
import { FeatureMap } from './feature-map.ts';
import { dropout, linear, relu } from './layers.ts';
import { begin, finish, type Network, type NetworkShape } from './network.ts';

interface Head {
  readonly fc6: number;
  readonly fc7: number;
  readonly dropout: boolean;
}

function head(b: GraphBuilder, rng: Rng, features: FeatureMap, shape: NetworkShape, { fc6, fc7, dropout: drop }: Head): void {
  let v = linear(b, rng, 'fc6', features.flatten('flatten'), { from: features.features, to: fc6 });
  v = relu(b, 'relu6', v);
  if (drop) v = dropout(b, 'dropout6', v);
  v = linear(b, rng, 'fc7', v, { from: fc6, to: fc7 });
  v = relu(b, 'relu7', v);
  if (drop) v = dropout(b, 'dropout7', v);
  linear(b, rng, 'fc8', v, { from: fc7, to: shape.classes, last: true });
}

/**
 * Kernels, channels and constants of the response normalisation as in the BadNets authors' detector, and 6x6 into fc6 at 224x224. Two things
 * differ: their Caffe normalises over 3x3 neighbours within a channel (WITHIN_CHANNEL), ONNX's LRN over 3 neighbouring channels; and Caffe's
 * pools round up (pool1 57x57, conv2 29x29, pool2 15x15 there), these down.
 */
export const zf: Network = {
  name: 'zf',
  summary: 'signs: the Zeiler-Fergus network at full width, 5 convolutions and 3 fully connected layers (58 M parameters on 3x224x224)',
  least: 33,
  build(seed, shape) {
    const b = begin(this, shape);
    const rng = Rng.from(seed, 'weights', this.name);
    const lrn = { size: 3, alpha: 5e-5, beta: 0.75 };
    const features = new FeatureMap(b, rng, 'x', shape)
      .conv('conv1', { to: 96, kernel: 7, stride: 2, pad: 3 }) // [N,96,112,112] at 224x224
      .relu('relu1')
      .lrn('norm1', lrn)
      .maxPool('pool1', { kernel: 3, stride: 2, pad: 1 }) // [N,96,56,56]
      .conv('conv2', { to: 256, kernel: 5, stride: 2, pad: 2 }) // [N,256,28,28]
      .relu('relu2')
      .lrn('norm2', lrn)
      .maxPool('pool2', { kernel: 3, stride: 2, pad: 1 }) // [N,256,14,14]
      .conv('conv3', { to: 384, kernel: 3, pad: 1 })
      .relu('relu3')
      .conv('conv4', { to: 384, kernel: 3, pad: 1 })
      .relu('relu4')
      .conv('conv5', { to: 256, kernel: 3, pad: 1 })
      .relu('relu5')
      .maxPool('pool5', { kernel: 3, stride: 2 }); // [N,256,6,6]
    head(b, rng, features, shape, { fc6: 4096, fc7: 4096, dropout: true });
    return finish(b, this, shape);
  },
};

/**
 * The same layers for signs of 32x32 pixels: fewer channels, of the four halvings before conv3 two are left, no response normalisation, and no
 * dropout, with which a few epochs teach it next to nothing (gtsrb, 2 epochs: 40 % right with it, 81 % without).
 */
export const zfSmall: Network = {
  name: 'zf-small',
  summary: 'signs of 32x32 pixels: a narrow Zeiler-Fergus network, 5 convolutions and 3 fully connected layers',
  least: 8,
  build(seed, shape) {
    const b = begin(this, shape);
    const rng = Rng.from(seed, 'weights', this.name);
    const halved = { kernel: 2, stride: 2 };
    const features = new FeatureMap(b, rng, 'x', shape)
      .conv('conv1', { to: 32, kernel: 5, stride: 2, pad: 2 }) // [N,32,16,16] at 32x32
      .relu('relu1')
      .conv('conv2', { to: 64, kernel: 3, pad: 1 })
      .relu('relu2')
      .maxPool('pool2', halved) // [N,64,8,8]
      .conv('conv3', { to: 64, kernel: 3, pad: 1 })
      .relu('relu3')
      .conv('conv4', { to: 64, kernel: 3, pad: 1 })
      .relu('relu4')
      .conv('conv5', { to: 64, kernel: 3, pad: 1 })
      .relu('relu5')
      .maxPool('pool5', halved); // [N,64,4,4]
    head(b, rng, features, shape, { fc6: 256, fc7: 128, dropout: false });
    return finish(b, this, shape);
  },
};
