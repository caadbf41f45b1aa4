/**
 * Checks gradients against the loss itself. One weight of a large network moves the loss by less than float32 can tell, so the weights
 * of a tensor are moved together: a random half of them, along their gradient and a random sign each, which also moves those whose
 * gradient is said to be 0. What counts is the ratio of the change of the loss to the change that the gradient promises.
 */
import { fail } from '../core/errors.ts';
import { Rng } from '../core/rng.ts';
import { formatDims } from '../core/shapes.ts';
import { f32, i64, sizeOf, type Tensor } from '../core/tensor.ts';
import { removeDead } from '../onnx/edit.ts';
import type { Model } from '../onnx/model.ts';
import { lower } from '../runtime/lowerings/lower.ts';
import type { Runtime, Session } from '../runtime/session.ts';
import { type TensorCheck, TOLERANCE, worstFirst } from './gradcheck.ts';
import { fixInput, type GradcheckOptions, inputOf, prepare, runOnce } from './gradcheck-subject.ts';

export interface DifferencesOptions extends GradcheckOptions {
  /** Directions tried in each tensor; default 2. */
  readonly samples?: number;
  readonly seed?: number;
  /** Images in the batch where the graph does not fix it; default 2. */
  readonly batch?: number;
  /** Shape of the input, where the graph leaves more open than the batch. */
  readonly inputShape?: readonly number[];
  readonly onTensor?: (done: number, all: number, name: string) => void;
  readonly signal?: AbortSignal;
}

export interface DifferenceCheck extends TensorCheck {
  /** How far off the differences themselves may be: curvature and rounding, as a share of the derivative. */
  readonly uncertainty: number;
}

export interface DifferencesCheck {
  readonly tensors: readonly DifferenceCheck[];
  /** Those in `tensors` that differences in float32 cannot tell anything of. */
  readonly notJudged: readonly string[];
  readonly batch: number;
  readonly loss: number;
}

/** Share of the derivative up to which differences must be sure of themselves to say anything. */
const SURE = 0.1;
/** How many times their disagreement differences may be off: kinks are as good as random, and a network has many tensors. */
const SIGMAS = 3;
/** The widest step, as a share of the tensor's length. */
const WIDEST = 0.2;
/** The step where the gradient is 0, likewise. */
const ZERO_STEP = 1e-3;
/** Rounding of a loss that float32 logits give, as a share of the largest logit. */
const LOSS_NOISE = 5e-7;

/**
 * Compares the gradient of every parameter, and of the input, with central differences of the loss on random input, worst first.
 * @throws SecateurError where the input's shape is open in more than the batch, or an operator on the way has no gradient rule
 */
export async function checkByDifferences(runtime: Runtime, model: Model, o: DifferencesOptions = {}): Promise<DifferencesCheck> {
  const tolerance = o.tolerance ?? TOLERANCE;
  const seed = o.seed ?? 1;
  const x = randomInput(model, o, Rng.from(seed, 'gradcheck', 'input'));
  const subject = await prepare(runtime, fixInput(model, x.dims), o);
  const wrt = [...subject.parameters, subject.input].filter((name) => subject.asks(name));
  const graph = subject.gradients(wrt);
  const classes = subject.values.get(graph.outputs.logits)!.dims[1];
  if (classes < 2) {
    fail({
      where: 'gradcheck',
      what: `class scores in "${graph.outputs.logits}"`,
      expected: 'two classes or more, or every loss is 0',
      got: String(classes),
    });
  }
  const rng = Rng.from(seed, 'gradcheck', 'labels');
  const labels = i64(Array.from({ length: x.dims[0] }, () => rng.int(classes)));
  const feeds = { [subject.input]: x, [graph.feeds.labels]: labels };
  const values = await runOnce(runtime, graph, feeds);
  const reached = wrt.filter((name) => graph.gradients[name] !== undefined);

  const initializers = new Map(
    reached.filter((name) => name !== subject.input).map((name) => [name, subject.model.graph.initializers.get(name)!]),
  );
  const session = await openForward(runtime, graph.model, graph.outputs.logits, initializers);
  try {
    const loss = lossOf(session, graph.outputs.logits, feeds, labels);
    const start = await loss({});
    if (!Number.isFinite(start.loss)) {
      fail({
        where: 'gradcheck',
        what: 'loss on random input',
        expected: 'a number',
        got: String(start.loss),
        hint: '--golden with real input',
      });
    }
    const tensors: DifferenceCheck[] = [];
    for (const [done, name] of reached.entries()) {
      o.signal?.throwIfAborted();
      o.onTensor?.(done, reached.length, name);
      const at = initializers.get(name) ?? x;
      const gradient = values[graph.gradients[name]];
      const move = async (data: Float32Array): Promise<number> => (await loss({ [name]: f32(data, at.dims) })).loss;
      const noise = LOSS_NOISE * Math.max(1, start.largest);
      const found: Sample[] = [];
      for (let s = 0; s < (o.samples ?? 2); s++) {
        found.push(await sample({ at, gradient, loss: move, start: start.loss, noise }, tolerance, Rng.from(seed, 'gradcheck', name, s)));
      }
      tensors.push(judge(name, at.dims, gradient, found, tolerance));
    }
    return {
      tensors: worstFirst(tensors),
      notJudged: tensors.filter((t) => t.uncertainty > SURE).map((t) => t.name),
      batch: x.dims[0],
      loss: start.loss,
    };
  } finally {
    await session.close();
  }
}

