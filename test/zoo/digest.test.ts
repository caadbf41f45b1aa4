import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareNames, hexOf, omsRoot, parseSha256, sha256Of, treeDigest } from '../../src/zoo/digest.ts';
import type { Sha256 } from '../../src/zoo/types.ts';

const digestOf = (text: string): Sha256 => `sha256:${createHash('sha256').update(text).digest('hex')}`;

it('takes only sha256: and 64 lower-case digits', () => {
  const hex = 'ab'.repeat(32);
  expect(parseSha256(`sha256:${hex}`)).toBe(`sha256:${hex}`);
  for (const wrong of [
    '',
    'sha256:',
    hex,
    `sha1:${hex}`,
    `sha256:${hex.toUpperCase()}`,
    `sha256:${hex}0`,
    ` sha256:${hex}`,
    `sha256:${hex}\n`,
    `sha256:${hex.slice(1)}`,
  ]) {
    expect(parseSha256(wrong)).toBeUndefined();
  }
  expect(sha256Of(hex.toUpperCase())).toBe(`sha256:${hex}`);
  expect(sha256Of('xy')).toBeUndefined();
  expect(hexOf(`sha256:${hex}`)).toBe(hex);
});

it('orders names as their UTF-8 bytes', () => {
  expect(compareNames('\u{1f600}', '\uff5e')).toBeGreaterThan(0);
  expect('\u{1f600}' < '\uff5e').toBe(true);
  const text = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(text, text, text, (prefix, a, b) => {
      const expected = Buffer.compare(Buffer.from(prefix + a), Buffer.from(prefix + b));
      expect(Math.sign(compareNames(prefix + a, prefix + b))).toBe(expected);
    }),
  );
});

it('gives the root of the fixture signed by the reference implementation', () => {
  // facts 2.5 nr 6: fixture v1.1.0-elliptic-key
  const files = [
    { path: 'signme-2', digest: digestOf('signme-2') },
    { path: 'signme-1', digest: digestOf('signme-1\n') },
  ];
  expect(omsRoot(files)).toBe('sha256:92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4');
});

it('gives a tree digest that sha256sum can repeat, and that binds names', () => {
  const files = ['b', '\u{1f600}', '\uff5e', 'a/x'].map((path) => ({ path, digest: digestOf(path) }));
  const lines = ['a/x', 'b', '\uff5e', '\u{1f600}'].map((path) => `${hexOf(digestOf(path))}  ${path}\n`).join('');
  const said = execFileSync('sha256sum', { input: lines }).toString().slice(0, 64);
  expect(treeDigest(files)).toBe(`sha256:${said}`);
  const renamed = files.map((f) => (f.path === 'b' ? { ...f, path: 'c' } : f));
  expect(treeDigest(renamed)).not.toBe(treeDigest(files));
  expect(omsRoot(renamed)).toBe(omsRoot(files));
});
