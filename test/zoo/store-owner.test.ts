import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { exclusively, ifIdle } from '../../src/zoo/store/exclusive.node.ts';
import { own, ownNow } from '../../src/zoo/store/owner.node.ts';
import { message, put, scratch } from './store-files.ts';

const MODULE = JSON.stringify(join(import.meta.dirname, '../../src/zoo/store/owner.node.ts'));

/** A real process that runs the text as a module, with `own` in scope. */
function child(text: string): ChildProcess {
  const program = `import { own } from ${MODULE};\n${text}`;
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function line(process: ChildProcess): Promise<string> {
  const [data] = (await once(process.stdout!, 'data')) as [Buffer];
  return data.toString().trim();
}

describe('one owner at a time', () => {
  it('the next one waits, is told once for whom, and gets it', async () => {
    const path = join(scratch(), 'o');
    const release = await own(path);
    const told: string[] = [];
    let got = false;
    const next = own(path, { onWait: (says) => told.push(says) }).then(async (r) => {
      got = true;
      await r();
    });
    await sleep(120);
    expect(got).toBe(false);
    await release();
    await release();
    await next;
    expect(told).toEqual([`waiting for process ${process.pid}`]);
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  it('a waiting one can be stopped', async () => {
    const path = join(scratch(), 'o');
    const release = await own(path);
    const stop = new AbortController();
    const waiting = own(path, { signal: stop.signal });
    stop.abort(new Error('stopped'));
    expect(await message(waiting)).toBe('stopped');
    expect(await ownNow(path)).toBeUndefined();
    await release();
    await (await ownNow(path))!();
  });

  it('an owner that was killed is taken over, by one of many', async () => {
    const path = join(scratch(), 'o');
    const owner = child(`await own(${JSON.stringify(path)}); console.log('mine'); setTimeout(() => {}, 60000);`);
    expect(await line(owner)).toBe('mine');
    expect(await ownNow(path)).toBeUndefined();
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const release = await own(path);
        most = Math.max(most, ++inside);
        await sleep(5);
        inside--;
        await release();
      }),
    );
    expect(most).toBe(1);
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  it('four processes that add to one number, two of them killed in between, lose nothing that was done', async () => {
    const folder = scratch();
    const path = join(folder, 'o');
    const counter = put(join(folder, 'n'), '0');
    // Reading, waiting, writing: without exclusion nearly every addition would be lost.
    const text = `
      import { readFileSync, writeFileSync, appendFileSync, renameSync } from 'node:fs';
      for (let i = 0; i < 25; i++) {
        const release = await own(${JSON.stringify(path)});
        const n = Number(readFileSync(${JSON.stringify(counter)}, 'utf8'));
        await new Promise((r) => setTimeout(r, 2));
        writeFileSync(${JSON.stringify(counter)} + process.pid, String(n + 1));
        renameSync(${JSON.stringify(counter)} + process.pid, ${JSON.stringify(counter)});
        appendFileSync(${JSON.stringify(join(folder, 'log'))}, (n + 1) + '\\n');
        await release();
      }`;
    const children = [0, 1, 2, 3].map(() => child(text));
    const done = children.map((c) => once(c, 'exit'));
    await vi.waitFor(() => expect(Number(readFileSync(counter, 'utf8'))).toBeGreaterThan(8), { timeout: 30_000 });
    children[0].kill('SIGKILL');
    children[1].kill('SIGKILL');
    await Promise.all(done);
    const total = Number(readFileSync(counter, 'utf8'));
    const log = readFileSync(join(folder, 'log'), 'utf8').trim().split('\n').map(Number);
    expect(total).toBeGreaterThanOrEqual(50);
    // Two that were inside at once would have written the same number twice.
    expect(new Set(log).size).toBe(log.length);
    expect(total - log.length).toBeLessThanOrEqual(2);
  });

  it('a number of a process that was given anew is no owner', async () => {
    const path = join(scratch(), 'o');
    const release = await own(path);
    const owner = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    await release();
    writeFileSync(path, JSON.stringify({ ...owner, started: String(owner.started).replace(/ .*/, ' 1') }));
    const next = await ownNow(path);
    expect(next).toBeTypeOf('function');
    await next!();
  });

  it('of a machine of the same name is none of ours, unless nothing was heard of it since this one was started', async () => {
    const path = join(scratch(), 'o');
    await (await own(path))();
    const release = await own(path);
    const me = JSON.parse(readFileSync(path, 'utf8')) as { started?: string };
    await release();
    if (me.started === undefined) return;
    const other = { ...me, pid: 2 ** 22 + 1, started: me.started.replace(/^\S+/, '00000000-0000-4000-8000-000000000001') };
    writeFileSync(path, JSON.stringify(other));
    expect(await ownNow(path)).toBeUndefined();
    utimesSync(path, 1, 1);
    const taken = await ownNow(path);
    expect(taken).toBeTypeOf('function');
    await taken!();
  });

  it('an owner on another machine counts as dead only after a minute without a sign, as seen from here', async () => {
    const path = join(scratch(), 'o');
    writeFileSync(path, JSON.stringify({ token: '00000000-0000-4000-8000-000000000000', pid: 1, host: `not-${hostname()}` }));
    // Its clock may stand anywhere.
    utimesSync(path, 1, 1);
    const clock = vi.spyOn(performance, 'now');
    let now = 1000;
    clock.mockImplementation(() => now);
    const told: string[] = [];
    const waiting = own(path, { onWait: (says) => told.push(says) });
    // Each look asks the clock once.
    const looks = async (): Promise<void> => {
      const before = clock.mock.calls.length;
      await vi.waitFor(() => expect(clock.mock.calls.length).toBeGreaterThan(before + 1), { timeout: 20_000 });
    };
    await looks();
    now += 59_000;
    utimesSync(path, 2, 2);
    await looks();
    now += 59_000;
    await looks();
    expect(await Promise.race([waiting, sleep(1).then(() => 'waits')])).toBe('waits');
    now += 2000;
    await (await waiting)();
    expect(told).toEqual([`waiting for process 1 on not-${hostname()}`]);
    clock.mockRestore();
  });

  it('a file that a power cut left empty or half is waited for, and taken over when it stands still', async () => {
    for (const text of ['', 'half of an ow', '{"token":"x","pid":1}', 'null']) {
      const path = put(join(scratch(), 'o'), text);
      expect(await ownNow(path)).toBeUndefined();
      expect(readFileSync(path, 'utf8')).toBe(text);
      const clock = vi.spyOn(performance, 'now');
      let now = 1000;
      clock.mockImplementation(() => now);
      const told: string[] = [];
      const waiting = own(path, { onWait: (says) => told.push(says) });
      await vi.waitFor(() => expect(clock).toHaveBeenCalled(), { timeout: 20_000 });
      now += 61_000;
      await (await waiting)();
      expect(told).toEqual(['waiting for another process']);
      clock.mockRestore();
    }
  });
});

describe('one writer per project', () => {
  it('calls within run at once, others wait, and failing gives it up', async () => {
    const root = scratch();
    const order: string[] = [];
    const first = exclusively(root, async () => {
      order.push('first begins');
      await exclusively(root, async () => order.push('within'));
      await sleep(60);
      order.push('first ends');
      throw new Error('failed');
    });
    await sleep(20);
    const second = exclusively(join(root, '.'), async () => order.push('second'));
    expect(await message(first)).toBe('failed');
    await second;
    expect(order).toEqual(['first begins', 'within', 'first ends', 'second']);
  });

  it('ifIdle does not wait', async () => {
    const root = scratch();
    await exclusively(root, async () => {
      expect(await ifIdle(root, async () => 1)).toBe(1);
    });
    let end = (): void => undefined;
    const atWork = new Promise<void>((begun) => {
      void exclusively(root, () => {
        begun();
        return new Promise<void>((resolve) => {
          end = resolve;
        });
      });
    });
    await atWork;
    expect(await ifIdle(root, async () => 1)).toBeUndefined();
    end();
    await exclusively(root, async () => {});
    expect(await ifIdle(root, async () => 1)).toBe(1);
  });

  it('its state is kept out of the repository', async () => {
    const root = scratch();
    await exclusively(root, async () => {});
    expect(readFileSync(join(root, '.secateur/.gitignore'), 'utf8')).toBe('*\n');
    expect(readdirSync(join(root, '.secateur/zoo'))).toEqual([]);
  });
});
