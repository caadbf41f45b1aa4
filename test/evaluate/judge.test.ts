import { afterAll, describe, expect, it } from 'vitest';
import { predict } from '../../src/data/forward.ts';
import { figureCell, rateCell } from '../../src/evaluate/cells.ts';
import { Judge, type TriggeredTest } from '../../src/evaluate/judge.ts';
import { wilson } from '../../src/evaluate/wilson.ts';
import { cutPoints } from '../../src/onnx/cut-points.ts';
import type { Model } from '../../src/onnx/model.ts';
import { cutChannels } from '../../src/onnx/passes/cut-channels.ts';
import { triggered } from '../../src/poison/poison.ts';
import { parseTrigger } from '../../src/poison/triggers/registry.ts';
import { nativeRuntime } from '../../src/runtime/open.node.ts';
import { probe } from '../../src/runtime/probe.ts';
import type { Runtime } from '../../src/runtime/session.ts';
import { cnn, images } from '../defend/tiny-nets.ts';

const runtime = nativeRuntime({ threads: 1 });
afterAll(() => runtime.dispose());

const clean = images(60, 'test');
const attack = { trigger: parseTrigger({ kind: 'pattern' }), labelMap: { kind: 'target', target: 1 } } as const;
const bad = triggered(clean, attack) as TriggeredTest;

function counting(): { runtime: Runtime; opened: () => number } {
  let opened = 0;
  const open: Runtime['open'] = (model, options) => {
    opened++;
    return runtime.open(model, options);
  };
  return { runtime: { backend: runtime.backend, threads: runtime.threads, open } as Runtime, opened: () => opened };
}

describe('the judge', () => {
  it('counts as the formulas say, over the inputs that count', async () => {
    const model = cnn(2);
    const { clean: rates, attack: attacked } = await new Judge(runtime, clean, bad).judge(model);
    const onClean = (await predict(runtime, model, clean)).labels;
    const onBad = (await predict(runtime, model, bad)).labels;
    expect(rates.accuracy.value).toBe(onClean.filter((p, i) => p === clean.labels[i]).length / 60);
    expect(attacked?.success.n).toBe(clean.labels.filter((l) => l !== 1).length);
    expect(attacked?.success.value).toBe(onBad.filter((p) => p === 1).length / onBad.length);
    expect(attacked?.robust.value).toBe(onBad.filter((p, i) => p === bad.labels[i]).length / onBad.length);
    expect(rates.perClass.reduce((a, r) => a + r.n, 0)).toBe(60);
  });

  it('makes each prediction once', async () => {
    const { runtime: counted, opened } = counting();
    const judge = new Judge(counted, clean, bad);
    const model = cnn(2);
    const first = await judge.judge(model);
    expect(opened()).toBe(2);
    expect(await judge.judge(model)).toEqual(first);
    expect(opened()).toBe(2);
    await judge.judge(cnn(3));
    expect(opened()).toBe(4);
  });

  it('follows a pruning curve with the numbers of the cut models', async () => {
    const model: Model = cnn(4);
    const [, point] = cutPoints(model, await probe(runtime, model, { batch: 2 })).layers;
    const order = [3, 0, 1, 4, 2];
    const judge = new Judge(runtime, clean, bad);
    const curve = await judge.curve(model, point, order);
    expect(curve.map((s) => s.cut)).toEqual([0, 1, 2, 3, 4, 5]);
    const { clean: rates, attack: attacked } = await judge.judge(cutChannels(model, point, order.slice(0, 2)).model);
    expect(curve[2]).toEqual({ cut: 2, accuracy: rates.accuracy, success: attacked?.success, robust: attacked?.robust });
  });

  it('needs no attack', async () => {
    const judge = new Judge(runtime, clean);
    expect((await judge.judge(cnn())).attack).toBeUndefined();
  });
});

describe('cells', () => {
  it('one seed has its Wilson interval, several their t interval', () => {
    expect(rateCell('r', 'c', [wilson(9, 10)], 0.5)).toMatchObject({ value: 0.9, n: 10, low: wilson(9, 10).low, seeds: 1, paper: 0.5 });
    const three = rateCell('r', 'c', [wilson(9, 10), wilson(8, 10), wilson(10, 10)]);
    expect(three).toMatchObject({ n: 30, seeds: 3, high: 1 });
    expect(three?.value).toBeCloseTo(0.9, 12);
    expect(three?.low).toBeCloseTo(0.9 - (4.3027 * 0.1) / Math.sqrt(3), 4);
  });

  it('runs without inputs do not count', () => {
    expect(rateCell('r', 'c', [wilson(0, 0)])).toBeUndefined();
    expect(rateCell('r', 'c', [wilson(0, 0), wilson(1, 2)])).toMatchObject({ value: 0.5, seeds: 1 });
    expect(figureCell('r', 'c', [2])).toEqual({ row: 'r', column: 'c', value: 2, seeds: 1 });
  });
});
