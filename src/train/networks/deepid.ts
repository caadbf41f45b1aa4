/**
 * DeepID (Sun, Wang, Tang 2014) as Fine-Pruning's face experiment has it (Liu, Dolan-Gavitt, Garg 2018, the authors' architecture file):
 * three convolutions, then two branches, one through a fourth convolution and one past it, whose sum identifies the person. conv3 is the last
 * layer that both branches read, and the one that is pruned. 601 643 parameters at 3x55x47 and 1283 people.
 */
import { Rng } from '../../core/rng.ts';
import { FeatureMap } from './feature-map.ts';
import { dropout, linear, relu } from './layers.ts';
import { begin, finish, type Network } from './network.ts';

const HALVED = { kernel: 2, stride: 2 };
/** Features of a face. */
const IDENTITY = 160;

export const deepid: Network = {
  name: 'deepid',
  summary: 'faces: DeepID, 3 shared convolutions and two branches (601 643 parameters on 3x55x47 and 1283 people)',
  least: 31,
  build(seed, shape) {
    const b = begin(this, shape);
    const rng = Rng.from(seed, 'weights', this.name);
    const shared = new FeatureMap(b, rng, 'x', shape)
      .conv('conv1', { to: 20, kernel: 4 }) // [N,20,52,44] at 55x47
      .relu('relu1')
      .maxPool('pool1', HALVED) // [N,20,26,22]
      .conv('conv2', { to: 40, kernel: 3 })
      .relu('relu2')
      .maxPool('pool2', HALVED) // [N,40,12,10]
      .conv('conv3', { to: 60, kernel: 3 })
      .relu('relu3')
      .maxPool('pool3', HALVED); // [N,60,5,4]
    const direct = linear(b, rng, 'fc160_1', shared.flatten('flatten1'), { from: shared.features, to: IDENTITY });
    const deeper = shared.conv('conv4', { to: 80, kernel: 2 }).relu('relu4'); // [N,80,4,3]
    const through = linear(b, rng, 'fc160_2', deeper.flatten('flatten2'), { from: deeper.features, to: IDENTITY });
    const sum = b.op('Add', [direct, through], {}, { name: 'sum', outputs: ['sum'] });
    const identity = dropout(b, 'dropout', relu(b, 'relu5', sum));
    linear(b, rng, 'fc8', identity, { from: IDENTITY, to: shape.classes, last: true });
    return finish(b, this, shape);
  },
};
