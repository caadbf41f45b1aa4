/** `secateur zoo lint` in this process. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorOf, run, scratch } from '../cli/in-process.ts';
import { goldenFile } from './lint-golden.ts';

const HONEST = 'Ok and flagged are about what loading a file can do. They do not say that the model has no backdoor.';

describe('zoo lint', () => {
  it('one file: its verdict, its format, why; exit code 3 where it is refused', async () => {
    const path = join(scratch(), 'weights.safetensors');
    writeFileSync(path, goldenFile('evil4.pkl'));
    const { code, out } = await run('zoo', 'lint', path);
    expect(code).toBe(3);
    expect(out).toBe(
      [
        'refused: pickle',
        '',
        `refused  pickle       ${path}`,
        '           ! imports and calls "posix.system", which is not on the list of what data need (pickle-global)',
        '           ! named .safetensors, but is a Python pickle (extension)',
        '',
        HONEST,
        '',
      ].join('\n'),
    );
  });

  it('folders and files together, and --fail-on', async () => {
    const folder = scratch();
    writeFileSync(join(folder, 'a.npy'), goldenFile('a.npy'));
    writeFileSync(join(folder, 'chat.gguf'), goldenFile('chat.gguf'));
    const plain = await run('zoo', 'lint', folder, join(folder, 'a.npy'));
    expect([plain.code, plain.out.split('\n')[0]]).toEqual([0, '3 files: 2 ok, 1 flagged, 0 refused']);
    expect((await run('zoo', 'lint', folder, '--fail-on', 'flagged')).code).toBe(3);
  });

  it('--json has rules and findings', async () => {
    const path = join(scratch(), 'a.npy');
    writeFileSync(path, goldenFile('a.npy'));
    const { code, out } = await run('zoo', 'lint', path, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ rules: '2026-11', files: [{ path, kind: 'npy', verdict: 'ok', findings: [] }] });
  });

  it('without paths: the models of the project', async () => {
    const folder = scratch();
    mkdirSync(join(folder, 'models', 'a'), { recursive: true });
    writeFileSync(join(folder, 'models.json'), '{"models": {}}\n');
    writeFileSync(join(folder, 'models', 'a', 'a.npy'), goldenFile('a.npy'));
    expect((await run('zoo', 'lint', '--project', folder)).out).toContain(`ok       npy          ${join(folder, 'models', 'a', 'a.npy')}`);
  });

  it('a path that is not there is an error', async () => {
    const path = join(scratch(), 'nothing');
    const printed = await run('zoo', 'lint', path);
    expect([printed.code, errorOf(printed)]).toEqual([1, `error: E_LINT ${path}: no such file or folder.`]);
  });
});
