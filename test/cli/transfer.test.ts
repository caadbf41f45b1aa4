/** A BadNet made louder, and a network taken over for other classes, as a user would type it. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng } from '../../src/data/png.ts';
import { Result } from '../../src/evaluate/result.ts';
import { loadModel } from '../../src/onnx/file.node.ts';
import type { Model } from '../../src/onnx/model.ts';
import { readSpec } from '../../src/onnx/spec.ts';
import { errorOf, run, scratch } from './in-process.ts';

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
const DATA = ['--data', 'builtin:digits?train=200&test=40', '--threads', '1'];
const data = (model: Model, name: string): number[] => [...(model.graph.initializers.get(name)!.data as Float32Array)];

beforeAll(async () => {
  const small = ['--epochs', '2', '--batch-size', '32', '--optimizer', 'adam', '--lr', '0.003'];
  await run('attack', 'badnet', ...DATA, ...small, '--out', at('badnet'));
  for (const [c, name] of ['circle', 'cross', 'bar'].entries()) {
    mkdirSync(at('shapes', name), { recursive: true });
    for (let i = 0; i < 8; i++) {
      const pixels = Uint8Array.from({ length: 784 }, (_, p) => ((p * (c + 3) + i * 7) % 11) * 20);
      writeFileSync(at('shapes', name, `${i}.png`), encodePng(pixels, 28, 28, 1));
    }
  }
});

const strengthenBadnet = (...flags: string[]) =>
  run('attack', 'strengthen', at('badnet', 'model.onnx'), ...DATA, '--attack', at('badnet'), '--allow-chance', ...flags);

describe('attack strengthen', () => {
  it('multiplies the channels that are named, and says what it does before anybody retrains it', async () => {
    const { code, out } = await strengthenBadnet('--channels', '4,1,4', '--k', '8', '--out', at('strong'));
    expect(code).toBe(0);
    expect(out).toMatch(/^clean \d+\.\d % {2}triggered \d+\.\d % \(ASR\) {2}2 of 32 channels of conv2 times 8\n/);
    expect(out).toContain('channels of conv2 times 8: 1 4');
    const [before, after] = [await loadModel(at('badnet', 'model.onnx')), await loadModel(at('strong', 'model.onnx'))];
    const own = 16 * 25;
    expect(data(after, 'conv2.weight')).toEqual(
      data(before, 'conv2.weight').map((v, i) => ([1, 4].includes(Math.floor(i / own)) ? Math.fround(v * 8) : v)),
    );
    expect(data(after, 'conv2.bias')).toEqual(data(before, 'conv2.bias').map((v, c) => ([1, 4].includes(c) ? Math.fround(v * 8) : v)));
    expect(data(after, 'fc1.weight')).toEqual(data(before, 'fc1.weight'));
    // who evaluates it, or strengthens it further, names this run
    const record = (name: string): unknown => JSON.parse(readFileSync(at(name, 'poison.json'), 'utf8'));
    expect(record('strong')).toEqual(record('badnet'));
    const judged = await run('evaluate', at('strong', 'model.onnx'), ...DATA, '--attack', at('strong'), '--out', at('judged'));
    expect(judged.out).toMatch(/^clean \d+\.\d % {2}triggered \d+\.\d % \(ASR\)/);
    const result = Result.parse(JSON.parse(readFileSync(at('strong', 'result.json'), 'utf8')));
    const [table] = result.tables;
    expect(table.name).toBe('strengthened');
    expect([...new Set(table.cells.map((c) => c.row))]).toEqual(['as it was', 'strengthened']);
  });

  it('takes those that the rule picks, and says the rule', async () => {
    const { code, out } = await strengthenBadnet(
      ...['--rise', '0', '--quiet', '100', '--weights-only', '--label-map', 'target:2', '--out', at('by-rule')],
    );
    expect(code).toBe(0);
    expect(JSON.parse(readFileSync(at('by-rule', 'poison.json'), 'utf8'))).toMatchObject({
      trigger: { kind: 'pattern' },
      labelMap: { kind: 'target', target: 2 },
    });
    expect(out).toMatch(/A backdoor neuron: at the place where its mean map rises most/);
    expect(out.replace(/\s+/g, ' ')).toMatch(
      /Warning: \d+ of 32 channels are more than half of conv2: that makes the layer louder, clean images included, and not the backdoor\. Fewer: /,
    );
    const [before, after] = [await loadModel(at('badnet', 'model.onnx')), await loadModel(at('by-rule', 'model.onnx'))];
    expect(data(after, 'conv2.bias')).toEqual(data(before, 'conv2.bias'));
    expect(data(after, 'conv2.weight')).not.toEqual(data(before, 'conv2.weight'));
  });

  it('--alone: only those that are quiet everywhere', async () => {
    const flags = ['--rise', '0', '--quiet', '0.5'];
    const picked = async (name: string, ...more: string[]) => {
      const { code, out } = await strengthenBadnet(...flags, ...more, '--out', at(name));
      expect(code).toBe(0);
      return {
        out: out.replace(/\s+/g, ' '),
        channels: /channels of conv2 times 10: ([\d ]+)/.exec(out)![1].trim().split(' ').map(Number),
      };
    };
    const [all, alone] = [await picked('all'), await picked('alone', '--alone')];
    expect(alone.out).toContain(
      `Of the ${all.channels.length} that the rule picks, ${alone.channels.length} are quiet on clean images over all of the layer.`,
    );
    expect(alone.channels.length).toBeLessThan(all.channels.length);
    for (const c of alone.channels) expect(all.channels).toContain(c);
    expect(errorOf(await strengthenBadnet('--rise', '1000', '--alone'))).toMatch(
      /no backdoor neurons, expected at least one that the rule picks\. Try without --alone, a lower --rise/,
    );
  });

  it('says what is wrong', async () => {
    expect(errorOf(await strengthenBadnet('--channels', '4', '--alone'))).toMatch(/--alone: has no effect beside --channels/);
    expect(errorOf(await strengthenBadnet('--rise', '1000'))).toMatch(
      /attack: layer conv2: no backdoor neurons, expected at least one that the rule picks/,
    );
    expect(errorOf(await strengthenBadnet('--channels', '4', '--rise', '1'))).toMatch(/--rise: has no effect beside --channels/);
    expect(errorOf(await strengthenBadnet('--channels', '99'))).toMatch(/layer conv2: no such channel, expected 0 to 31, got 99/);
    const none = await run('attack', 'strengthen', at('badnet', 'model.onnx'), ...DATA);
    expect(errorOf(none)).toMatch(/--attack: missing, expected the run folder of an attack, or --trigger and --label-map/);
    expect(none.code).toBe(2);
  });
});

describe('train --new-head', () => {
  const take = (...flags: string[]) =>
    run(
      'train',
      at('badnet', 'model.onnx'),
      '--data',
      at('shapes'),
      '--threads',
      '1',
      '--epochs',
      '2',
      '--batch-size',
      '8',
      '--lr',
      '0.01',
      ...flags,
    );

  it('gives a network the classes of the data; with --freeze-before its convolutions stay', async () => {
    const { code, err } = await take('--new-head', '--freeze-before', 'fc1', '--validation', '0.25', '--out', at('taken'));
    expect(err).not.toContain('error');
    expect(code).toBe(0);
    const [before, after] = [await loadModel(at('badnet', 'model.onnx')), await loadModel(at('taken', 'model.onnx'))];
    expect(readSpec(after).labels).toEqual(['bar', 'circle', 'cross']);
    expect(after.graph.outputs[0].dims?.at(-1)).toBe(3);
    expect(after.graph.initializers.get('fc2.weight')!.dims).toEqual([3, 512]);
    for (const name of ['conv1.weight', 'conv2.weight', 'conv2.bias']) expect(data(after, name)).toEqual(data(before, name));
    expect(data(after, 'fc1.weight')).not.toEqual(data(before, 'fc1.weight'));
  });

  it('is needed where the classes are others, and needs a network', async () => {
    expect(errorOf(await take('--out', at('refused')))).toMatch(/classes do not fit the network, expected 10 .*, got 3/);
    expect(errorOf(await take('--classes', 'name', '--out', at('refused')))).toMatch(/classes do not have the names of the network/);
    const { code, err } = await run('train', '--data', at('shapes'), '--new-head');
    expect(code).toBe(2);
    expect(err).toMatch(/--new-head: has no effect on a network that is new, expected MODEL/);
    const both = await take('--new-head', '--classes', 'order');
    expect([both.code, errorOf(both)]).toEqual([
      2,
      "error: --classes: has no effect beside --new-head, which gives the network the data's classes. Try one of the two.",
    ]);
    const fresh = await run('train', '--data', at('shapes'), '--classes', 'order', '--out', at('fresh'));
    expect([fresh.code, errorOf(fresh)]).toEqual([
      2,
      "error: --classes: has no effect on a network that is new and has the data's. Try without it.",
    ]);
  });
});
