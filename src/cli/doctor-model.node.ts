/** `secateur doctor MODEL`: what a file from a stranger is, and what can be done with it. */
import { SecateurError } from '../core/errors.ts';
import { probeImages } from '../data/probe-images.ts';
import type { NodeState } from '../grad/trainability.ts';
import { asleep, type SleepReport } from '../inspect/asleep.ts';
import { sleepSentence } from '../inspect/asleep-words.ts';
import { type Checkup, checkup, type LayerState } from '../inspect/checkup.ts';
import { describe } from '../onnx/describe.ts';
import { imageInput } from '../onnx/image-input.ts';
import type { Model } from '../onnx/model.ts';
import { readSpec, type SpecOverrides, trueInputs } from '../onnx/spec.ts';
import { probe } from '../runtime/probe.ts';
import type { Runtime } from '../runtime/session.ts';
import { workingModel } from '../runtime/working-model.ts';
import type { Outcome } from './command.node.ts';
import { oneLine, oneLong } from './output.node.ts';
import { readModelFile, type Trust } from './shared.node.ts';

/** Throws SecateurError where the reader refuses the file or ONNX Runtime does not run it. */
export async function doctorModel(path: string, spec: SpecOverrides, trust: Trust, open: () => Promise<Runtime>): Promise<Outcome> {
  const model = await readModelFile(path, trust);
  const runtime = await open();
  const [info] = trueInputs(model);
  const dims = ((): readonly number[] | undefined => {
    try {
      return imageInput(model, { ...info, dtype: 'float32' }, spec).dims;
    } catch {
      return undefined;
    }
  })();
  const working = await workingModel(runtime, model, { dims });
  const types = await probe(runtime, working.model, { batch: working.fixed?.batch ?? 1 });
  const found = checkup(working.model, types, spec);
  const sleep = await sleeping(runtime, working.model, found, spec);
  const notes = [...working.notes, ...advice(found)];
  return {
    line: `${path}: ${headline(found, working.unstored)}`,
    tables: [`${fileText(describe(model), found)}\n  channels    ${sleepText(sleep)}`, ...trainingTexts(found)],
    notes,
    json: { model: path, ...found, asleep: sleep, notes },
  };
}

/** Random pictures for the dead-channel check; and from which gap on a channel is told, as they are not what the network was made for. */
const PICTURES = 16;
const PICTURES_THRESHOLD = 10;

/**
 * The check without images of the user's: it sees biases that nothing could overcome, and no small ones. Without them nobody knows either whether
 * the network has learnt anything, and a training that collapsed can look like an attack. A string says why it was not done.
 */
async function sleeping(runtime: Runtime, model: Model, found: Checkup, overrides: SpecOverrides): Promise<SleepReport | string> {
  if (found.notClassifier !== undefined) return 'not looked at: it is not a classifier of images';
  if (found.pixels === undefined) return 'not looked at: it is not known how images go into the network';
  try {
    // Class names have no part in it.
    const labels = overrides.labels ?? Array.from({ length: found.classes ?? 1 }, (_, i) => String(i));
    const spec = { ...overrides, labels };
    const { channels, height, width } = readSpec(model, spec);
    return await asleep(runtime, model, probeImages({ channels, height, width }, PICTURES), { spec, threshold: PICTURES_THRESHOLD });
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    return `not looked at: ${error.parts.what}`;
  }
}

function sleepText(sleep: SleepReport | string): string {
  if (typeof sleep === 'string') return oneLong(sleep);
  const closer =
    sleep.channels === 0 ? '' : ' Closer, with clean images, and whether it classifies them at all: secateur inspect MODEL --data IMAGES.';
  return `${oneLong(sleepSentence(sleep, 'random pictures'))}${closer}`;
}

function headline({ notClassifier, classes, training }: Checkup, unstored: number): string {
  const what =
    notClassifier === undefined
      ? `a classifier of ${classes ?? 'an unknown number of'} classes`
      : `not a classifier of images (${notClassifier})`;
  if (unstored > 0) return `${what}; ${unstored} of its layers have no stored weights, so they cannot be trained`;
  if (training === undefined || training.parameters === 0) return `${what}; nothing in it can be trained`;
  const { trainable, parameters, freezeBefore } = training;
  if (trainable === parameters) return `${what}; all of it can be trained`;
  if (trainable === 0) return `${what}; nothing in it can be trained`;
  if (freezeBefore === undefined) return `${what}; ${percent(trainable / parameters)} of its parameters can be trained`;
  return `${what}; it can be trained from "${freezeBefore}" on (${percent(trainable / parameters)} of its parameters)`;
}

