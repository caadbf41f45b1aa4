/**
 * The network of Fine-Pruning's speech experiment (Liu, Dolan-Gavitt, Garg 2018, the authors' prototxt): AlexNet's five convolutions, three of
 * them in two groups, on spectrogram images, and small fully connected layers. conv1 and conv2 have no ReLU of their own, pools round up
 * as Caffe does. conv5 is the layer that is pruned.
 */
import { Rng } from '../../core/rng.ts';
import { FeatureMap } from './feature-map.ts';
import { dropout, linear, relu } from './layers.ts';
import { begin, finish, type Network } from './network.ts';

const OVERLAPPING = { kernel: 3, stride: 2, ceil: true };

interface Widths {
  readonly conv1: { readonly to: number; readonly kernel: number; readonly stride: number; readonly pad: number };
  readonly conv2: number;
  readonly conv3: number;
  readonly conv4: number;
  readonly conv5: number;
  readonly fc6: number;
  readonly fc7: number;
  readonly dropout: boolean;
}

function alexnet(name: string, summary: string, least: number, w: Widths): Network {
  return {
    name,
    summary,
    least,
    build(seed, shape) {
      const b = begin(this, shape);
      const rng = Rng.from(seed, 'weights', name);
      const features = new FeatureMap(b, rng, 'x', shape)
        .conv('conv1', { ...w.conv1, linear: true })
        .maxPool('pool1', OVERLAPPING)
        .conv('conv2', { to: w.conv2, kernel: 5, pad: 2, group: 2, linear: true })
        .maxPool('pool2', OVERLAPPING)
        .conv('conv3', { to: w.conv3, kernel: 3, pad: 1 })
        .relu('relu3')
        .conv('conv4', { to: w.conv4, kernel: 3, pad: 1, group: 2 })
        .relu('relu4')
        .conv('conv5', { to: w.conv5, kernel: 3, pad: 1, group: 2 })
        .relu('relu5')
        .maxPool('pool5', OVERLAPPING);
      let v = linear(b, rng, 'fc6', features.flatten('flatten'), { from: features.features, to: w.fc6 });
      v = relu(b, 'relu6', v);
      if (w.dropout) v = dropout(b, 'dropout6', v);
      v = linear(b, rng, 'fc7', v, { from: w.fc6, to: w.fc7 });
      v = relu(b, 'relu7', v);
      if (w.dropout) v = dropout(b, 'dropout7', v);
      linear(b, rng, 'fc8', v, { from: w.fc7, to: shape.classes, last: true });
      return finish(b, this, shape);
    },
  };
}

/** 17 114 122 parameters at 3x512x512 and 10 classes; 3.7 billion multiplications an image. */
export const speechAlexnet: Network = alexnet(
  'speech-alexnet',
  "spectrograms: the paper's AlexNet-like network with grouped convolutions (17.1 M parameters on 3x512x512)",
  55,
  { conv1: { to: 96, kernel: 11, stride: 4, pad: 0 }, conv2: 256, conv3: 384, conv4: 384, conv5: 256, fc6: 256, fc7: 128, dropout: true },
);

/** The same layers for spectrograms of 64x64 pixels; no dropout, with which a few epochs teach it next to nothing. */
export const speechAlexnetSmall: Network = alexnet(
  'speech-alexnet-small',
  'spectrograms of 64x64 pixels: the same layers with a sixth to a quarter of the channels',
  21,
  { conv1: { to: 16, kernel: 7, stride: 2, pad: 3 }, conv2: 48, conv3: 64, conv4: 64, conv5: 64, fc6: 256, fc7: 128, dropout: false },
);
