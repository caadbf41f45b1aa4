import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { addOptions, configSchema, readOptions } from '../../src/cli/options.node.ts';
import { parseSchedule } from '../../src/train/schedule.ts';

const folder = mkdtempSync(join(tmpdir(), 'secateur-options-'));
afterAll(() => rmSync(folder, { recursive: true }));

const schema = z.object({
  model: z.string().meta({ description: 'ONNX file', positional: true, placeholder: 'MODEL' }),
  batchSize: z.number().int().min(1).default(128).meta({ description: 'images a step' }),
  lr: z.number().positive().default(0.05),
  share: z.number().min(0).max(1).optional(),
  mode: z.enum(['add', 'replace']).default('add'),
  compact: z.boolean().default(false).meta({ description: 'remove what was cut' }),
  keep: z.boolean().default(true).meta({ description: 'keep the layers', off: 'drop the layers' }),
  mean: z.array(z.number()).optional(),
  inputRange: z.array(z.number()).length(2).optional(),
  labels: z.array(z.string()).optional(),
  failOn: z.array(z.enum(['bad', 'worse'])).optional(),
  schedule: z.string().default('constant').transform(parseSchedule),
  validation: z.union([z.number().positive(), z.literal('all')]).optional(),
  trigger: z.union([z.string(), z.object({ kind: z.string() })]).optional(),
});

async function read(args: readonly string[]): Promise<z.output<typeof schema>> {
  const command = new Command('test').exitOverride().configureOutput({ writeErr: () => {} });
  addOptions(command, schema);
  command.parse(args, { from: 'user' });
  return (await readOptions(schema, command.opts(), command.args)).options;
}

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

test('text from flags becomes what the schema says', async () => {
  const args = ['m.onnx', '--batch-size', '16', '--lr', '1e-3', '--mode', 'replace', '--compact', '--no-keep', '--mean', '0.1, 0.2'];
  expect(await read([...args, '--labels', 'a,b', '--schedule', 'step:3', '--trigger', 'pixel', '--input-range', '-1,1'])).toEqual({
    model: 'm.onnx',
    batchSize: 16,
    lr: 0.001,
    mode: 'replace',
    compact: true,
    keep: false,
    mean: [0.1, 0.2],
    labels: ['a', 'b'],
    schedule: { kind: 'step', epochs: 3, factor: 0.1 },
    trigger: 'pixel',
    inputRange: [-1, 1],
  });
});

test('a field of several types takes what fits: number, word, JSON, text', async () => {
  expect(await read(['m', '--validation', '0.2'])).toMatchObject({ validation: 0.2 });
  expect(await read(['m', '--validation', 'all'])).toMatchObject({ validation: 'all' });
  expect(await read(['m', '--trigger', '{"kind": "pixel"}'])).toMatchObject({ trigger: { kind: 'pixel' } });
  await expect(read(['m', '--validation', 'some'])).rejects.toThrow(
    '--validation: not valid, expected a number above 0 or all, got "some".',
  );
});

test('what was given is told apart from defaults', async () => {
  const { given } = await readOptions(schema, { lr: '0.05', config: file('given.yaml', 'mode: add\n') }, ['m']);
  expect([...given].sort()).toEqual(['lr', 'mode', 'model']);
});

test('defaults', async () => {
  expect(await read(['m.onnx'])).toEqual({
    model: 'm.onnx',
    batchSize: 128,
    lr: 0.05,
    mode: 'add',
    compact: false,
    keep: true,
    schedule: { kind: 'constant' },
  });
});

describe('config files', () => {
  test('YAML and JSON, keys as in flags or as in the schema; flags win', async () => {
    const yaml = file('a.yaml', '# a comment\nmodel: m.onnx\nbatch-size: 8\nlr: 0.5\ncompact: true\ntrigger:\n  kind: pixel\n');
    expect(await read(['--config', yaml, '--lr', '0.25'])).toMatchObject({
      model: 'm.onnx',
      batchSize: 8,
      lr: 0.25,
      compact: true,
      trigger: { kind: 'pixel' },
    });
    const json = file('a.json', '{"model": "m.onnx", "batchSize": 8}');
    expect(await read(['--config', json])).toMatchObject({ batchSize: 8 });
    expect(await read(['other.onnx', '--config', json])).toMatchObject({ model: 'other.onnx' });
  });

  test.each([
    ['unknown.yaml', 'model: m\nbatchsize: 8\n', (p: string) => `${p}: no option "batchsize". Try "batchSize".`],
    ['far.yaml', 'model: m\nqwertz: 8\n', (p: string) => `${p}: no option "qwertz".`],
    [
      'wrong.yaml',
      'model: m\nbatchSize: many\n',
      (p: string) => `${p}: batchSize: not valid, expected a whole number of at least 1, got "many".`,
    ],
    ['list.yaml', '- 1\n', (p: string) => `${p}: not a set of options, expected lines such as "epochs: 10".`],
    ['broken.yaml', 'model: [1,\n', (p: string) => new RegExp(`^${p}: not valid YAML or JSON: .*line 2, column 1`)],
    ['broken.json', '{"model": ', (p: string) => new RegExp(`^${p}: not valid YAML or JSON: `)],
  ])('%s', async (name, text, message) => {
    const path = file(name, text);
    await expect(read(['--config', path])).rejects.toThrow(message(path));
  });

  test('a file that is not there', async () => {
    await expect(read(['--config', 'nowhere.yaml'])).rejects.toThrow('--config nowhere.yaml: there is no such file.');
  });
});

