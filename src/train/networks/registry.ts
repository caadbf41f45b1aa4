/** All networks by name. */
import { fail } from '../../core/errors.ts';
import { nearest } from '../../core/suggest.ts';
import type { Model } from '../../onnx/model.ts';
import { badnetsCnn } from './badnets-cnn.ts';
import { deepid } from './deepid.ts';
import type { Network, NetworkShape } from './network.ts';
import { resnet18Cifar, smallResnet } from './resnet.ts';
import { speechAlexnet, speechAlexnetSmall } from './speech-alexnet.ts';
import { zf, zfSmall } from './zf.ts';

export const networks: readonly Network[] = [
  badnetsCnn,
  deepid,
  speechAlexnet,
  speechAlexnetSmall,
  zf,
  zfSmall,
  resnet18Cifar,
  smallResnet,
];

/**
 * Builds the named network with first weights by `seed`.
 * @throws SecateurError for a name that is not there, or images that the network is too large for.
 */
export function buildNetwork(name: string, seed: number, shape: NetworkShape): Model {
  const network = networks.find((n) => n.name === name);
  if (network) return network.build(seed, shape);
  const names = networks.map((n) => n.name);
  const close = nearest(name, names);
  return fail({
    where: '--network',
    what: `no network "${name}"`,
    expected: `one of ${names.join(', ')}`,
    hint: close === undefined ? undefined : `--network ${close}`,
    exitCode: 2,
  });
}
