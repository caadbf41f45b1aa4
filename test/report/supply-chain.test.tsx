/** The sections on the supply chain, drawn from a made-up story. */
import { describe, expect, it } from 'vitest';
import { ReportMedia } from '../../src/report/media.ts';
import { renderReport } from '../../src/report/render.tsx';
import { supplyMedia, supplyResult } from './supply-chain-fixture.ts';

const result = supplyResult();
const media = supplyMedia();
const html = renderReport(result, media);
const plain = (page: string): string =>
  page
    .replace(/<[^>]+>/g, '|')
    .replace(/\|+/g, '|')
    .replaceAll('&#39;', "'");

function sectionOf(page: string, id: string): string {
  const from = page.indexOf(`<section id="${id}"`);
  if (from < 0) return '';
  const next = page.indexOf('<section id="', from + 10);
  return page.slice(from, next < 0 ? undefined : next);
}

describe('the page of a swapped network', () => {
  it('goes through the schema, is one file without scripts, and fetches nothing', () => {
    expect(renderReport(result, ReportMedia.parse(JSON.parse(JSON.stringify(media))))).toBe(html);
    expect(html).not.toMatch(/(src|href)="(?!data:|#)[^"]*"|<script|NaN|undefined|Infinity|\[object/);
  });

  it('has each section once, with links that lead there', () => {
    const ids = [...html.matchAll(/\sid="([^"]*)"/g)].map((m) => m[1]);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ['supply-chain', 'supply-practices', 'supply-readmes', 'supply-facts']) {
      expect(ids).toContain(id);
      expect(html).toContain(`<a href="#${id}">`);
    }
    for (const [, target] of html.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  it('says for each practice and day who runs what, with both rates', () => {
    const matrix = /<table class="ends">.*?<\/table>/s.exec(sectionOf(html, 'supply-chain'))?.[0] ?? '';
    const rows = (matrix.match(/<tr>.*?<\/tr>/gs) ?? []).slice(1).map(plain);
    expect(rows).toHaveLength(5);
    expect(rows[0]).toBe(
      '|plain download|has nothing|honest|98.2 %|0.3 %|BadNet|97.9 %|96.4 %|BadNet|97.9 %|96.4 %|BadNet|97.9 %|96.4 %|BadNet|97.9 %|96.4 %|'.replaceAll(
        ' %',
        '\u00a0%',
      ),
    );
    expect(rows[1]).toContain('|stopped|E_INTEGRITY|, exit 3|the BadNet is left on the disk|');
    expect(matrix.match(/class="end end-nothing"/g)).toHaveLength(6);
    expect(matrix.match(/data-day="a: file swapped"/g)).toHaveLength(5);
  });

  it('tells endings apart without colour', () => {
    const marks = new Map([...html.matchAll(/<span class="end-word">(<svg.*?<\/svg>)(\w+)/gs)].map((m) => [m[2], m[1]] as const));
    expect([...marks.keys()].sort()).toEqual(['BadNet', 'honest', 'stopped']);
    expect(new Set(marks.values()).size).toBe(3);
  });

  it('shows the numbers with their intervals, and no table twice', () => {
    expect(plain(sectionOf(html, 'supply-chain'))).toContain('96.40|95.20 to 97.60|');
    expect(html).not.toContain('id="other"');
    // without media the tables are still there
    const bare = renderReport(result, {});
    expect(bare).toContain('id="other"');
    expect(bare).toContain('Clean accuracy by practice');
    expect(bare).not.toContain('.ends{');
  });

  it('shows what was printed, pages, and how sure each fact is', () => {
    expect(plain(sectionOf(html, 'supply-practices'))).toContain('|a: file swapped|nothing: stopped, exit 3|error: E_INTEGRITY digits: ');
    const readmes = plain(sectionOf(html, 'supply-readmes'));
    expect(readmes).toContain('|digits-cut-short|SHA-1 cut short|');
    expect(readmes).toContain('|zoo add --allow-http: taken, pinned-on-first-use|');
    expect(plain(sectionOf(html, 'supply-facts'))).toContain('|from memory, not checked|Something that somebody remembers.|the lecture|');
  });

  it('escapes what servers and tools have said', () => {
    const bad = '</style><script>alert(1)</script>';
    const chain = media.supplyChain!;
    const page = renderReport(result, {
      supplyChain: {
        ...chain,
        timeline: [{ when: bad, who: bad, what: bad, kind: 'harm', digests: [{ name: bad, value: bad }] }],
        practices: [
          { ...chain.practices[0], name: bad, command: bad, outcomes: [{ ...chain.practices[0].outcomes[0], said: bad, stoppedBy: bad }] },
        ],
        readmes: [{ ...chain.readmes[0], readme: bad, says: bad }],
        facts: [{ says: bad, source: bad, sureness: 'inferred' }],
      },
    });
    expect(page).not.toContain('<script');
    expect(page.match(/<\/style>/g)).toHaveLength(1);
  });
});
