/**
 * Chooses the fastest form of each heavy operator by timing it alone, once per shape. No formulation of a convolution's gradients
 * wins everywhere (DESIGN.md), and which one does depends on the processor, so nothing is decided in advance.
 *
 * The choice changes the order of summation and so the last bits of the weights: for bit-identical runs the same choices must be
 * used, which is why they are kept (`tuner-cache.node.ts`) and written into every run's provenance.
 */
import { f32, sizeOf, type Tensor } from '../core/tensor.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import { cloneModel } from '../onnx/edit.ts';
import type { Model, Node } from '../onnx/model.ts';
import type { ValueTypes } from '../onnx/value-types.ts';
import type { Candidate, Machine } from './lowerings/candidate.ts';
import { type Choose, firstThatApplies, type LowerOptions, lower, type Site, sites } from './lowerings/lower.ts';
import { nchwcBlock } from './lowerings/nchwc-block.ts';
import type { Runtime, Session } from './session.ts';

/** Site key -> name of the chosen form. */
export type Choices = Record<string, string>;

export interface ChoiceStore {
  load(): Promise<Choices>;
  /** Adds choices; where another process has chosen meanwhile, its choice stands. Returns what is kept now. */
  save(choices: Choices): Promise<Choices>;
}

/** Key under which the block size is kept beside the choices. */
const BLOCK = 'nchwc block';
/** Counted runs of each form; the best is taken, because everything that disturbs a run makes it longer. */
const RUNS = 5;
/** Of two forms this close the earlier in the list is taken, so that noise does not make machines disagree more than they must. */
const CLEARLY = 0.95;
/** A form this many times slower than the best so far is not run again: large networks have slow forms, and a person waits. */
const HOPELESS = 2;
/** Times shorter than this are all the same: the choice is not worth a run. */
const TINY_ELEMENTS = 1 << 14;

export class Tuner {
  readonly #store: ChoiceStore;
  #choices: Choices | undefined;
  /** Told what is being timed, for people who wait. */
  readonly #report: (message: string) => void;

  constructor(store: ChoiceStore, report: (message: string) => void = () => {}) {
    this.#store = store;
    this.#report = report;
  }

  /**
   * The lowering of a training step on this runtime; times what it has not seen before.
   * @param types of the step's forward part
   */
  async lowering(runtime: Runtime, step: Model, types: ValueTypes): Promise<LowerOptions> {
    this.#choices ??= await this.#store.load();
    const choices = this.#choices;
    let changed = false;
    if (choices[BLOCK] === undefined) {
      choices[BLOCK] = String(await nchwcBlock(runtime));
      changed = true;
    }
    const machine: Machine = { nchwcBlock: Number(choices[BLOCK]) };
    const open = sites(step, machine, types).filter((s) => choices[s.key] === undefined && s.candidates.length > 1);
    const unseen = [...new Map(open.map((s) => [s.key, s])).values()];
    for (const [i, site] of unseen.entries()) {
      const { chosen, times } = await fastest(runtime, site, step, types, machine);
      this.#report(`tuned ${i + 1} of ${unseen.length}: ${site.key.replace(/ of .*/, '')}: ${chosen} (${times})`);
      choices[site.key] = chosen;
      changed = true;
    }
    if (changed) Object.assign(choices, await this.#store.save(choices));
    const choose: Choose = (site) => site.candidates.find((c) => c.name === choices[site.key]) ?? firstThatApplies(site);
    return { machine, types, choose };
  }
}

async function fastest(
  runtime: Runtime,
  site: Site,
  step: Model,
  types: ValueTypes,
  machine: Machine,
): Promise<{ chosen: string; times: string }> {
  const operands = operandsOf(site);
  if ([...operands.values()].every((dims) => sizeOf(dims) < TINY_ELEMENTS))
    return { chosen: site.candidates[0].name, times: 'too small to time' };
  const feeds: Record<string, Tensor> = {};
  const b = new GraphBuilder({ opset: step.opsets.get('') });
  for (const [name, dims] of operands) {
    b.input(name, 'float32', dims);
    feeds[name] = f32(
      Float32Array.from({ length: sizeOf(dims) }, (_, i) => ((i * 7919) % 1009) / 1009 - 0.5),
      dims,
    );
  }
  const model = alone(b.build(), site.node, step);
  // The inputs stay where the graph runs: what is timed is the operator, not the way there. A form that this build of ONNX Runtime does
  // not run (internal operators differ between processors) is no choice; the first one is made of standard operators.
  const open = (candidate: Candidate): Promise<Session> =>
    runtime.open(lower(model, { machine, types, choose: () => candidate }), { state: feeds });
  const opened = await Promise.all(
    site.candidates.map(async (candidate, i) => {
      const session = i === 0 ? await open(candidate) : await open(candidate).catch(() => undefined);
      return session === undefined ? [] : [{ name: candidate.name, session, ms: Number.POSITIVE_INFINITY }];
    }),
  );
  const trials = opened.flat();
  try {
    // In turn, so that whatever else the machine is doing disturbs all of them alike. The first round also allocates.
    for (let round = 0; round <= RUNS; round++) {
      const best = Math.min(...trials.map((trial) => trial.ms));
      for (const trial of trials) {
        if (trial.ms > HOPELESS * best) continue;
        const start = performance.now();
        await trial.session.run({}, { outputs: [] });
        if (round > 0) trial.ms = Math.min(trial.ms, performance.now() - start);
      }
    }
  } finally {
    for (const trial of trials) await trial.session.close();
  }
  const chosen = trials.reduce((winner, next) => (next.ms < winner.ms * CLEARLY ? next : winner)).name;
  return { chosen, times: trials.map(({ name, ms }) => `${name} ${ms.toFixed(1)} ms`).join(', ') };
}

/** The inputs of a site's node and their shapes, which all follow from its geometry. */
function operandsOf({ node, geometry }: Site): Map<string, readonly number[]> {
  const { input, output, kernel, group } = geometry;
  const weight = [output[1], input[1] / group, ...kernel];
  const shapes: Record<string, (readonly number[])[]> = {
    Conv: [input, weight, [output[1]]],
    ConvGradInput: [output, weight],
    ConvGradWeight: [input, output],
    AveragePoolGrad: [output],
    MaxPoolGrad: [input, output, output],
    ReluGrad: [output, output],
  };
  const dims = shapes[node.opType];
  if (dims === undefined) throw new Error(`no operand shapes for "${node.opType}"`);
  return new Map(node.inputs.flatMap((name, i) => (name === '' ? [] : [[name, dims[i]] as const])));
}

/** A model of that node alone; with its forward MaxPool, whose indices the gradient needs. */
function alone(empty: Model, node: Node, step: Model): Model {
  const model = cloneModel(empty);
  model.opsets = new Map(step.opsets);
  const nodes = [{ ...node, outputs: ['result'] }];
  if (node.opType === 'MaxPoolGrad') {
    const pool = step.graph.nodes.find((n) => n.outputs[0] === node.inputs[1]);
    if (pool !== undefined) {
      nodes.unshift({ ...pool, inputs: [...pool.inputs], outputs: [pool.outputs[0]] });
      model.graph.inputs = model.graph.inputs.filter((input) => input.name !== node.inputs[1]);
    }
  }
  model.graph.nodes = nodes;
  model.graph.outputs = [{ name: 'result', dtype: undefined, dims: undefined }];
  return model;
}
