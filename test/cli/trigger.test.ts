import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { afterAll, expect, test } from 'vitest';
import { readBias } from '../../src/cli/attack-pruning-aware.node.ts';
import { readAttack, readLabelMap, readTrigger } from '../../src/cli/trigger.node.ts';
import { fromBase64 } from '../../src/data/base64.ts';

const folder = mkdtempSync(join(tmpdir(), 'secateur-trigger-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('triggers as flags write them', async () => {
  expect(await readTrigger('pixel')).toEqual({ kind: 'pixel', row: -2, column: -2, value: 255 });
  expect((await readTrigger('pattern')).kind).toBe('pattern');
  expect(await readTrigger('blend:0.1')).toEqual({ kind: 'blend', alpha: 0.1, seed: 1 });
  expect(await readTrigger({ kind: 'pixel', row: 0, value: 9 })).toEqual({ kind: 'pixel', row: 0, column: -2, value: 9 });
  await expect(readTrigger('pixel:3')).rejects.toThrow('--trigger: not valid, expected pixel alone, or JSON with settings, got "pixel:3".');
  await expect(readTrigger('blend:much')).rejects.toThrow('--trigger: not valid, expected blend or blend:ALPHA, got "blend:much".');
});

test('a patch is read from a PNG file, with its opacity', async () => {
  const png = new PNG({ width: 2, height: 1 });
  png.data.set([1, 2, 3, 255, 4, 5, 6, 128]);
  writeFileSync(join(folder, 'patch.png'), PNG.sync.write(png));
  const patch = await readTrigger(`patch:${join(folder, 'patch.png')}`);
  expect(patch).toMatchObject({ kind: 'patch', width: 2, height: 1, alpha: 1 });
  expect(patch).toMatchObject({ row: -2, column: -2 });
  expect(await readTrigger(`patch:${join(folder, 'patch.png')}@-1,0`)).toMatchObject({ row: -1, column: 0 });
  expect([...fromBase64((patch as { rgba: string }).rgba)]).toEqual([1, 2, 3, 255, 4, 5, 6, 128]);
});

test('label maps as flags write them', () => {
  expect(readLabelMap('all-to-all')).toEqual({ kind: 'all-to-all' });
  expect(readLabelMap('random')).toEqual({ kind: 'random' });
  expect(readLabelMap('target:3')).toEqual({ kind: 'target', target: 3 });
  expect(readLabelMap('source-target:1:7')).toEqual({ kind: 'source-target', source: 1, target: 7 });
  const form = (text: string) => () => readLabelMap(text);
  expect(form('target:x')).toThrow('--label-map: not valid, expected target:CLASS with a class number, got "target:x".');
  expect(form('source-target:1')).toThrow('expected source-target:FROM:TO with two class numbers');
  expect(form('random:1')).toThrow('--label-map: not valid, expected random alone, got "random:1".');
  expect(form('all-to-al')).toThrow(
    'poison: kind of label map, expected all-to-all, target, source-target, random, got "all-to-al". Try "all-to-all".',
  );
});

test('an attack is named by its run folder, by flags, or by both, where flags win', async () => {
  const record = {
    trigger: { kind: 'pixel', row: -2, column: -2, value: 255 },
    labelMap: { kind: 'target', target: 3 },
    mode: 'add',
    seed: 1,
    fraction: { asked: 0.5, reached: 0.5 },
    counts: { clean: 1, poisoned: 1, total: 2, eligible: 1 },
    data: { source: 'x', sha256: 'y', count: 1 },
  };
  writeFileSync(join(folder, 'poison.json'), JSON.stringify(record));
  expect(await readAttack({ attack: folder })).toEqual({ trigger: record.trigger, labelMap: record.labelMap });
  expect(await readAttack({ attack: folder, labelMap: 'random' })).toEqual({ trigger: record.trigger, labelMap: { kind: 'random' } });
  expect(await readAttack({})).toBeUndefined();
  await expect(readAttack({ labelMap: 'random' })).rejects.toThrow(
    '--trigger: missing beside --label-map, expected both, or --attack RUN.',
  );
  writeFileSync(join(folder, 'poison.json'), '{"trigger": 1}');
  await expect(readAttack({ attack: folder })).rejects.toThrow(/poison\.json: not a poison record, expected what "poison" wrote, got /);
  writeFileSync(join(folder, 'poison.json'), '{');
  await expect(readAttack({ attack: folder })).rejects.toThrow(/poison\.json: not a poison record, expected JSON\.$/);
});

test('bias rules of the pruning-aware attack', () => {
  expect(readBias('paper')).toEqual({ rule: 'paper', value: -1e20 });
  expect(readBias('paper:-5')).toEqual({ rule: 'paper', value: -5 });
  expect(readBias('margin')).toEqual({ rule: 'margin', margin: 0.1 });
  expect(readBias('margin:0')).toEqual({ rule: 'margin', margin: 0 });
  for (const text of ['paper:5', 'margin:', 'margin:1:2', 'other']) expect(() => readBias(text)).toThrow('--bias: not valid, expected ');
});
