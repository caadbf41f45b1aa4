/** The page as a whole. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Result } from '../../src/evaluate/result.ts';
import { cellFormat, significant } from '../../src/report/format.ts';
import { ReportMedia } from '../../src/report/media.ts';
import { renderReport } from '../../src/report/render.tsx';
import { headlineOf, verdictsOf } from '../../src/report/verdicts.ts';
import { fixtureMedia, fixtureResult } from './fixture.ts';

const result = fixtureResult(3);
const media = fixtureMedia();
const html = renderReport(result, media);

/** Texts of all cells of all tables on the page. */
function cellTexts(page: string): string[] {
  return [...page.matchAll(/<td[^>]*>(.*?)<\/td>/gs)].map((m) => m[1].replace(/<[^>]+>/g, '|'));
}

const idsOf = (page: string): string[] => [...page.matchAll(/\sid="([^"]*)"/g)].map((m) => m[1]);

describe('one file', () => {
  it('fetches nothing and runs nothing', () => {
    expect(html).not.toMatch(/(src|href)="(?!data:|#)[^"]*"/);
    expect(html).not.toMatch(/url\(|@import|<script|<link|<iframe|javascript:|\son[a-z]+=/i);
    expect(html).not.toMatch(/https?:/);
  });

  it('is a whole document with language, title, both colour schemes and a print style', () => {
    expect(html).toMatch(/^<!doctype html>\n<html lang="en"><head><meta charset="utf-8"/);
    expect(html).toContain('<title>BadNets on MNIST, planted and cured</title>');
    expect(html).toContain('prefers-color-scheme:dark');
    expect(html).toContain('@media print');
    expect(html).not.toMatch(/NaN|undefined|\[object/);
  });

  it('is the same text for the same input, also after a way through JSON', () => {
    expect(renderReport(result, media)).toBe(html);
    const again = Result.parse(JSON.parse(JSON.stringify(result)));
    const mediaAgain = ReportMedia.parse(JSON.parse(JSON.stringify(media)));
    expect(renderReport(again, mediaAgain)).toBe(html);
  });

  it('stays small enough to be mailed', () => expect(html.length).toBeLessThan(1_000_000));
});

describe('every chart', () => {
  it('has title, description and unique ids', () => {
    const svgs = html.match(/<svg class="chart".*?<desc/gs) ?? [];
    expect(svgs).toHaveLength(3 + 2 + 3 + 2 + 3 + 2 + 2 + 1 + 2 + 2);
    for (const svg of svgs) expect(svg).toMatch(/role="img" aria-labelledby="[^"]+" aria-describedby="[^"]+"><title[^>]*>[^<]+<\/title>/);
    const ids = idsOf(html);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(result.tables.map((t) => [t.name, t] as const))('has its numbers in a table: %s', (_, table) => {
    const texts = cellTexts(html);
    const format = cellFormat(table.unit, table.cells);
    for (const c of table.cells) {
      const parts = [format.value(c.value), `${format.value(c.low ?? 0)} to ${format.value(c.high ?? 0)}`];
      if (c.paper !== undefined) parts.push(`paper ${format.value(c.paper)}`);
      expect(
        texts.some((t) => parts.every((p) => t.includes(`|${p}|`))),
        `${c.row}, ${c.column}`,
      ).toBe(true);
    }
  });

  it('has its numbers in a table: activations, maps, filters, training', () => {
    const texts = new Set(cellTexts(html));
    for (const c of media.activations?.[0].channels ?? []) {
      for (const v of [c.clean, c.triggered, c.triggered - c.clean]) expect(texts.has(significant(v))).toBe(true);
    }
    const maps = media.maps?.[0];
    for (let i = 0; maps && i < maps.channels.length; i++) {
      expect(texts.has(significant(Math.max(...maps.triggered.slice(i * 64, (i + 1) * 64))))).toBe(true);
    }
    for (const w of media.filters?.[0].weights ?? []) expect(texts.has(significant(w, 2))).toBe(true);
    for (const p of media.histories?.[0].points ?? []) expect(texts.has((p.values['clean accuracy'] * 100).toFixed(2))).toBe(true);
  });

  it('marks where pruning stopped, with the values there', () => {
    expect(html).toContain('stop: 26 of 32 cut');
    expect(html).toContain('within 4 points');
    expect(html).toContain('3 of 3 backdoor neurons were among those cut.');
  });

  it('images say what they show', () => {
    const images = html.match(/<img [^>]*>/g) ?? [];
    expect(images).toHaveLength(2 * 5 * 3);
    for (const image of images) expect(image).toMatch(/alt="(Clean|Triggered) image of class \d"|alt="Difference: [14] pixels? changed"/);
  });
});

describe('words', () => {
  it('names seeds, intervals and n', () => {
    expect(html).toContain('3 seeds (1, 2 and 3); values are means over them');
    expect(html).toContain("3 seeds, mean and 95 % interval over seeds (Student's\u00a0t)");
    expect(html).toContain('n = 30\u202f000 in every cell.');
    const one = renderReport(fixtureResult(1), media);
    expect(one).toContain('One seed (1): intervals cover the choice of test images, not the luck of training.');
    expect(one).toContain('One seed, 95 % interval.');
    expect(one).not.toContain("Student's");
    expect(one).toContain('n = 980');
  });

  it('labels the paper, and only where there is a number of it', () => {
    expect(html).toContain('paper 0.48');
    expect(html).toContain("the paper's number");
    const own = { ...result, tables: result.tables.filter((t) => t.name === 'defences') };
    expect(renderReport(own, {})).not.toContain("the paper's number</span>");
  });

  it('shows notes of shut and of open tables', () => {
    for (const note of result.tables.flatMap((t) => t.notes ?? [])) {
      expect(html).toContain(`<li>${note}</li>`);
      const shut = html.match(/<details><summary>.*?<\/details>/gs) ?? [];
      expect(shut.some((d) => d.includes(note))).toBe(false);
    }
  });

  it('says command, seeds, versions, hashes, machine, time and memory', () => {
    const p = result.provenance;
    const steps = p.steps.map((s) => s.name);
    for (const text of [p.command, p.machine, p.started, ...Object.keys(p.versions), ...Object.values(p.inputs), ...steps])
      expect(html).toContain(text);
    expect(html).toContain('10\u00a0min 12\u00a0s');
    expect(html).toContain('Together 18\u00a0min 23\u00a0s; largest 475\u00a0MiB.');
  });

  it('reads headline and tiles from the tables', () => {
    expect(headlineOf(result, {})).toBe(
      'Fine-pruning takes attack success from 99.38 to 1.13 % (baseline attack) and from 98.71 to 1.64 % (pruning-aware attack); clean accuracy changes by \u22120.11 and \u22120.04 points.',
    );
    expect(verdictsOf(result, {}).map((v) => [v.label, v.tone, v.says])).toEqual([
      ['Pattern BadNet: error on clean images', 'bad', '0.11 points over an honest model'],
      ['Baseline attack: success without a defence', 'bad', 'the backdoor works'],
      ['Baseline attack: success after fine-pruning', 'good', 'the backdoor is gone'],
      ['Pruning-aware attack: success without a defence', 'bad', 'the backdoor works'],
      ['Pruning-aware attack: success after fine-pruning', 'good', 'the backdoor is gone'],
      ['Honest model: accuracy after fine-pruning', 'good', '0.10 points lost'],
    ]);
    expect(headlineOf(result, { headline: 'Mine.' })).toBe('Mine.');
    expect(headlineOf({ ...result, tables: [] }, {})).toBe('This run has written no tables.');
  });

  it('does not call a defence good that leaves the backdoor, nor an attack that fails a threat', () => {
    const cell = (row: string, value: number) => ({ row, column: 'attack success', value });
    const table = { name: 'defences', unit: 'rate' as const, cells: [cell('none', 0.2), cell('fine-prune', 0.8)] };
    const tiles = verdictsOf({ ...result, tables: [table] }, {});
    expect(tiles.map((v) => [v.tone, v.says])).toEqual([
      ['good', 'the attack fails'],
      ['bad', 'the backdoor is still there'],
    ]);
  });
});

describe('input that differs', () => {
  it('escapes what others have named', () => {
    const bad = '</title></style><script>alert(1)</script><img src=x onerror="alert(1)">';
    const cells = [{ row: bad, column: bad, value: 0.5, n: 10, low: 0.2, high: 0.8 }];
    const tables = [
      ...result.tables.map((t) => ({ ...t, notes: [bad], cells: t.cells.concat(cells) })),
      { name: bad, unit: 'count' as const, cells },
    ];
    const provenance = { ...result.provenance, command: bad, machine: bad, versions: { [bad]: bad }, inputs: { [bad]: bad } };
    const page = renderReport(
      { recipe: bad, tables, provenance },
      {
        ...media,
        title: bad,
        headline: bad,
        triggers: media.triggers?.map((t) => ({ ...t, name: bad, caption: bad })),
        filters: media.filters?.map((f) => ({ ...f, layer: bad })),
        captions: { data: [bad], pruning: [bad] },
        stops: [{ attack: 'baseline', cut: 26, of: 32, layer: bad }],
      },
    );
    expect(page).not.toMatch(/<script|<img src=x/);
    expect(page.match(/<\/title>/g)?.length).toBe(page.match(/<title/g)?.length);
    expect(page.match(/<\/style>/g)).toHaveLength(1);
    expect(page).toContain('&lt;script>alert(1)');
  });

  it('leaves out what is not there; links lead to sections that are', () => {
    const keys = ['data', 'triggers', 'filters', 'activations', 'maps', 'stops', 'histories'] as const;
    fc.assert(
      fc.property(fc.subarray(result.tables), fc.subarray([...keys]), (tables, kept) => {
        const part = Object.fromEntries(kept.map((k) => [k, media[k]])) as ReportMedia;
        const page = renderReport({ ...result, tables }, part);
        const ids = idsOf(page);
        for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
        for (const id of [
          'data',
          'per-class',
          'fraction',
          'filters',
          'neurons',
          'pruning',
          'defences',
          'control',
          'training',
          'provenance',
        ]) {
          expect(page.includes(`href="#${id}"`)).toBe(page.includes(`<section id="${id}"`));
        }
        expect(page).not.toMatch(/NaN|Infinity|undefined/);
      }),
      { numRuns: 12 },
    );
  });

  it('draws a table it does not know as a table', () => {
    const cells = [
      { row: 'conv1', column: 'time', value: 0.25 },
      { row: 'conv2', column: 'time', value: 75.5, low: 70, high: 80, seeds: 3 },
    ];
    const page = renderReport({ ...result, tables: [{ name: 'time of layers', unit: 'seconds', cells, notes: ['Measured once.'] }] }, {});
    expect(page).toContain('Time of layers');
    expect(cellTexts(page)).toEqual(
      expect.arrayContaining(['|0.25\u00a0s|', '|1\u00a0min 16\u00a0s||1\u00a0min 10\u00a0s to 1\u00a0min 20\u00a0s|']),
    );
    expect(page).toContain('Measured once.');
    expect(page).toContain('1 to 3 seeds, 95 % intervals.');
  });

  it('a number without seeds is labelled by the run: one seed, or none', () => {
    const cells = [{ row: 'a', column: 'b', value: 0.25, n: 100, low: 0.2, high: 0.3 }];
    const tables = [{ name: 'own', unit: 'rate' as const, cells }];
    const page = (seeds: number[]): string => renderReport({ ...result, tables, provenance: { ...result.provenance, seeds } }, {});
    expect(page([7])).toContain('Own. n = 100 in every cell. One seed, 95 % interval.');
    expect(page([7])).toContain('One seed (7)');
    expect(page([])).toContain('Own. n = 100 in every cell. 95 % interval.');
    expect(page([]).toLowerCase()).not.toContain('one seed');
  });

  it('a defender who knows of no attack gets a curve without talk of one', () => {
    const cells = Array.from({ length: 20 }, (_, i) => ({ row: String(i), column: 'validation accuracy', value: 1 - i / 40, n: 500 }));
    const tables = [{ name: 'pruning curve', unit: 'rate' as const, cells }];
    const stops = [{ attack: 'validation', cut: 3, of: 19, layer: 'conv2', threshold: 0.05 }];
    const page = renderReport({ ...result, tables }, { stops });
    expect(page).toContain('stop: 3 of 19 cut');
    expect(page).toContain('<h3>The model</h3>');
    expect(page).not.toMatch(/Attack success is/);
    expect(page).toContain('within 5 points');
  });

  it('an empty run still has its provenance', () => {
    const page = renderReport({ ...result, recipe: 'demo', tables: [] }, {});
    expect(page).toContain('Backdoors in a neural network: demo');
    expect(page).toContain(result.provenance.command);
    expect(page).not.toContain('class="tiles"');
  });

  it('rows without numbers make no curve but keep their table', () => {
    const cells = [{ row: 'some', column: 'baseline clean accuracy', value: 0.9 }];
    const page = renderReport({ ...result, tables: [{ name: 'pruning curve', unit: 'rate', cells }] }, {});
    expect(page).not.toContain('<svg class="chart"');
    expect(cellTexts(page)).toContain('|90.00|');
  });
});