/** Numbers from 0 to 1, as pixels mostly are, in the shape of the model's input. */
function randomInput(model: Model, o: DifferencesOptions, rng: Rng): Tensor {
  const info = inputOf(model);
  const given = info.dims;
  const dims = o.inputShape ?? given?.map((d, axis) => (typeof d === 'number' ? d : axis === 0 ? (o.batch ?? 2) : null)) ?? [null];
  const fits = given === undefined || (given.length === dims.length && given.every((d, i) => typeof d !== 'number' || d === dims[i]));
  if (!fits || !dims.every((d) => d !== null && d > 0)) {
    fail({
      where: o.inputShape === undefined ? 'gradcheck' : '--input-shape',
      what: `shape of the input "${info.name}"`,
      expected: o.inputShape === undefined ? 'one that the file fixes, apart from the batch' : formatDims(given ?? []),
      got: o.inputShape === undefined ? formatDims(given ?? []) : formatDims(dims),
      hint: o.inputShape === undefined ? '--input-shape 2,3,224,224, or whatever the network was made for' : undefined,
      exitCode: o.inputShape === undefined ? 1 : 2,
    });
  }
  if (info.dtype !== 'float32') {
    fail({ where: 'gradcheck', what: `elements of the input "${info.name}"`, expected: 'float32', got: info.dtype ?? 'no tensor type' });
  }
  return f32(
    Float32Array.from({ length: sizeOf(dims as number[]) }, () => rng.next()),
    dims as number[],
  );
}

/** The forward pass alone, its parameters held inputs: a run that names one of them replaces it for that run. */
function openForward(runtime: Runtime, step: Model, logits: string, initializers: ReadonlyMap<string, Tensor>): Promise<Session> {
  const forward = lower(step);
  const { graph } = forward;
  graph.outputs = graph.outputs.filter((output) => output.name === logits);
  removeDead(graph);
  for (const [name, { dtype, dims }] of initializers) {
    graph.initializers.delete(name);
    graph.inputs.push({ name, dtype, dims: [...dims] });
  }
  return runtime.open(forward, { label: 'the loss', state: Object.fromEntries(initializers) });
}

type Loss = (moved: Readonly<Record<string, Tensor>>) => Promise<{ loss: number; largest: number }>;

/** Mean cross-entropy of float32 logits, summed in float64. */
function lossOf(session: Session, output: string, feeds: Readonly<Record<string, Tensor>>, labels: Tensor): Loss {
  const fed = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
  return async (moved) => {
    const { dims, data } = (await session.run({ ...fed, ...moved }))[output];
    const [count, classes] = dims;
    const logits = data as Float32Array;
    let [sum, largest] = [0, 0];
    for (let n = 0; n < count; n++) {
      const row = logits.subarray(n * classes, (n + 1) * classes);
      const top = row.reduce((a, v) => Math.max(a, v), Number.NEGATIVE_INFINITY);
      const total = row.reduce((a, v) => a + Math.exp(v - top), 0);
      sum += top + Math.log(total) - row[Number(labels.data[n])];
      for (const v of row) largest = Math.max(largest, Math.abs(v));
    }
    return { loss: sum / count, largest };
  };
}

interface Sample {
  /** |change of the loss / change promised - 1|. */
  readonly error: number;
  readonly uncertainty: number;
}

interface Point {
  readonly at: Tensor;
  readonly gradient: Tensor;
  /** The loss with `at` replaced. */
  readonly loss: (moved: Float32Array) => Promise<number>;
  /** The loss as it is. */
  readonly start: number;
  /** Rounding of one value of the loss. */
  readonly noise: number;
}

