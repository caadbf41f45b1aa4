import { expect, test, vi } from 'vitest';
import { SecateurError } from '../../src/core/errors.ts';
import { run } from './in-process.ts';

/** Backends that do not load, as on a machine where the install script failed. */
const broken = vi.hoisted(() => ({ backends: new Set<string>() }));
vi.mock('../../src/runtime/open.node.ts', async (original) => {
  const real = await original<typeof import('../../src/runtime/open.node.ts')>();
  return {
    ...real,
    openRuntime: (options: { backend: string }) =>
      broken.backends.has(options.backend)
        ? Promise.reject(new SecateurError({ where: `runtime (${options.backend})`, what: 'ONNX Runtime does not load: no such library' }))
        : real.openRuntime({ ...options, backend: 'wasm' }),
  };
});

test('without the native backend it still works, and says what to type', async () => {
  broken.backends = new Set(['native']);
  const { code, out } = await run('doctor');
  expect(code).toBe(0);
  expect(out).toMatch(/^secateur \S+ works here \(wasm\)\n/);
  expect(out).toMatch(
    /\n {2}no {4}native {10}onnxruntime-node 1\.\S+: ONNX Runtime does not load: no such library\n {24}Try ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node \(until then --backend wasm does the same, several times slower\)\n/,
  );
});

test('without any backend: exit code 1', async () => {
  broken.backends = new Set(['native', 'wasm']);
  const { code, out } = await run('doctor');
  expect(code).toBe(1);
  expect(out).toMatch(/^secateur \S+ does not work here: no backend loads\n/);
  const json = JSON.parse((await run('doctor', '--json')).out) as { ok: boolean; checks: { name: string; ok: boolean; fix?: string }[] };
  expect(json.ok).toBe(false);
  expect(json.checks.filter((c) => !c.ok).map((c) => c.name)).toEqual(['native', 'wasm']);
});

test('an old Node is named with the one that is needed', async () => {
  const { nodeVersion } = await import('../../src/cli/doctor.node.ts');
  expect(nodeVersion('18.20.4')).toMatchObject({ ok: false, needed: true, fix: 'Node 20.19 or later: https://nodejs.org' });
  expect(nodeVersion('20.18.9').ok).toBe(false);
  for (const version of ['20.19.0', '22.1.0', '24.0.0']) expect(nodeVersion(version).ok).toBe(true);
});
