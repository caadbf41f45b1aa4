import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('examples/badnet.ts plants a backdoor and cuts it out', { timeout: 240_000 }, () => {
  const script = fileURLToPath(new URL('../examples/badnet.ts', import.meta.url));
  const run = spawnSync(process.execPath, ['--import', 'tsx', script, '3000'], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  expect(run.stdout).toMatch(
    /^backdoored: clean accuracy 0\.9\d*, attack success 0\.9\d*, n 1000\nfine-pruned: clean accuracy 0\.\d+, attack success 0\.\d+, n 1000\n$/,
  );
  expect(run.status).toBe(0);
});