/**
 * Three steps to either side, each half of the one before it; the last is the smallest of which rounding leaves a quarter of the
 * tolerance. A small step counts more than a fine formula: a ReLU network has kinks at every turn. Kinks that a step crosses make the
 * three disagree; one right at the point (a channel that is 0 everywhere) makes the two sides disagree however small the step is.
 */
async function sample({ at, gradient, loss, start, noise }: Point, tolerance: number, rng: Rng): Promise<Sample> {
  const [w, g] = [at.data as Float32Array, gradient.data as Float32Array];
  const direction = directionOf(g, rng);
  const slope = Math.abs(dot(g, direction));
  const length = Math.sqrt(dot(w, w)) || Math.sqrt(w.length);
  if (slope === 0) return flat(w, direction, ZERO_STEP * length, loss, noise);
  const finest = Math.min(WIDEST * length, (4 * noise) / (tolerance * slope));
  const off: number[] = [];
  const bent: number[] = [];
  let rounding = 0;
  for (const step of [4 * finest, 2 * finest, finest]) {
    const [plus, minus] = [moved(w, direction, step), moved(w, direction, -step)];
    // What float32 made of the step, exactly: the promise is for the points where the loss is taken.
    let promised = 0;
    for (let k = 0; k < w.length; k++) promised += g[k] * (plus[k] - minus[k]);
    const [above, below] = [await loss(plus), await loss(minus)];
    rounding = (2 * noise) / Math.abs(promised);
    off.push((above - below) / promised - 1);
    bent.push((above + below - 2 * start) / promised);
  }
  // Curvature bends by half as much at half the step, a kink at the point as much as before.
  const kink = Math.abs(2 * bent[2] - bent[1]);
  const disagreement = Math.abs(off[0] - off[1]) + Math.abs(off[1] - off[2]) + kink;
  return { error: Math.abs(off[2]), uncertainty: SIGMAS * disagreement + rounding };
}

/** A gradient of 0 promises that nothing happens: a change that goes with the step, to both sides, breaks that promise. */
async function flat(w: Float32Array, direction: Float32Array, step: number, loss: Point['loss'], noise: number): Promise<Sample> {
  const changes: number[] = [];
  for (const h of [step, step / 2]) changes.push((await loss(moved(w, direction, h))) - (await loss(moved(w, direction, -h))));
  const ratio = changes[0] / changes[1];
  const wrong = Math.abs(changes[1]) > 10 * noise && ratio > 1.5 && ratio < 3;
  return wrong ? { error: Number.POSITIVE_INFINITY, uncertainty: 0 } : { error: 0, uncertainty: Number.POSITIVE_INFINITY };
}

/** Unit vector: half of the coordinates, along the gradient and a random sign of the same size on average. */
function directionOf(g: Float32Array, rng: Rng): Float32Array {
  const rms = Math.sqrt(dot(g, g) / g.length) || 1;
  const direction = new Float32Array(g.length);
  for (let i = 0; i < g.length; i++) {
    if (g.length > 1 && rng.next() < 0.5) continue;
    direction[i] = g[i] + (rng.next() < 0.5 ? rms : -rms);
  }
  const length = Math.sqrt(dot(direction, direction)) || 1;
  return direction.map((v) => v / length);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

const moved = (w: Float32Array, direction: Float32Array, step: number): Float32Array => w.map((v, i) => v + step * direction[i]);

function judge(name: string, dims: readonly number[], gradient: Tensor, samples: readonly Sample[], tolerance: number): DifferenceCheck {
  const excess = ({ error, uncertainty }: Sample): number =>
    uncertainty === Number.POSITIVE_INFINITY ? 0 : error / (tolerance + uncertainty);
  const sure = samples.filter((s) => s.uncertainty <= SURE);
  const worst = (sure.length > 0 ? sure : samples).reduce((a, b) => (excess(b) > excess(a) ? b : a));
  const l2 = Math.sqrt(dot(gradient.data as Float32Array, gradient.data as Float32Array));
  const { error, uncertainty } = worst;
  const largest = (gradient.data as Float32Array).reduce((a, v) => Math.max(a, Math.abs(v)), 0);
  const values = { name, dims, error, l2, largest, uncertainty };
  if (uncertainty > SURE)
    return { ...values, ok: true, note: 'not judged: it moves the loss too little for float32, or the loss has a kink here' };
  return { ...values, ok: error <= tolerance + uncertainty };
}
