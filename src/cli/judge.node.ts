/** What the judge says of a model, as a line and a table. */
import type { Dataset } from '../data/dataset.ts';
import { rateCell } from '../evaluate/cells.ts';
import { Judge, type Judgement, type TriggeredTest } from '../evaluate/judge.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import type { Rate } from '../evaluate/wilson.ts';
import type { Model } from '../onnx/model.ts';
import type { SpecOverrides } from '../onnx/spec.ts';
import { triggered } from '../poison/poison.ts';
import type { Runtime } from '../runtime/session.ts';
import { accuracyOf } from './accuracy.node.ts';
import { percent } from './output.node.ts';
import type { Attack } from './trigger.node.ts';

export interface Verdict extends Judgement {
  /** `clean 98.9 %  triggered 97.2 % (ASR)` */
  readonly line: string;
  readonly table: Table;
}

/**
 * Clean accuracy, by class; with an attack, its success and robust accuracy too. Where a data set has no test images, the clean accuracy on
 * the defender's validation images is all there is to say.
 */
export async function judge(
  runtime: Runtime,
  model: Model,
  data: Dataset<'test'> | Dataset<'validation'>,
  { spec, attack }: { spec: SpecOverrides; attack?: Attack },
): Promise<Verdict> {
  const judgement = isTest(data)
    ? await new Judge(runtime, data, attack && (triggered(data, attack) as TriggeredTest), { spec }).judge(model)
    : { clean: await accuracyOf(runtime, model, data, spec) };
  const { clean, attack: hit } = judgement;
  const column = (name: string, perClass: readonly Rate[], all: Rate): Cell[] =>
    [...perClass.map((rate, i) => rateCell(data.classes[i], name, [rate])), rateCell('all', name, [all])].filter(
      (cell) => cell !== undefined,
    );
  const cells = column('clean accuracy', clean.perClass, clean.accuracy);
  if (hit)
    cells.push(...column('attack success', hit.successPerClass, hit.success), ...column('robust accuracy', hit.robustPerClass, hit.robust));
  const notes = ['Intervals are 95 % (Wilson).'];
  if (hit && attack) notes.unshift(`Trigger ${attack.trigger.kind}, label map ${attack.labelMap.kind}.`);
  const words = [`clean ${percent(clean.accuracy.value, 1)}`];
  if (hit) words.push(`triggered ${percent(hit.success.value, 1)} (ASR)`);
  return { ...judgement, line: words.join('  '), table: { name: `${data.role} images`, unit: 'rate', cells, notes } };
}

const isTest = (data: Dataset): data is Dataset<'test'> => data.role === 'test';