test.each([
  [[], 'MODEL: missing, expected ONNX file.'],
  [['m', '--batch-size', '0'], '--batch-size: not valid, expected a whole number of at least 1, got 0.'],
  [['m', '--batch-size', '1.5'], '--batch-size: not valid, expected a whole number of at least 1, got 1.5.'],
  [['m', '--batch-size', 'x'], '--batch-size: not valid, expected a whole number of at least 1, got "x".'],
  [['m', '--lr', '0'], '--lr: not valid, expected a number above 0, got 0.'],
  [['m', '--share', '2'], '--share: not valid, expected a number of at least 0 and at most 1, got 2.'],
  [['m', '--mode', 'ad'], '--mode: not valid, expected one of add, replace, got "ad".'],
  [['m', '--mean', '1,x'], '--mean: not valid, expected a number, got "x".'],
  [['m', '--input-range', '1'], '--input-range: not valid, expected 2 numbers joined by commas, got [1].'],
  [['m', '--fail-on', 'bad,bogus'], '--fail-on: not valid, expected one of bad, worse, got "bogus".'],
  [['m', '--schedule', 'steep'], /^--schedule: not a schedule, expected constant, /],
])('%j is refused', async (args, message) => {
  await expect(read(args)).rejects.toThrow(message);
  await expect(read(args)).rejects.toMatchObject({ exitCode: 2 });
});

test('the JSON Schema has descriptions, types and defaults, demands nothing and allows nothing else', () => {
  const json = configSchema('test', schema) as { properties: Record<string, unknown> };
  expect(json).toMatchObject({ title: 'secateur test', type: 'object', additionalProperties: false });
  expect(json).not.toHaveProperty('required');
  expect(json.properties.batchSize).toMatchObject({ type: 'integer', minimum: 1, default: 128, description: 'images a step' });
  expect(json.properties.model).toEqual({ type: 'string', description: 'ONNX file' });
  expect(json.properties.schedule).toEqual({ type: 'string', default: 'constant' });
});

test('--help: what must be given stands in angle brackets, and a switch that is on is told by what turns it off', () => {
  const command = new Command('test');
  addOptions(command, schema);
  const help = command.helpInformation();
  expect(help).toContain('Usage: test [options] <MODEL>\n');
  expect(help).toMatch(/--no-keep +drop the layers\n/);
  const lists = new Command('test');
  addOptions(lists, z.object({ path: z.array(z.string()).default([]).meta({ positional: true, placeholder: 'PATH' }) }));
  expect(lists.helpInformation()).toContain('Usage: test [options] [PATH...]\n');
  expect((configSchema('test', schema).properties as Record<string, unknown>).keep).toEqual({
    type: 'boolean',
    default: true,
    description: 'keep the layers',
  });
});

describe('lists', () => {
  const schema = z.object({
    first: z.string().optional().meta({ positional: true }),
    names: z.array(z.string()).optional().meta({ positional: true, placeholder: 'NAME' }),
    key: z.array(z.string()).optional(),
  });
  const read = async (...argv: string[]) => {
    const command = new Command().exitOverride();
    addOptions(command, schema);
    command.action(() => {});
    command.parse(argv, { from: 'user' });
    return (await readOptions(schema, command.opts(), command.args)).options;
  };

  test('take all arguments that are left, and flags that are given several times', async () => {
    expect(await read('a', 'b', 'c,d', '--key', 'x', '--key', 'y,z')).toEqual({ first: 'a', names: ['b', 'c,d'], key: ['x', 'y', 'z'] });
    expect(await read('a')).toEqual({ first: 'a' });
  });
});
