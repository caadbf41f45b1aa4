/** 7.3 group 7: pickles in disguise, stacked, broken, behind the memo; and the walk against what Python's own pickler does. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/data/zip.ts';
import { Forward } from '../../src/zoo/lint/forward.ts';
import { lintBytes } from '../../src/zoo/lint/lint.ts';
import { OPCODES } from '../../src/zoo/lint/pickle-opcodes.ts';
import { walkPickle } from '../../src/zoo/lint/pickle-walk.ts';
import { goldenFile } from './lint-golden.ts';

const latin = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const said = (text: string | Uint8Array, name = 'file.pkl'): string[] => {
  const { kind, findings } = lintBytes(bytesSource(typeof text === 'string' ? latin(text) : text), name);
  return [kind, ...findings.map((f) => `${f.verdict} ${f.rule}: ${f.says}`)];
};
const P4 = '\u0080\u0004';
const SYSTEM = 'refused pickle-global: imports and calls "os.system", which is not on the list of what data need';
const UNRESOLVED = 'refused pickle-unresolved: imports something whose name cannot be told from the file';

describe('what a pickle would do', () => {
  it.each<[string, string, readonly string[]]>([
    ['GLOBAL and REDUCE', 'cos\nsystem\n(S"id"\ntR.', [SYSTEM]],
    ['INST', '(S"id"\nios\nsystem\n.', [SYSTEM]],
    ['OBJ', '(cos\nsystem\nS"id"\no.', [SYSTEM]],
    ['NEWOBJ', `${P4}cos\nsystem\n)\u0081.`, [SYSTEM]],
    ['NEWOBJ_EX', `${P4}cos\nsystem\n)}\u0092.`, [SYSTEM]],
    [
      'an import that is never called',
      `${P4}cos\nsystem\n.`,
      ['refused pickle-global: imports "os.system", which is not on the list of what data need'],
    ],
    ['STACK_GLOBAL through the memo', `${P4}\u008c\u0002os\u00940\u008c\u0006system\u00940h\u0000h\u0001\u0093)R.`, [SYSTEM]],
    [
      'STACK_GLOBAL through PUT over another entry',
      `${P4}\u008c\u0001xq\u00050\u008c\u0002osq\u00050h\u0005\u008c\u0006system\u0093)R.`,
      [SYSTEM],
    ],
    ['STACK_GLOBAL with a module made of bytes', `${P4}C\u0002os\u008c\u0006system\u0093)R.`, [UNRESOLVED]],
    ['STACK_GLOBAL with an escape', `${P4}S"\\x6fs"\nS"system"\n\u0093.`, [UNRESOLVED]],
    [
      'EXT1',
      `${P4}\u0082\u0007)R.`,
      ['refused pickle-extension: imports number 7 of a registry that only the reading program knows', 'refused pickle-unresolved'],
    ],
    [
      'a call of what a call gives',
      `${P4}ccollections\nOrderedDict\n)R)R.`,
      ['refused pickle-unresolved: calls something that is not an import by name: what that is cannot be told from the file'],
    ],
    [
      'a dotted name under an allowed one',
      `${P4}ccollections\nOrderedDict.fromkeys\n)R.`,
      ['refused pickle-global: imports and calls "collections.OrderedDict.fromkeys", which is not on the list of what data need'],
    ],
    [
      'attributes set on an import',
      `${P4}ccollections\nOrderedDict\nN}\u0086b.`,
      [
        'refused pickle-fills-import: sets attributes of the import collections.OrderedDict itself, which no program that writes pickles does',
      ],
    ],
    [
      'entries set in a tensor',
      `${P4}ctorch._utils\n_rebuild_tensor_v2\n)RK\u0001K\u0002s.`,
      ['refused pickle-entries: sets entries of what torch._utils._rebuild_tensor_v2 gives, which is no dictionary'],
    ],
    [
      'Python 2 names that only look allowed',
      '\u0080\u0002c__builtin__\neval\n)R.',
      ['refused pickle-global: imports and calls "__builtin__.eval", which is not on the list of what data need'],
    ],
  ])('%s', (_, text, expected) => {
    const [kind, ...findings] = said(text);
    expect(kind).toBe('pickle');
    expect(findings).toHaveLength(expected.length);
    for (const [i, finding] of findings.entries()) expect(finding.startsWith(expected[i])).toBe(true);
  });

  it.each<[string, string, string]>([
    ['nothing after PROTO', P4, 'is cut off at byte 2: the file ends within it'],
    ['cut off before anything was done', `${P4}]K`, 'is cut off at byte 3: the file ends within it'],
    [
      'cut off after a call',
      `${P4}ccollections\nOrderedDict\n)R`,
      'is cut off at byte 29: the file ends within it; Python has imported and called what stands before that by then',
    ],
    ['an opcode that is none', `${P4}]\u00ff`, 'is no whole pickle at byte 3: no opcode has the byte 0xff'],
    ['an empty stack', `${P4}R.`, 'is no whole pickle at byte 2: a value is taken from an empty stack'],
    ['a memo entry that was never set', `${P4}h\u0007.`, 'is no whole pickle at byte 2: memo entry 7 was never set'],
    ['protocol 6', '\u0080\u0005\u0080\u0006N.', 'is no whole pickle at byte 2: protocol 6'],
    [
      'a frame beyond the end',
      `${P4}\u0095\u00ff\u0000\u0000\u0000\u0000\u0000\u0000\u0000N.`,
      'is cut off at byte 2: the file ends within it',
    ],
    ['a value below the mark', `${P4}N(0000.`, 'is no whole pickle at byte 6: a value is taken from an empty stack'],
  ])('broken: %s', (_, text, says) => {
    expect(said(text)).toEqual(['pickle', `refused pickle-broken: ${says}`]);
  });

  it('a broken pickle that already called something says both', () => {
    expect(said('cos\nsystem\n(S"id"\ntR\u00ff')).toEqual([
      'pickle',
      SYSTEM,
      'refused pickle-broken: is no whole pickle at byte 20: no opcode has the byte 0xff; Python has imported and called what stands before that by then',
    ]);
  });

  it('two pickles, the second one evil; with a mark and without', () => {
    const stacked =
      'refused pickle-stacked: another pickle stands behind the first: programs that load twice run it, scanners that stop at the first do not see it';
    const second = 'refused pickle-global: pickle 2 in it imports and calls "os.system", which is not on the list of what data need';
    expect(said(`${P4}N.${P4}cos\nsystem\n)R.`)).toEqual(['pickle', stacked, second]);
    expect(said(`${P4}N.cos\nsystem\n(S"id"\ntR.`)).toEqual(['pickle', stacked, second]);
  });

  it('bytes behind the end that are no pickle are told, a line end is not', () => {
    expect(said(`${P4}N.\n`)).toEqual(['pickle']);
    expect(said(`${P4}N.not a pickle`)).toEqual([
      'pickle',
      'flagged pickle-trailing: 12 bytes stand behind the end of the pickle, which loading it does not read',
    ]);
  });

  it('a file named as something safe is refused for its content and for its name', () => {
    const evil = goldenFile('evil4.pkl');
    for (const [name, extension] of [
      ['model.onnx', 'onnx'],
      ['weights.safetensors', 'safetensors'],
      ['a.npy', 'npy'],
      ['README.md', 'md'],
    ]) {
      expect(said(evil, name)).toEqual([
        'pickle',
        'refused pickle-global: imports and calls "posix.system", which is not on the list of what data need',
        `refused extension: named .${extension}, but is a Python pickle`,
      ]);
    }
    expect(said(goldenFile('data4.pkl'), 'model.onnx')).toEqual(['pickle', 'refused extension: named .onnx, but is a Python pickle']);
    expect(said('not a pickle at all', 'weights.pkl')[1]).toBe(
      'refused extension: named .pkl, which holds nothing that can be looked through; its loader unpickles it',
    );
  });

  it('texts that begin like opcodes are texts', () => {
    for (const text of [
      'class A\nclass B\n',
      'import os\n(in short\nfoo\n',
      'I like it\n.',
      'Version 1\nand more',
      '(c) 2020\n',
      'N.B.: this is text',
      '0.5,0.25\n',
      '}\n',
    ]) {
      expect([text, said(text, 'notes')[0]]).toEqual([text, 'other']);
    }
  });

  it('a pickle without mark whose call stands behind a megabyte of data is still found', () => {
    const long = `(lp0\n${'I1\na'.repeat(400_000)}cos\nsystem\n(S"id"\ntRa.`;
    expect(said(long, 'labels')).toEqual(['pickle', SYSTEM]);
  });
});

describe('the walk', () => {
  it('knows the 68 opcodes of protocols 0 to 5', () => {
    expect(OPCODES.filter((o) => o !== undefined)).toHaveLength(68);
    expect(OPCODES[0x93]).toEqual({ code: 0x93, name: 'STACK_GLOBAL', argument: 0 });
  });

  it('has an end for any bytes, and never one behind them', () => {
    const opcode = fc.constantFrom(...OPCODES.flatMap((o) => (o === undefined ? [] : [o.code])));
    const bytes = fc.array(fc.oneof({ weight: 4, arbitrary: opcode }, fc.nat(255)), { maxLength: 200 }).map((a) => Uint8Array.from(a));
    fc.assert(
      fc.property(bytes, (b) => {
        const { end, ended, imports } = walkPickle(new Forward(bytesSource(b)));
        expect(end).toBeLessThanOrEqual(b.length);
        if (ended === 'stop') expect(b[end - 1]).toBe(0x2e);
        expect(imports.every((i) => i.module !== undefined)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('no prefix of an evil pickle that did its call is anything but refused', () => {
    const whole = goldenFile('evil2.pkl');
    for (let n = 1; n < whole.length; n++) {
      const { kind, verdict } = lintBytes(bytesSource(whole.subarray(0, n)), 'file');
      if (kind === 'pickle') expect(verdict).toBe('refused');
      else expect(n).toBeLessThan(2);
    }
  });
});
