/** What the judge says of a model, as a line and a table. */
import type { Dataset } from '../data/dataset.ts';
import { predict } from '../data/forward.ts';
import { type AttackRates, attackRates, type CleanRates } from '../evaluate/rates.ts';
import type { Cell, Table } from '../evaluate/result.ts';
import type { Rate } from '../evaluate/wilson.ts';
import type { Model } from '../onnx/model.ts';
import type { ModelSpec } from '../onnx/spec.ts';
import { triggered } from '../poison/poison.ts';
import type { Runtime } from '../runtime/session.ts';
import { accuracyOf } from './accuracy.node.ts';
import { percent } from './output.node.ts';
import type { Attack } from './trigger.node.ts';

export interface Judgement {
  /** `clean 98.9 %  triggered 97.2 % (ASR)` */
  readonly line: string;
  readonly table: Table;
  readonly clean: CleanRates;
  readonly attack?: AttackRates;
}

/** Clean accuracy on `data`, by class; with an attack, its success and robust accuracy too, for which `data` has to be test images. */
export async function judge(
  runtime: Runtime,
  model: Model,
  data: Dataset<'test'> | Dataset<'validation'>,
  o: { spec: Partial<ModelSpec>; attack?: Attack },
): Promise<Judgement> {
  const clean = await accuracyOf(runtime, model, data, o.spec);
  const cells = column('clean accuracy', data.classes, clean.perClass, clean.accuracy);
  const name = `${data.role} images`;
  const words = `clean ${percent(clean.accuracy.value, 1)}`;
  if (o.attack === undefined || !isTest(data)) return { line: words, table: { name, unit: 'rate', cells }, clean };
  const images = triggered(data, o.attack);
  const { labels, classes } = await predict(runtime, model, images, { spec: o.spec });
  const attack = attackRates(labels, images.labels, images.targets, classes);
  cells.push(...column('attack success', data.classes, attack.successPerClass, attack.success));
  cells.push(...column('robust accuracy', data.classes, attack.robustPerClass, attack.robust));
  const notes = [`Trigger ${o.attack.trigger.kind}, label map ${o.attack.labelMap.kind}. Intervals are 95 % (Wilson).`];
  return {
    line: `${words}  triggered ${percent(attack.success.value, 1)} (ASR)`,
    table: { name, unit: 'rate', cells, notes },
    clean,
    attack,
  };
}

const isTest = (data: Dataset): data is Dataset<'test'> => data.role === 'test';

function column(name: string, classes: readonly string[], perClass: readonly Rate[], all: Rate): Cell[] {
  const rows = perClass.map((rate, i): Cell => ({ row: classes[i], column: name, ...rate }));
  return [...rows, { row: 'all', column: name, ...all }].filter((cell) => cell.n !== 0);
}
