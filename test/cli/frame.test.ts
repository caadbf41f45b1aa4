import { describe, expect, test } from 'vitest';
import { explain } from '../../src/cli/errors.node.ts';
import { commandLine, version } from '../../src/cli/run.node.ts';
import { SecateurError } from '../../src/core/errors.ts';
import { cli } from './cli.ts';
import { run } from './in-process.ts';

describe('wrong usage: exit code 2, a suggestion, nothing on stdout', () => {
  test.each([
    [['doctr'], "error: unknown command 'doctr'\n(Did you mean doctor?)\n(add --help to see what there is)\n"],
    [['doctor', '--ot', 'x'], "error: unknown option '--ot'\n(Did you mean --out?)\n(add --help to see what there is)\n"],
    [['doctor', '--out'], "error: option '--out <DIR>' argument missing\n(add --help to see what there is)\n"],
    [['doctor', 'x', 'y'], "error: too many arguments for 'doctor'. Expected 1 argument but got 2.\n(add --help to see what there is)\n"],
    [['schema', 'doctr'], /^error: schema: no command "doctr", expected one of .*doctor.*\. Try secateur schema "doctor"\.\n$/],
  ])('%j', async (argv, message) => {
    const { code, out, err } = await run(...argv);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(message);
  });

  test('a group without a command', async () => {
    const { code, out, err } = await run('attack');
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^Usage: secateur attack .*badnet .*pruning-aware /s);
    expect((await run('attack', 'badnets')).err).toBe(
      "error: unknown command 'badnets'\n(Did you mean badnet?)\n(add --help to see what there is)\n",
    );
  });

  test('no command at all', async () => {
    const { code, out, err } = await run();
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^Usage: secateur /);
  });
});

test('help and version go to stdout with exit code 0', async () => {
  const { code, out, err } = await run('--help');
  expect([code, err]).toEqual([0, '']);
  for (const name of ['train', 'attack', 'inspect', 'prune', 'finetune', 'fineprune', 'evaluate', 'report', 'doctor', 'schema'])
    expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
  expect(await run('doctor', '--help')).toMatchObject({ code: 0, err: '', out: expect.stringContaining('Examples:\n  secateur doctor\n') });
  expect((await run('help', 'doctor')).out).toBe((await run('doctor', '--help')).out);
  expect(await run('--version')).toMatchObject({ code: 0, out: `${version()}\n` });
});

test('doctor: a backend works, the result line comes first, --json gives the same as an object', async () => {
  const { code, out } = await run('doctor');
  expect(code).toBe(0);
  expect(out).toMatch(/^secateur \d+\.\d+\.\d+ works here \(.*(native|wasm).*\)\n\n {2}ok {4}node /);
  const json = JSON.parse((await run('doctor', '--json')).out) as { ok: boolean; checks: { name: string }[] };
  expect(json.ok).toBe(true);
  expect(json.checks.map((c) => c.name)).toEqual(['node', 'machine', 'native', 'wasm', 'write access', 'gpu libraries']);
});

test('doctor: what is missing says what to type, exit code 1', async () => {
  const { code, out } = await run('doctor', '--out', '/nowhere/at/all');
  expect(code).toBe(1);
  expect(out).toMatch(/^secateur \S+ does not work here: write access\n/);
  expect(out).toContain('  FAIL  write access    /nowhere/at/all: ENOENT\n');
  expect(out).toContain('Try another folder: secateur doctor --out DIR, and the same --out for the other commands');
});

test('every command has help with examples that it understands', async () => {
  const { entries } = await import('../../src/cli/registry.node.ts');
  for (const { name } of entries) {
    const { code, out } = await run(...name.split(' '), '--help');
    expect(code).toBe(0);
    expect(out).toContain(`Usage: secateur ${name} `);
    const examples = out
      .slice(out.indexOf('Examples:'))
      .split('\n')
      .filter((line) => line.startsWith('  secateur '));
    expect(examples.length).toBeGreaterThan(0);
    for (const flag of examples.join(' ').match(/--[a-z0-9-]+/g) ?? []) expect(out).toContain(`${flag} `);
  }
});

test('schema prints one for every command', async () => {
  const { code, out } = await run('schema');
  expect(code).toBe(0);
  const { $defs } = JSON.parse(out) as { $defs: Record<string, unknown> };
  expect(Object.keys($defs)).toContain('doctor');
  expect(Object.keys($defs)).not.toContain('schema');
});

describe('what goes wrong, in words', () => {
  test("a user's mistake is one line", () => {
    const error = new SecateurError({ where: 'data', what: 'empty', hint: 'more', exitCode: 1 });
    expect(explain(error, false)).toEqual({ text: 'error: data: empty. Try more.', exitCode: 1 });
  });

  test('a full disk, a folder that may not be written', () => {
    const system = (code: string): Error => Object.assign(new Error(code), { code, syscall: 'write', path: '/out/model.onnx' });
    expect(explain(system('ENOSPC'), false)).toEqual({
      text: 'error: /out/model.onnx: the disk is full. Try freeing some space, or --out on another disk. Nothing half-written was left behind.',
      exitCode: 1,
    });
    expect(explain(system('EACCES'), false).text).toBe(
      'error: /out/model.onnx: permission denied. Try another folder with --out, or the permissions of this one.',
    );
  });

  test('anything else is a bug, without its stack unless asked for', () => {
    const { text, exitCode } = explain(new TypeError('x is not a function'), false);
    expect(exitCode).toBe(1);
    expect(text).toBe(
      'error: TypeError: x is not a function\nThis is a bug in secateur. Please report it with the command you typed, what `secateur doctor` prints,\n' +
        'and the output of the same command with SECATEUR_DEBUG=1 set.',
    );
    expect(explain(new TypeError('x'), true).text).toContain('frame.test.ts');
  });
});

test('the command line can be pasted into a shell', () => {
  expect(commandLine(['train', '--data', "it's here", '--lr', '0.1', ''])).toBe(`secateur train --data 'it'\\''s here' --lr 0.1 ''`);
});

test('as a process: exit code, streams', async () => {
  const { code, stdout, stderr } = await cli(['doctr']);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toBe("error: unknown command 'doctr'\n(Did you mean doctor?)\n(add --help to see what there is)\n");
});