const percent = (share: number): string => `${(share * 100).toFixed(share > 0.999 || share < 0.001 ? 2 : 1)} %`;

function fileText(description: string, { pixels, pixelsUnknown }: Checkup): string {
  const kinds = 'all of them accepted';
  const lines = description.split('\n').map((line) => (line.startsWith('operators') ? `${line} (${kinds})` : line));
  const images = pixels === undefined ? `not known: ${pixelsUnknown}` : pixels;
  return ['file', ...lines.map((line) => `  ${line}`), `  images      ${oneLong(images)}`].join('\n');
}

const STATES: readonly (readonly [NodeState, string])[] = [
  ['trained', 'trained'],
  ['passes', 'pass gradients'],
  ['blocked', 'have no gradient'],
  ['frozen', 'frozen before'],
  ['stopped', 'get no gradient'],
  ['untouched', 'need none'],
];

function trainingTexts({ training, notTrainable }: Checkup): string[] {
  if (training === undefined) return [`training\n  not possible: ${oneLong(notTrainable ?? '')}`];
  const lines = STATES.flatMap(([state, words]) => {
    const counts = Object.entries(training.nodes[state] ?? {}).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
    if (counts.length === 0) return [];
    const all = counts.reduce((sum, [, n]) => sum + n, 0);
    return [
      `  ${words.padEnd(16)}  ${String(all).padStart(4)} ${all === 1 ? 'node: ' : 'nodes:'} ${counts.map(([name, n]) => `${n} ${name}`).join(', ')}`,
    ];
  });
  const blocked = training.blocked.slice(0, SHOWN).map(({ name, opType, why }) => `    ${oneLine(`${opType} "${name}": ${why}`)}`);
  const more = training.blocked.length > SHOWN ? [`    and ${training.blocked.length - SHOWN} more`] : [];
  return [['training', ...lines, ...blocked, ...more].join('\n'), layersText(training.layers)];
}

/** Blocked nodes named one by one. */
const SHOWN = 8;
/** Lines of layers, after equal neighbours are put together. */
const MOST_LINES = 40;

function layersText(layers: readonly LayerState[]): string {
  if (layers.length === 0) return 'layers with parameters\n  none';
  const groups: LayerState[][] = [];
  for (const layer of layers) {
    const last = groups.at(-1);
    const same = last !== undefined && (['opType', 'shapes', 'state'] as const).every((key) => last[0][key] === layer[key]);
    if (same) last.push(layer);
    else groups.push([layer]);
  }
  const cells = groups.map((group) => {
    const [first] = group;
    const name = group.length === 1 ? first.name : `${first.name} ... ${group.at(-1)!.name}`;
    const times = group.length === 1 ? '' : `${group.length} x `;
    return [name, `${times}${first.opType}`, first.shapes, first.state === 'trained' ? '' : first.state].map((text) => oneLine(text));
  });
  const widths = [0, 1, 2].map((i) => Math.max(...cells.map((row) => row[i].length)));
  const lines = cells.map((row) => `  ${row.map((text, i) => text.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
  const half = MOST_LINES / 2;
  const shown =
    lines.length <= MOST_LINES
      ? lines
      : [...lines.slice(0, half), `  ... ${lines.length - MOST_LINES} lines more, all of them with --json ...`, ...lines.slice(-half)];
  return [`layers with parameters (${layers.length})`, ...shown].join('\n');
}

function advice({ training }: Checkup): string[] {
  const notes: string[] = [];
  const steps = Object.keys(training?.nodes.stopped ?? {});
  if (steps.length > 0)
    notes.push(
      'What gets no gradient stands before operators that go by steps (Sign, Round, ArgMax): their slope is 0, nothing is learned through them.',
    );
  if (training?.freezeBefore !== undefined) {
    notes.push(
      `Try --freeze-before ${training.freezeBefore} with finetune and fineprune: the layers from there on are trained, the others stay as they are.`,
    );
  }
  return notes;
}
