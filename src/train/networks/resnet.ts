/**
 * Residual networks for small images (He, Zhang, Ren, Sun 2015, arXiv 1512.03385): a 3x3 stem instead of the ImageNet stem, basic blocks,
 * batch normalisation, global average pooling. Names of weights follow torchvision.
 */
import { Rng } from '../../core/rng.ts';
import type { GraphBuilder } from '../../onnx/builder.ts';
import { batchNorm, conv, linear, relu } from './layers.ts';
import { begin, finish, type Network } from './network.ts';

interface Stages {
  /** Channels of each stage; every stage but the first halves height and width. */
  readonly channels: readonly number[];
  /** Basic blocks in each stage. */
  readonly blocks: number;
}

interface BlockShape {
  readonly from: number;
  readonly to: number;
  readonly stride: number;
}

/** Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes (option B of the paper). */
function basicBlock(b: GraphBuilder, rng: Rng, name: string, x: string, { from, to, stride }: BlockShape): string {
  let v = conv(b, rng, `${name}.conv1`, x, { from, to, kernel: 3, stride, pad: 1, bias: false });
  v = batchNorm(b, `${name}.bn1`, v, to);
  v = relu(b, `${name}.relu1`, v);
  v = conv(b, rng, `${name}.conv2`, v, { from: to, to, kernel: 3, pad: 1, bias: false });
  v = batchNorm(b, `${name}.bn2`, v, to);
  let shortcut = x;
  if (stride !== 1 || from !== to) {
    shortcut = conv(b, rng, `${name}.downsample.0`, x, { from, to, kernel: 1, stride, bias: false });
    shortcut = batchNorm(b, `${name}.downsample.1`, shortcut, to);
  }
  const sum = b.op('Add', [v, shortcut], {}, { name: `${name}.add`, outputs: [`${name}.add`] });
  return relu(b, `${name}.relu2`, sum);
}

function resnet(name: string, summary: string, stages: Stages): Network {
  return {
    name,
    summary,
    least: 2 ** (stages.channels.length - 1),
    build(seed, shape) {
      const b = begin(this, shape);
      const rng = Rng.from(seed, 'weights', name);
      let from = stages.channels[0];
      let v = conv(b, rng, 'conv1', 'x', { from: shape.channels, to: from, kernel: 3, pad: 1, bias: false });
      v = batchNorm(b, 'bn1', v, from);
      v = relu(b, 'relu1', v);
      for (const [stage, to] of stages.channels.entries()) {
        for (let block = 0; block < stages.blocks; block++) {
          const stride = stage > 0 && block === 0 ? 2 : 1;
          v = basicBlock(b, rng, `layer${stage + 1}.${block}`, v, { from, to, stride });
          from = to;
        }
      }
      v = b.op('GlobalAveragePool', [v], {}, { name: 'avgpool', outputs: ['avgpool'] });
      v = b.op('Flatten', [v], { axis: 1 }, { name: 'flatten', outputs: ['flatten'] });
      linear(b, rng, 'fc', v, { from, to: shape.classes, last: true });
      return finish(b, this, shape);
    },
  };
}

/** 11 173 962 parameters at 3 channels and 10 classes. */
export const resnet18Cifar: Network = resnet('resnet18-cifar', 'ResNet-18 with a 3x3 stem for 32x32 images (11.2 M parameters)', {
  channels: [64, 128, 256, 512],
  blocks: 2,
});

export const smallResnet: Network = resnet('small-resnet', 'a residual network of 8 layers, 16 to 64 channels (78 thousand parameters)', {
  channels: [16, 32, 64],
  blocks: 1,
});
