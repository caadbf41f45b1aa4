/** A sample of ONNX's backend tests; `npx tsx scripts/backend-vectors.ts` runs all of them. */
import { describe, expect, it } from 'vitest';
import { hasData, readSet } from '../scripts/vectors/archive.ts';
import { runForward } from '../scripts/vectors/forward.ts';
import { checkGradient } from '../scripts/vectors/gradient.ts';
import { rules } from '../src/grad/table.ts';

let unpacked: ReturnType<typeof readSet> | undefined;
const nodeTests = (): ReturnType<typeof readSet> => {
  unpacked ??= readSet('node');
  return unpacked;
};

const here = hasData();
const why = here ? '' : ' (skipped: no ../shared/data/onnx-backend-tests)';

describe.skipIf(!here)(`ONNX backend tests, a sample${why}`, () => {
  it('each ends in its class', async () => {
    const classes: Record<string, string> = {};
    for (const vector of readSet('simple')) classes[vector.name] = (await runForward(vector)).class;
    expect(classes.test_gradient_of_add).toBe('refused');
    expect(classes.test_sign_model).toBe('passed');
    expect(Object.values(classes)).not.toContain('differs');
    expect(Object.values(classes).filter((c) => c === 'passed').length).toBe(17);
  });

  it('gradients agree with central differences, or it says why there is none', async () => {
    const wanted = new Map([
      ['test_basic_conv_with_padding', 'passed'],
      ['test_gemm_all_attributes', 'passed'],
      ['test_softmax_axis_1', 'passed'],
      ['test_layer_normalization_2d_axis0', 'passed'],
      ['test_maxpool_2d_default', 'passed'],
      ['test_argmax_default_axis_example', 'nothing'],
      ['test_sign', 'nothing'],
      ['test_gru_defaults', 'no rule'],
      ['test_batchnorm_example_training_mode', 'skipped'],
    ]);
    const found = new Map<string, string>();
    for (const vector of nodeTests()) {
      if (!wanted.has(vector.name)) continue;
      const forward = await runForward(vector);
      expect(forward.class, vector.name).toBe('passed');
      found.set(vector.name, (await checkGradient(forward)).class);
    }
    expect([...found].sort()).toEqual([...wanted].sort());
  });
});

describe.skipIf(!here)(`the check itself${why}`, () => {
  it('sees a gradient that is not right', async () => {
    const forward = await runForward(nodeTests().find((v) => v.name === 'test_mul')!);
    expect((await checkGradient(forward)).class).toBe('passed');
    const kept = rules.Mul;
    try {
      Object.assign(rules, { Mul: (c: Parameters<typeof kept>[0]) => [kept(c)[0], () => c.dy] });
      expect(await checkGradient(forward)).toMatchObject({ class: 'wrong' });
    } finally {
      Object.assign(rules, { Mul: kept });
    }
  });
});
