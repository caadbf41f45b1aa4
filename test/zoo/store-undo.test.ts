/** A folder that the system does not let go of: a disk is mounted there, or a program has it open. */
import type * as Disk from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { placeModel, recover, removeModelFiles } from '../../src/zoo/store/place.node.ts';
import { emptyCache, filesOf, message, scratch, tree } from './store-files.ts';

const busy = vi.hoisted(() => ({ path: '', code: '' }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof Disk>();
  const rename = async (from: string, to: string): Promise<void> => {
    if (from === busy.path || to === busy.path) throw Object.assign(new Error('busy'), { code: busy.code });
    await real.rename(from, to);
  };
  return { ...real, rename };
});
afterEach(() => {
  busy.path = '';
});

const ONE = { 'onnx/x': 'x1', y: 'y1' };
const at = (contents: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries({ ...contents }).map(([path, text]) => [`models/net/${path}`, text]));

it('is told, leaves everything as it was, and does not stop the next command', async () => {
  const [root, cache] = [scratch(), await emptyCache()];
  const also = () => [{ path: 'models.lock', bytes: 'lock 2' }];
  const place = (contents: Record<string, string>) => placeModel(root, 'models/net', filesOf(contents), { cache, also });
  await placeModel(root, 'models/net', filesOf(ONE), { cache });
  const told = (code: string): string =>
    `E_DISK ${join(root, 'models/net')}: cannot be replaced; nothing was changed, got ` +
    `${code === 'EBUSY' ? 'another program has it open, or a disk is mounted there' : 'it lies on another disk'} (${code}).`;
  [busy.path, busy.code] = [join(root, 'models/net'), 'EBUSY'];
  expect(await message(place({ 'onnx/x': 'x2', y: 'y2' }))).toBe(told('EBUSY'));
  expect(await message(removeModelFiles(root, 'models/net', filesOf(ONE), { cache, also }))).toBe(told('EBUSY'));
  [busy.path, busy.code] = [join(root, 'models/net/onnx/x'), 'EXDEV'];
  expect(await message(place({ ...ONE, 'onnx/x': 'x2' }))).toBe(told('EXDEV'));
  expect(tree(root)).toEqual(at(ONE));
  expect(await recover(root)).toEqual([]);
  busy.path = '';
  await place({ ...ONE, 'onnx/x': 'x2' });
  expect(tree(root)).toEqual({ ...at({ ...ONE, 'onnx/x': 'x2' }), 'models.lock': 'lock 2' });
});
