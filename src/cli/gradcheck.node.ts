/** `secateur gradcheck`: whether this program's gradients of a model are right. */
import { z } from 'zod';
import { formatDims } from '../core/shapes.ts';
import { loadNpz } from '../data/npz.node.ts';
import { compareWithGolden, type TensorCheck } from '../inspect/gradcheck.ts';
import { checkByDifferences, type DifferenceCheck } from '../inspect/gradcheck-differences.ts';
import type { Model } from '../onnx/model.ts';
import { trueInputs } from '../onnx/spec.ts';
import type { Runtime } from '../runtime/session.ts';
import { workingModel } from '../runtime/working-model.ts';
import { defineCommand, type Outcome } from './command.node.ts';
import { columns } from './output.node.ts';
import { modelField, readModelFile, runtimeFields, seedField, untrustedFields, withRuntime } from './shared.node.ts';

export const gradcheck = defineCommand({
  name: 'gradcheck',
  description:
    'With --golden: compares logits, loss and gradients with those that another framework computed. Without: compares the gradient of each parameter, and of the input, with how much the loss changes on random input when that tensor is moved a little. The relative error is the largest difference over the largest expected value. Exit code 3 if one exceeds --tolerance.',
  examples: [
    ['secateur gradcheck model.onnx', 'differences of the loss; takes a few runs of the network a tensor'],
    [
      'secateur gradcheck model.onnx --golden golden.npz',
      'arrays input, labels, logits, loss (mean cross-entropy) and grad/NAME for the input and initialisers',
    ],
  ],
  options: z.object({
    ...modelField,
    golden: z.string().optional().meta({ description: 'what another framework computed', placeholder: 'FILE.npz' }),
    tolerance: z.number().positive().default(1e-3).meta({ description: 'largest relative error that is still right' }),
    batchNorm: z
      .enum(['inference', 'training'])
      .default('inference')
      .meta({ description: 'running statistics, or those of the batch', placeholder: 'MODE' }),
    logits: z
      .string()
      .optional()
      .meta({ description: 'the value that holds the class scores; default: the only output', placeholder: 'NAME' }),
    freezeBefore: z.string().optional().meta({ description: 'only the parameters of this node and those after it', placeholder: 'NODE' }),
    samples: z.number().int().min(1).max(1000).default(2).meta({ description: 'directions tried in each tensor, without --golden' }),
    batchSize: z
      .number()
      .int()
      .min(1)
      .default(2)
      .meta({ description: 'images in the batch where the file leaves it open, without --golden' }),
    inputShape: z
      .array(z.number().int().min(1))
      .optional()
      .meta({ description: 'shape of the input where the file leaves more open than the batch, without --golden', placeholder: 'N,C,H,W' }),
    ...seedField,
    ...runtimeFields,
    ...untrustedFields,
  }),
  run: (context, o) =>
    withRuntime(context, o, false, async (open) => {
      const { tolerance, batchNorm, logits, freezeBefore } = o;
      const common = { tolerance, batchNorm, logits, freezeBefore };
      const file = await readModelFile(o.model, { ...o, note: (text) => context.progress.line(`note: ${text}`) });
      if (o.golden !== undefined) {
        context.progress.step('reading the golden file');
        const golden = await loadNpz(o.golden);
        context.progress.step('gradients');
        const model = await inWorkingForm(file, golden.get('input')?.dims[0], open);
        const found = await compareWithGolden(await open(), model, golden, { ...common, where: o.golden });
        const notes = [
          ...listed(`gradients in ${o.golden} of values that the model has not`, found.notInModel),
          ...listed(`parameters of the model without a gradient in ${o.golden}`, found.notInGolden),
        ];
        return outcome(found.tensors, tolerance, `as in ${o.golden}`, notes, { golden: o.golden, ...found });
      }
      const { samples, seed, batchSize: batch, inputShape, threads: _ } = o;
      const model = await inWorkingForm(file, undefined, open);
      const found = await checkByDifferences(await open(), model, {
        ...{ ...common, samples, seed, batch, inputShape, signal: context.signal },
        onTensor: (done, all, name) => context.progress.passing(`${done}/${all} ${name}`),
      });
      const notes = listed('not judged', found.notJudged);
      const all = found.tensors.map((t) => t.name);
      const judged = all.length - found.notJudged.length;
      return outcome(found.tensors, tolerance, `by differences of the loss, ${judged} of ${all.length} judged`, notes, { seed, ...found });
    }),
});

/** float32 weights, scores in one row, and a batch that is free where `batch` asks for another than the file fixes. */
async function inWorkingForm(model: Model, batch: number | undefined, open: () => Promise<Runtime>): Promise<Model> {
  const { graph } = model;
  const [input] = trueInputs(model);
  const rank = graph.outputs[0]?.dims?.length ?? 2;
  const fixed = input?.dims?.[0];
  const plain = [input, ...graph.initializers.values()].every(
    (t) => t?.dtype !== 'float16' && t?.dtype !== 'float64' && t?.dtype !== 'bfloat16',
  );
  if (plain && rank === 2 && (typeof fixed !== 'number' || batch === undefined || fixed === batch)) return model;
  return (await workingModel(await open(), model)).model;
}

function outcome(
  tensors: readonly (TensorCheck | DifferenceCheck)[],
  tolerance: number,
  how: string,
  notes: readonly string[],
  json: object,
): Outcome {
  const wrong = tensors.filter((t) => !t.ok);
  const worst = tensors.find((t) => t.note === undefined) ?? tensors[0];
  const known = uncertaintyOf(worst);
  const sure = known === undefined ? '' : `, known to ${short(known)}`;
  const said = wrong.length === 0 ? 'gradients are right' : `${wrong.length} of ${tensors.length} tensors are not right`;
  const line = `${said} ${how}: worst ${short(worst.error)} (${worst.name}${sure}), tolerance ${tolerance}`;
  const ok = wrong.length === 0;
  return { line, tables: [tableOf(tensors)], notes, json: { ok, tolerance, ...json }, exitCode: ok ? 0 : 3 };
}

const uncertaintyOf = (t: TensorCheck | DifferenceCheck): number | undefined => ('uncertainty' in t ? t.uncertainty : undefined);

const short = (value: number): string => (value === 0 ? '0' : value.toExponential(1));

/** One line a tensor. */
function tableOf(tensors: readonly (TensorCheck | DifferenceCheck)[]): string {
  const differences = tensors.some((t) => uncertaintyOf(t) !== undefined);
  const head = ['', 'tensor', 'shape', 'error', differences ? 'known to' : 'L2 error', 'largest', ''];
  const lines = tensors.map((t) => {
    const second = uncertaintyOf(t) ?? t.l2;
    return [t.ok ? 'ok' : 'NO', t.name, formatDims(t.dims), short(t.error), short(second), short(t.largest), t.note ?? ''];
  });
  return columns([head, ...lines], [3, 4, 5])
    .map((line) => `  ${line}`)
    .join('\n');
}

function listed(title: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${title} (${names.length}): ${names.join(', ')}`];
}
