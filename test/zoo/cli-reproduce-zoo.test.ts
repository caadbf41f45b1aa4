/** `reproduce zoo` whole, with networks that have learnt next to nothing: who ends up with which file does not depend on how good they are. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Result } from '../../src/evaluate/result.ts';
import { ReportMedia } from '../../src/report/media.ts';
import { CLEAN_BY_PRACTICE, PUBLISHED_NETWORKS, SUCCESS_BY_PRACTICE, type SupplyChain } from '../../src/report/supply-chain-media.ts';
import { errorOf, type Printed, run, scratch } from '../cli/in-process.ts';

const folder = scratch();
const out = join(folder, 'run');
const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('secateur-reproduce-zoo-'));
const before = leftovers();
let printed: Printed;
let result: Result;
let chain: SupplyChain;

beforeAll(async () => {
  const cache = process.env.SECATEUR_CACHE;
  // a proxy that nobody answers at: the story is played on this machine
  vi.stubEnv('http_proxy', 'http://127.0.0.1:9');
  vi.stubEnv('no_proxy', undefined);
  printed = await run('reproduce', 'zoo', '--data', 'builtin:digits?train=80&test=30', '--quick', '--threads', '1', '--out', out);
  expect(errorOf(printed)).toBe('');
  expect([process.env.SECATEUR_CACHE, process.env.no_proxy]).toEqual([cache, undefined]);
  vi.unstubAllEnvs();
  result = Result.parse(JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')));
  chain = ReportMedia.parse(JSON.parse(readFileSync(join(out, 'media.json'), 'utf8'))).supplyChain!;
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe('reproduce zoo', () => {
  it('prints who runs the BadNet on each day, and where the report is', () => {
    expect(printed.code).toBe(0);
    expect(printed.out).toMatch(
      /^The BadNet is right on .* Of 9 users 2 run it when only the file is swapped, 5 when the hash on the page is too, 6 when the publisher's own key has signed it, 9 when it was there from the first day\.\n/,
    );
    expect(printed.out.trimEnd().split('\n').at(-1)).toBe(join(out, 'report.html'));
    expect(existsSync(`${out}.partial`)).toBe(false);
    expect(leftovers().filter((name) => !before.includes(name))).toEqual([]);
  });

  it('has the endings that the practices deserve', () => {
    // as published, a, b, c, d; h honest, b backdoored, . nothing
    const endings = chain.practices.map(
      (p) => `${p.outcomes.map((o) => ({ honest: 'h', backdoored: 'b', nothing: '.' })[o.ending]).join('')} ${p.name}`,
    );
    expect(endings).toEqual([
      'hbbbb plain download',
      "h.bbb Caffe's script",
      'hbbbb hub client',
      'h.bbb zoo add, first time',
      'h...b zoo install --frozen, new machine',
      'hhhhb zoo install --frozen, own machine',
      'hhhhb zoo diff',
      'hhbbb zoo update',
      'h..bb zoo add, signature wanted',
    ]);
  });

  it('stops for the reason that is given, with exit code 3, and leaves nothing behind but where the old script does', () => {
    const stops = chain.practices.flatMap((p) =>
      p.outcomes
        .filter((o) => o.exitCode !== 0)
        .map((o) => `${p.name} | ${o.day} | ${o.exitCode} ${o.stoppedBy}${o.leftBehind ? ` | ${o.leftBehind}` : ''}`),
    );
    expect(stops).toEqual([
      "Caffe's script | a: file swapped | 1 takes it for a failed download | backdoored",
      'zoo add, first time | a: file swapped | 3 E_CLAIM',
      'zoo install --frozen, new machine | a: file swapped | 3 E_INTEGRITY',
      'zoo install --frozen, new machine | b: file and page | 3 E_INTEGRITY',
      'zoo install --frozen, new machine | c: and signed | 3 E_INTEGRITY',
      'zoo diff | a: file swapped | 3 is told that it changed',
      'zoo diff | b: file and page | 3 is told that it changed',
      'zoo diff | c: and signed | 3 is told that it changed',
      'zoo update | a: file swapped | 3 E_CLAIM',
      'zoo add, signature wanted | a: file swapped | 3 E_CLAIM',
      'zoo add, signature wanted | b: file and page | 3 E_SIG_CHANGED',
    ]);
  });

  it('judges what lies on the disk of each user, and nothing where there is none', () => {
    const at = (table: string, row: string, column: string): number | undefined =>
      result.tables.find((t) => t.name === table)?.cells.find((c) => c.row === row && c.column === column)?.value;
    for (const [table, metric] of [
      [CLEAN_BY_PRACTICE, 'clean accuracy'],
      [SUCCESS_BY_PRACTICE, 'attack success'],
    ]) {
      for (const { name, outcomes } of chain.practices) {
        for (const { day, ending } of outcomes) {
          const network = { honest: 'honest network', backdoored: 'BadNet', nothing: '' }[ending];
          expect(at(table, name, day)).toBe(network === '' ? undefined : at(PUBLISHED_NETWORKS, network, metric));
        }
      }
    }
    expect(result.tables.find((t) => t.name === PUBLISHED_NETWORKS)?.cells).toHaveLength(14);
  });

  it('tries each page without TLS, with it allowed, and with a wrong hash accepted', () => {
    const tried = chain.readmes.map((r) => [
      r.hash,
      ...r.attempts.map((a) => (a.taken ? (a.integrity ?? 'taken') : `${a.exitCode} ${a.stoppedBy}`)),
    ]);
    const broken = '1 the file was not downloaded correctly, run this again';
    expect(tried).toEqual([
      ['right', 'taken', '2 E_HTTP', 'matched-published-claim'],
      ['right', 'taken', '2 E_HTTP', 'matched-published-claim'],
      ['missing', '1 the front matter lacks: sha1', '2 E_HTTP', 'pinned-on-first-use'],
      ['cut short', broken, '2 E_HTTP', 'pinned-on-first-use'],
      ['wrong', broken, '2 E_HTTP', '3 E_CLAIM', 'pinned-on-first-use'],
    ]);
  });

  it('shows the words that were printed, without ports, folders of this machine and progress', () => {
    const said = [...chain.practices.flatMap((p) => p.outcomes), ...chain.readmes.flatMap((r) => r.attempts)].map((o) => o.said);
    for (const text of said) {
      expect(text).not.toMatch(/127\.0\.0\.1|secateur-reproduce-zoo-|\d %/);
      expect(text).not.toBe('');
    }
    const frozen = chain.practices.find((p) => p.name === 'zoo install --frozen, new machine')?.outcomes[1].said;
    expect(frozen).toMatch(
      /^error: E_INTEGRITY digits: digits\.onnx is not the file in models\.lock, expected sha256:[0-9a-f]{64} .*got sha256:[0-9a-f]{64} .*from http:\/\/zoo\.example\/files\/digits\.onnx/m,
    );
    expect(frozen).not.toMatch(/run (it|this) again/i);
  });

  it('writes a page with all of it, and the networks', () => {
    const html = readFileSync(join(out, 'report.html'), 'utf8');
    for (const id of ['supply-chain', 'supply-practices', 'supply-readmes', 'supply-facts', 'data', 'training', 'provenance']) {
      expect(html).toContain(`<section id="${id}"`);
    }
    expect(html).toContain('A network swapped behind its address (quick check)');
    expect(readdirSync(out)).toEqual(
      expect.arrayContaining(['badnet.onnx', 'clean.onnx', 'poison.json', 'report.html', 'result.json', 'media.json']),
    );
  });
});
