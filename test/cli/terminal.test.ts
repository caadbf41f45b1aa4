/** Names out of a stranger's file on a terminal: shown, not obeyed, and never mistaken for lines of this program. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32 } from '../../src/core/tensor.ts';
import { saveModel } from '../../src/onnx/file.node.ts';
import type { Model } from '../../src/onnx/model.ts';
import { smooth } from '../grad/differences.ts';
import { linear, net } from '../grad/nets.ts';
import { type Printed, run, scratch } from './in-process.ts';

vi.mock('../../src/runtime/open.node.ts', async () => {
  const { inProcess } = await import('../grad/runtime.ts');
  return { openRuntime: async () => ({ ...inProcess, dispose: async () => {} }) };
});

const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

/** Sets a terminal's title, clears it, and writes a line of its own. */
const EVIL = '\x1b]0;owned\x07\x1b[2J\x9b1m\r\n  ok  all is well\tyes';
const SHOWN = '\\u001b]0;owned\\u0007\\u001b[2J\\u009b1m\\u000d   ok  all is well yes';

function evil(blocked: boolean): Model {
  const rng = Rng.from(1);
  return net([1, 6, 6], (b) => {
    const weight = b.initializer(`${EVIL}.weight`, smooth(rng, [2, 1, 3, 3]));
    const conv = b.op('Conv', ['x', weight], {}, { name: EVIL, outputs: [`${EVIL}.out`] });
    const flat = b.op('Flatten', [b.op('Relu', [conv], {}, { name: 'relu' })], {}, { name: 'flat' });
    const odd = blocked ? b.op('Normalizer', [flat], { norm: 'L2' }, { name: `odd${EVIL}`, domain: 'ai.onnx.ml' }) : flat;
    return linear(b, rng, `head${EVIL}`, odd, 32, 3);
  });
}

beforeAll(async () => {
  await saveModel(at('evil.onnx'), evil(false));
  await saveModel(at('blocked.onnx'), evil(true));
  const moved = evil(false);
  moved.graph.initializers.set(`${EVIL}.weight`, f32(new Float32Array(18).fill(0.5), [2, 1, 3, 3]));
  moved.graph.nodes[0].attributes.set('strides', { type: 'ints', value: [1, 1] });
  moved.graph.initializers.set(`more${EVIL}`, f32([1], [1]));
  await saveModel(at('moved.onnx'), moved);
});

function harmless({ out, err }: Printed): void {
  for (const text of [out, err]) {
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    expect(text).not.toMatch(/^\s*ok {2}all is well/m);
  }
}

describe('names that would command the terminal', () => {
  test.each([
    ['doctor', ['doctor', at('evil.onnx')], 0, [`  ${SHOWN} `, `  head${SHOWN} `]],
    [
      'doctor of a blocked one',
      ['doctor', at('blocked.onnx')],
      0,
      [`Normalizer "odd${SHOWN}": no gradient rule\n`, `Try --freeze-before head${SHOWN} `],
    ],
    ['inspect --layers', ['inspect', at('evil.onnx'), '--layers', '--out', at('layers')], 0, [`  ${SHOWN} `, `default ${SHOWN}\n`]],
    ['diff', ['diff', at('evil.onnx'), at('moved.onnx')], 0, [`${SHOWN}.weight `, `only in B: more${SHOWN} [1]\n`]],
    ['gradcheck', ['gradcheck', at('evil.onnx'), '--samples', '1', '--tolerance', '10'], 0, [` ${SHOWN}.weight `]],
    ['an error', ['gradcheck', at('blocked.onnx')], 1, []],
  ] as const)('%s', async (_, argv, code, shown) => {
    const printed = await run(...argv);
    expect(printed.code).toBe(code);
    harmless(printed);
    for (const text of shown) expect(printed.out).toContain(text);
  });

  test('JSON has them escaped', async () => {
    const { out } = await run('doctor', at('evil.onnx'), '--json');
    expect(out).not.toContain('\x1b');
    expect(JSON.parse(out)).toHaveProperty('training.layers.0.name', EVIL);
  });
});
