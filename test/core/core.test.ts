import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 as nodeSha256, sha256File } from '../../src/core/hash.node.ts';
import { sha256 } from '../../src/core/hash.ts';
import { broadcastAxes, broadcastShapes, formatDims, resolveAxis, sameDims, strides } from '../../src/core/shapes.ts';
import { nearest } from '../../src/core/suggest.ts';

describe('sha256', () => {
  it('gives the digests of FIPS 180-4', () => {
    expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256(new Uint8Array())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('is the same in Node and elsewhere', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => nodeSha256(bytes) === sha256(bytes)));
  });

  it('hashes files, and says which cannot be read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'secateur-'));
    await writeFile(join(folder, 'a'), 'abc');
    expect(await sha256File(join(folder, 'a'))).toBe(sha256('abc'));
    await expect(sha256File(join(folder, 'b'))).rejects.toThrow(`${folder}/b: cannot be read, got ENOENT.`);
    await rm(folder, { recursive: true });
  });
});

describe('nearest', () => {
  const layers = ['conv1/relu', 'conv2/relu', 'fc1', 'logits'];
  it.each([
    ['conv2/rellu', 'conv2/relu'],
    ['CONV1/RELU', 'conv1/relu'],
    ['lgoits', 'logits'],
    ['fc2', 'fc1'],
    ['something else', undefined],
    ['', undefined],
  ])('%s -> %s', (name, expected) => expect(nearest(name, layers)).toBe(expected));

  it('takes the first of equally near ones', () => expect(nearest('conv3/relu', layers)).toBe('conv1/relu'));
});

describe('shapes', () => {
  it('strides are row-major', () => {
    expect(strides([2, 3, 4])).toEqual([12, 4, 1]);
    expect(strides([])).toEqual([]);
  });

  it.each([
    [
      [[2, 3], [3]],
      [2, 3],
    ],
    [
      [
        [2, 1, 4],
        [3, 1],
      ],
      [2, 3, 4],
    ],
    [[[], [5]], [5]],
    [
      [[0, 1], [4]],
      [0, 4],
    ],
    [[[1], [0]], [0]],
    [[], []],
  ])('broadcast %j -> %j', (shapes, expected) => expect(broadcastShapes(...shapes)).toEqual(expected));

  it('says which shapes do not broadcast', () => {
    expect(() => broadcastShapes([2, 3], [4])).toThrow('shapes [2,3] and [4] do not broadcast');
  });

  it('summing over broadcastAxes brings a gradient back to its shape', () => {
    const size = fc.integer({ min: 1, max: 3 });
    fc.assert(
      fc.property(fc.array(fc.tuple(size, fc.boolean()), { maxLength: 4 }), fc.integer({ min: 0, max: 4 }), (axes, drop) => {
        const to = axes.map(([d]) => d);
        const from = axes.map(([d, one]) => (one ? 1 : d)).slice(Math.min(drop, axes.length));
        expect(broadcastShapes(from, to)).toEqual(to);
        const summed = new Set(broadcastAxes(from, to));
        const kept = to.map((d, axis) => (summed.has(axis) ? 1 : d)).slice(to.length - from.length);
        expect(kept).toEqual(from);
      }),
    );
  });

  it('axes count from both ends', () => {
    expect([resolveAxis(-1, 4), resolveAxis(0, 4)]).toEqual([3, 0]);
    expect(() => resolveAxis(4, 4)).toThrow('axis 4 is outside a rank of 4');
    expect(() => resolveAxis(-5, 4)).toThrow('axis -5 is outside a rank of 4');
  });

  it('compares and prints', () => {
    expect([sameDims([1, 2], [1, 2]), sameDims([1], [1, 2])]).toEqual([true, false]);
    expect(formatDims(['N', null, 3])).toBe('[N,?,3]');
  });
});
