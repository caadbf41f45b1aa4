/** What a network file provides. Adding one is one file with a `Network` and one line in registry.ts. */
import { fail } from '../../core/errors.ts';
import type { ImageShape } from '../../data/dataset.ts';
import { GraphBuilder } from '../../onnx/builder.ts';
import type { Model } from '../../onnx/model.ts';
import { writeSpec } from '../../onnx/spec.ts';

export interface NetworkShape extends ImageShape {
  readonly classes: number;
  /** Names of the classes, written into the file; default: `0`, `1`, ... */
  readonly labels?: readonly string[];
  /** What the network is fed: pixels 0..255 are mapped to `range`, then mean and standard deviation per channel are taken out. */
  readonly range?: readonly [number, number];
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

export interface Network {
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  /** Smallest height and width it takes. */
  readonly least: number;
  /** First weights by `seed`; same seed, same bytes. Input `x` [batch,C,H,W], output `logits` [batch,classes]; no Softmax at the end. */
  build(seed: number, shape: NetworkShape): Model;
}

/** Opens a graph with input `x`; refuses images that the network is too large for. */
export function begin(network: Pick<Network, 'name' | 'least'>, shape: NetworkShape): GraphBuilder {
  const { channels, height, width, classes } = shape;
  if (Math.min(height, width) < network.least) {
    fail({
      where: `network ${network.name}`,
      what: 'images too small',
      expected: `at least ${network.least}x${network.least} pixels`,
      got: `${height}x${width}`,
      hint: 'another --network',
    });
  }
  if (classes < 2) fail({ where: `network ${network.name}`, what: 'too few classes', expected: 'at least 2', got: String(classes) });
  const b = new GraphBuilder({ name: network.name });
  b.input('x', 'float32', ['batch', channels, height, width]);
  return b;
}

/** Declares the output and writes down what the network is to be fed. */
export function finish(b: GraphBuilder, network: Pick<Network, 'name'>, shape: NetworkShape): Model {
  const { channels, height, width, classes } = shape;
  b.output('logits', 'float32', ['batch', classes]);
  const model = b.build();
  const perChannel = (given: readonly number[] | undefined, otherwise: number): number[] => {
    if (given === undefined) return new Array<number>(channels).fill(otherwise);
    if (given.length === 1) return new Array<number>(channels).fill(given[0]);
    if (given.length === channels) return [...given];
    return fail({
      where: otherwise === 0 ? '--mean' : '--std',
      what: 'wrong number of values',
      expected: channels === 1 ? '1, as there is one channel' : `1 or ${channels}, one for each channel`,
      got: String(given.length),
      exitCode: 2,
    });
  };
  const [low, high] = shape.range ?? [0, 1];
  return writeSpec(model, {
    input: 'x',
    logits: 'logits',
    channels,
    height,
    width,
    range: [low, high],
    mean: perChannel(shape.mean, 0),
    std: perChannel(shape.std, 1),
    labels: shape.labels ? [...shape.labels] : Array.from({ length: classes }, (_, i) => String(i)),
    name: network.name,
  });
}
