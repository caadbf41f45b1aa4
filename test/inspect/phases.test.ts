import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describePhaseRule, pruningPhases } from '../../src/inspect/phases.ts';

const curve = (accuracy: number[], success?: number[]) =>
  accuracy.map((a, i) => ({ accuracy: a, ...(success && { success: success[i] }) }));

describe('pruningPhases', () => {
  it('names the three phases of a backdoor with neurons of its own', () => {
    const accuracy = [0.9, 0.9, 0.9, 0.89, 0.9, 0.88, 0.7, 0.4, 0.1];
    const success = [1, 1, 0.99, 0.4, 0.1, 0, 0, 0, 1];
    expect(pruningPhases(curve(accuracy, success))).toEqual([
      { name: 'used by neither', from: 0, to: 2 },
      { name: 'used by the backdoor', from: 2, to: 5 },
      { name: 'used by clean inputs', from: 5, to: 8 },
    ]);
  });

  it('has no second phase where clean accuracy falls first, or at the same step', () => {
    const accuracy = [0.9, 0.9, 0.9, 0.5, 0.3, 0.1];
    const both = [
      { name: 'used by neither', from: 0, to: 2 },
      { name: 'used by clean inputs', from: 2, to: 5 },
    ];
    expect(pruningPhases(curve(accuracy, [1, 1, 1, 1, 0.2, 0.2]))).toEqual(both);
    expect(pruningPhases(curve(accuracy, [1, 1, 1, 0.2, 0.2, 0.2]))).toEqual(both);
    expect(pruningPhases(curve(accuracy))).toEqual(both);
  });

  it('takes a single bad step for chance, and a fall that reaches the end for a fall', () => {
    const accuracy = [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.2];
    expect(pruningPhases(curve(accuracy, [1, 1, 0.5, 1, 1, 1, 1]))).toEqual([
      { name: 'used by neither', from: 0, to: 5 },
      { name: 'used by clean inputs', from: 5, to: 6 },
    ]);
    expect(pruningPhases(curve(accuracy, [1, 1, 0.5, 1, 1, 1, 1]), { lasting: 1 })[1]).toEqual({
      name: 'used by the backdoor',
      from: 1,
      to: 5,
    });
  });

  it('leaves out a first phase that does not occur, and has none for a curve of one step', () => {
    expect(pruningPhases(curve([0.9, 0.9, 0.1], [1, 0, 0]))[0]).toEqual({ name: 'used by the backdoor', from: 0, to: 1 });
    expect(pruningPhases(curve([0.9], [1]))).toEqual([]);
  });

  it('covers every curve without a gap', () => {
    const rate = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.record({ accuracy: rate, success: rate }), { minLength: 2, maxLength: 30 }), (points) => {
        const phases = pruningPhases(points);
        expect(phases[0].from).toBe(0);
        expect(phases.at(-1)?.to).toBe(points.length - 1);
        for (const [i, p] of phases.entries()) {
          expect(p.to).toBeGreaterThan(p.from);
          if (i > 0) expect(p.from).toBe(phases[i - 1].to);
        }
      }),
    );
  });

  it('says its rule', () => {
    expect(describePhaseRule()).toBe(
      'Channels are used by neither until attack success falls by more than 10 points or clean accuracy by more than 4 points, for at least ' +
        '3 steps in a row; by the backdoor alone from the first of these to the second, and by clean inputs after that.',
    );
  });
});
