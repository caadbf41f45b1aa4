/** What the case studies add to the page: claims, substitutes, Table 1, line charts, phases, variants, transfer, strength. */
import fc from 'fast-check';
import { renderToString } from 'preact-render-to-string';
import { describe, expect, it } from 'vitest';
import { type Cell, Result } from '../../src/evaluate/result.ts';
import { logTicks } from '../../src/report/charts/line-chart.tsx';
import { commonWords, placeStretches } from '../../src/report/charts/stretches.tsx';
import { type Claim, LineFigure, ReportMedia } from '../../src/report/media.ts';
import { renderReport } from '../../src/report/render.tsx';
import { countWords } from '../../src/report/sections/claims.tsx';
import { ChartFigure, chartGroups } from '../../src/report/sections/line-figures.tsx';
import { defenceColumn } from '../../src/report/sections/table-one.tsx';
import { attackTitle, columnParts } from '../../src/report/tables.ts';
import { headlineOf, verdictsOf } from '../../src/report/verdicts.ts';
import { fixtureResult } from './fixture.ts';
import { goldenText } from './golden.ts';
import { phasesMedia, studyMedia, studyResult } from './study-fixture.ts';

const result = studyResult();
const media = studyMedia();
const html = renderReport(result, media);
const phased = renderReport(fixtureResult(3), phasesMedia());

const plain = (page: string): string => page.replace(/<[^>]+>/g, '|').replace(/\|+/g, '|');
const chartNamed = (id: string): LineFigure => media.charts?.find((c) => c.id === id) as LineFigure;
/** The SVG of a chart of the fixture, without its figure. */
const drawn = (id: string): string => /<svg.*<\/svg>/s.exec(renderToString(<ChartFigure chart={chartNamed(id)} />))?.[0] ?? '';

/** One section of the page. */
function sectionOf(page: string, id: string): string {
  const from = page.indexOf(`<section id="${id}"`);
  if (from < 0) return '';
  const next = page.indexOf('<section id="', from + 10);
  return page.slice(from, next < 0 ? undefined : next);
}

describe('the page of a study', () => {
  it('goes through the schema and is one file without scripts', () => {
    expect(Result.parse(JSON.parse(JSON.stringify(result)))).toEqual(JSON.parse(JSON.stringify(result)));
    expect(renderReport(result, ReportMedia.parse(JSON.parse(JSON.stringify(media))))).toBe(html);
    expect(html).not.toMatch(/(src|href)="(?!data:|#)[^"]*"|<script|https?:|NaN|undefined|Infinity|\[object/);
  });

  it('opens with the headline, tiles, what holds, substitutes, table 1', () => {
    const order = ['class="headline"', 'class="tiles"', 'id="claims"', 'id="substitutes"', 'id="table-1"', 'id="data"', 'id="pruning"'];
    const places = order.map((what) => html.indexOf(what));
    expect(places.every((p) => p > 0)).toBe(true);
    expect([...places].sort((a, b) => a - b)).toEqual(places);
  });

  it('has unique ids, links that lead somewhere, and a name for each chart', () => {
    for (const page of [html, phased]) {
      const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map((m) => m[1]);
      expect(new Set(ids).size).toBe(ids.length);
      for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
      for (const svg of page.match(/<svg class="chart".*?<desc/gs) ?? []) expect(svg).toMatch(/<title[^>]*>[^<]+<\/title>/);
    }
  });

  it('escapes what others have named', () => {
    const bad = '</style><script>alert(1)</script>';
    const page = renderReport(result, {
      claims: [{ claim: bad, source: bad, verdict: 'holds', says: bad, parts: [{ name: bad, verdict: 'holds' }] }],
      substitutes: [bad],
      charts: [
        {
          ...chartNamed('strength'),
          title: bad,
          group: bad,
          caption: bad,
          xTitle: bad,
          stops: [{ x: 10, label: bad }],
          bands: [{ from: 1, to: 10, label: bad }],
        },
      ],
    });
    expect(page).not.toContain('<script');
    expect(page.match(/<\/style>/g)).toHaveLength(1);
  });
});

describe('what holds', () => {
  it('says verdict, statement, numbers and source in words, network by network', () => {
    const section = plain(sectionOf(html, 'claims'));
    for (const c of media.claims ?? [])
      for (const text of [c.verdict, c.claim, c.source.replaceAll('"', '&quot;'), c.says]) expect(section).toContain(`|${text}|`);
    expect(section).toContain('|face: |does not hold|speech: |holds|signs: |holds in part|');
    expect(section).toContain('Of 4 claims 1 holds, 1 holds in part, 1 does not hold and 1 was not tested.');
  });

  it('counts claims', () => {
    const claim = (verdict: Claim['verdict']): Claim => ({ claim: '', source: '', verdict, says: '' });
    expect(countWords([claim('holds'), claim('holds'), claim('not tested'), claim('not tested')])).toBe(
      'Of 4 claims 2 hold and 2 were not tested.',
    );
    expect(countWords([claim('does not hold')])).toBe('The one claim does not hold.');
    expect(countWords(['holds in part', 'holds in part', 'does not hold', 'does not hold'].map((v) => claim(v as Claim['verdict'])))).toBe(
      'Of 4 claims 2 hold in part and 2 do not hold.',
    );
  });

  it('sets our own controls apart and counts them nowhere', () => {
    const [first, ...others] = media.claims ?? [];
    const own: Claim = { claim: 'An honest network stays honest.', source: 'our control', verdict: 'holds', says: 'It does.', own: true };
    const page = renderReport(result, { ...media, claims: [first, own, ...others] });
    const section = plain(sectionOf(page, 'claims'));
    const counted = 'Of 4 claims 1 holds, 1 holds in part, 1 does not hold and 1 was not tested.';
    expect(section).toContain(counted);
    expect(page.match(/<p class="headline">.*?<\/p>/)?.[0]).toContain(counted);
    const [claims, controls] = section.split('|Our own controls|');
    for (const c of media.claims ?? []) expect(claims).toContain(`|${c.claim}|`);
    expect(claims).not.toContain(own.claim);
    expect(controls).toContain(`|${own.claim}|`);
    expect(plain(sectionOf(html, 'claims'))).not.toContain('Our own controls');
    // nothing but controls: no count of nothing
    const alone = renderReport(result, { ...media, claims: [own] });
    expect(plain(sectionOf(alone, 'claims'))).toContain('|Our own controls|');
    expect(alone).not.toMatch(/Of 0 claims|The one claim/);
    expect(countWords([own])).toBe('');
  });

  it('names substitutes in the head and in a box', () => {
    expect(html).toMatch(/Not the papers' own data and networks:<\/strong> <a href="#substitutes">3 substitutes are named below<\/a>/);
    const section = plain(sectionOf(html, 'substitutes'));
    for (const text of media.substitutes ?? []) expect(section).toContain(`|${text}|`);
    const none = renderReport(result, { ...media, substitutes: [] });
    expect(none).not.toContain('#substitutes');
    expect(none).not.toContain('<section id="substitutes"');
  });
});

describe('table 1', () => {
  const section = plain(sectionOf(html, 'table-1'));

  it('has every value with interval and paper, as percent with one decimal', () => {
    const table = result.tables[0];
    const text = (v: number): string => (v * 100).toFixed(1);
    expect(table.cells).toHaveLength(36);
    for (const c of table.cells) {
      expect(section).toContain(`|${text(c.value)}|${text(c.low ?? 0)} to ${text(c.high ?? 0)}|paper ${text(c.paper ?? 0)}|`);
    }
  });

  it('has a matrix an attack, networks as groups of rows with their n, notes below', () => {
    expect(section).toContain('|Baseline attack (BadNet)|%|none|fine-tune|fine-prune|Face|n = 2\u202f525|clean accuracy|');
    expect(section).toContain('|Pruning-aware attack|%|none|');
    expect(section).toContain('|Signs|n = 63\u202f150|clean accuracy|');
    for (const note of result.tables[0].notes ?? []) expect(section).toContain(note);
    expect(sectionOf(html, 'other')).not.toContain('Table 1');
  });

  it('has n metric by metric where fewer inputs can carry the trigger, or fewer seeds have a column', () => {
    const counted = (n: (c: Cell) => number): string => {
      const [table, ...others] = result.tables;
      const tables = [{ ...table, cells: table.cells.map((c) => ({ ...c, n: n(c) })) }, ...others];
      return plain(sectionOf(renderReport({ ...result, tables }, media), 'table-1'));
    };
    const few = counted((c) => (c.row.endsWith('attack success') ? 2200 : 2500));
    expect(few).toContain('|Face|n = 2\u202f500 (clean accuracy), 2\u202f200 (attack success)|');
    const control = counted((c) => (c.column.endsWith('fine-tune') ? 1000 : 2500));
    expect(control).toContain('|Face|n = 1\u202f000 to 2\u202f500|');
    expect(counted(() => 7)).toContain('n = 7 in every cell.');
  });

  it('takes names of columns apart', () => {
    expect(defenceColumn('pruning-aware fine-prune')).toMatchObject({ attack: 'pruning-aware', defence: 'fine-prune' });
    expect(defenceColumn('baseline from scratch')).toMatchObject({ attack: 'baseline', defence: 'from scratch' });
    expect(defenceColumn('prune')).toMatchObject({ attack: '', defence: 'prune' });
    expect(defenceColumn('baseline nad')).toMatchObject({ attack: 'baseline', defence: 'nad' });
  });
});

describe('line charts', () => {
  it('golden: strength over a logarithmic k with the paper beside', () =>
    expect(goldenText(drawn('strength'))).toMatchFileSnapshot('output/line-log.svg'));
  it('golden: pruning by share with phases', () =>
    expect(goldenText(drawn('pruning-face-baseline'))).toMatchFileSnapshot('output/line-phases.svg'));
  it('golden: four lines told apart by shapes', () =>
    expect(goldenText(drawn('relearn-face'))).toMatchFileSnapshot('output/line-shapes.svg'));

  it('have all their points in a table, or in one beside them', () => {
    const rows = plain(sectionOf(html, 're-learning'));
    for (const s of chartNamed('relearn-face').series) {
      for (const p of s.points) expect(rows).toContain(`|${(p.y * 100).toFixed(2)}|${((p.low ?? 0) * 100).toFixed(2)} to `);
    }
    // the table of the same name has these numbers
    expect(sectionOf(html, 'strength')).not.toContain('Numbers of the chart');
    expect(sectionOf(html, 'strength')).toContain('Numbers: strength');
  });

  it('say in words where lines begin and end and what is marked', () => {
    const svg = renderToString(<ChartFigure chart={chartNamed('pruning-face-baseline')} />);
    expect(svg).toContain('attack success: from 97.0\u00a0% at 0 to 2.0\u00a0% at 100.');
    expect(svg).toContain(
      'Marked: used by neither from 0 to 55, used by the backdoor from 55 to 78, used by clean inputs from 78 to 100 and stop: 73 % at 73.3.',
    );
  });

  it('stand in a section of their group, with the table of that name', () => {
    const groups = chartGroups({ result, media });
    expect(groups.map((g) => [g.id, g.title, g.tables.map((t) => t.name)])).toEqual([
      ['curves-1', 'dead-channel check', ['dead-channel check']],
    ]);
    expect(sectionOf(html, 'curves-1')).toContain('authors');
    expect(html).toContain('<a href="#curves-1">Dead-channel check</a>');
    expect(html).not.toContain('<section id="other"');
  });

  it('name every line, also where there is no room', () => {
    for (const c of media.charts ?? []) {
      const svg = renderToString(<ChartFigure chart={c} />);
      for (const s of c.series) expect(svg, `${c.id}, ${s.label}`).toContain(`>${s.label}</text>`);
    }
  });

  it('begin below 0 for negative differences of rates', () => {
    const points = [1, 10].map((x) => ({ x, y: x === 1 ? -0.05 : 0.3 }));
    const chart: LineFigure = { ...chartNamed('strength'), series: [{ label: 'harm', tone: 'triggered', points }], references: [] };
    const svg = renderToString(<ChartFigure chart={chart} />);
    expect(svg).toContain('>\u221220</text>');
    expect(svg).toContain('harm: from \u22125.0\u00a0% at 1 to 30.0\u00a0% at 10.');
  });

  it('any points: no NaN in any coordinate', () => {
    const point = fc.record({ x: fc.double({ min: 0, max: 1e6, noNaN: true }), y: fc.double({ min: 0, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 20 }), fc.boolean(), (points, log) => {
        const chart: LineFigure = {
          ...chartNamed('strength'),
          xScale: log ? 'log' : 'linear',
          stops: [],
          series: [{ label: 'any', tone: 'other', points }],
          bands: [{ from: 1, to: 2, label: 'a' }],
        };
        expect(renderToString(<ChartFigure chart={chart} />)).not.toMatch(/NaN|Infinity/);
      }),
      { numRuns: 30 },
    );
  });

  it('refuse what cannot be drawn', () => {
    const zero = { ...chartNamed('strength'), series: [{ label: 'a', tone: 'clean', points: [{ x: 0, y: 1 }] }] };
    expect(LineFigure.safeParse(zero).error?.issues[0].message).toBe('every x above 0 where xScale is log');
    expect(LineFigure.safeParse({ ...zero, xScale: 'linear' }).success).toBe(true);
    expect(LineFigure.safeParse({ ...zero, id: 'A b' }).error?.issues[0].message).toBe('small letters, digits and hyphens');
    const twice = { charts: [chartNamed('strength'), chartNamed('strength')] };
    expect(ReportMedia.safeParse(twice).error?.issues[0].message).toBe('each chart with an id of its own');
  });

  it('ticks of a logarithmic axis', () => {
    expect(logTicks(1, 100)).toEqual([1, 2, 5, 10, 20, 50, 100]);
    expect(logTicks(0.01, 100)).toEqual([0.01, 0.1, 1, 10, 100]);
    expect(logTicks(3, 4)).toEqual([3, 4]);
  });
});

describe('phases', () => {
  it('are bands in the pruning curve and words below it', () => {
    const section = sectionOf(phased, 'pruning');
    expect(section.match(/class="stretch-name"/g)?.length).toBe(4 + 3);
    expect(plain(section)).toContain(
      'Phases, in channels cut: used by neither 0 to 17, used by the backdoor 17 to 24 and used by clean inputs 24 to 32. Told apart by the first lasting fall of attack success and of clean accuracy.',
    );
  });

  it('a phase of no width is said, not drawn', () => {
    const phases = [{ attack: 'baseline', phases: [{ name: 'backdoor', from: 5, to: 5 }] }];
    const page = renderReport(fixtureResult(3), { ...phasesMedia(), phases });
    expect(page).toContain('Phases, in channels cut: backdoor nowhere.');
    expect(page).not.toContain('class="stretch-name"');
  });

  it('names begin with words of their own', () => {
    expect(commonWords(['used by neither', 'used by the backdoor', 'used by clean inputs'])).toBe('used by');
    expect(commonWords(['used', 'used by all'])).toBe('');
    expect(commonWords(['neither', 'backdoor'])).toBe('');
    expect(commonWords(['one'])).toBe('');
  });

  it('names cover neither each other nor the edges', () => {
    const plot = { left: 46, right: 406, top: 32, bottom: 244 };
    const cuts = fc.uniqueArray(fc.integer({ min: 47, max: 405 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(cuts, fc.integer({ min: 1, max: 16 }), (inner, length) => {
        const ends = [46, ...inner.sort((a, b) => a - b), 406];
        const areas = ends.slice(1).map((to, i) => ({ from: ends[i], to, label: String.fromCharCode(97 + i).repeat(length) }));
        const { names } = placeStretches(areas, plot);
        expect(names).toHaveLength(areas.length);
        const boxes = names.map((n) => ({ y: n.y, from: n.x - (length * 12 * 0.61) / 2, to: n.x + (length * 12 * 0.61) / 2 }));
        for (const [i, a] of boxes.entries()) {
          expect(a.from).toBeGreaterThanOrEqual(0);
          expect(a.to).toBeLessThanOrEqual(420);
          for (const b of boxes.slice(i + 1)) expect(a.y !== b.y || a.to <= b.from + 1e-9 || b.to <= a.from + 1e-9).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('dots of a table', () => {
  it('has rates below 0 where they are, left of a line at 0', () => {
    const left = [-0.2, 0, -0.1, 0.3, 0.5, 0.9];
    const tables = result.tables.map((t) => {
      const names = [...new Set(t.cells.map((c) => c.row))];
      const drop = (c: Cell): number => left[names.indexOf(c.row)];
      const cells = t.cells.map((c) =>
        t.name === 'variants' && c.column === 'face attack success'
          ? { ...c, value: drop(c), low: drop(c) - 0.05, high: drop(c) + 0.05 }
          : c,
      );
      return { ...t, cells };
    });
    const figure = (page: string): string => /<svg.*?<\/svg>/s.exec(sectionOf(page, 'variants'))?.[0] ?? '';
    const svg = figure(renderReport({ ...result, tables }, media));
    const dots = [...svg.matchAll(/class="dot" cx="([\d.]+)"/g)].map((m) => Number(m[1])).slice(-left.length);
    const order = [...left.keys()].sort((a, b) => left[a] - left[b]);
    for (const [i, at] of order.slice(1).entries()) expect(dots[at]).toBeGreaterThan(dots[order[i]] + 5);
    const zero = /<line class="axis" x1="([\d.]+)" x2="\1"/;
    expect(Number(zero.exec(svg)?.[1])).toBeCloseTo(dots[1], 1);
    expect(figure(html)).not.toMatch(zero);
  });
});

it('a pruning curve goes below 0 where the trigger helps', () => {
  const run = fixtureResult(3);
  const tables = run.tables.map((t) => {
    if (t.name !== 'pruning curve') return t;
    const column = t.cells.find((c) => c.column.endsWith('attack success'))?.column;
    return { ...t, cells: t.cells.map((c) => (c.column === column ? { ...c, value: -0.15, low: -0.2, high: -0.1 } : c)) };
  });
  expect(plain(sectionOf(renderReport({ ...run, tables }, phasesMedia()), 'pruning'))).toMatch(/\|\u2212?-?20\|0\|/);
  expect(plain(sectionOf(phased, 'pruning'))).not.toMatch(/\|\u2212?-?20\|0\|/);
});

describe('headline and tiles of several networks', () => {
  it('of table 1: what fine-pruning leaves of each attack in each network', () => {
    const tiles = verdictsOf(result, {});
    expect(tiles.map((v) => [v.label, v.tone, v.says])).toEqual([
      ['Face, baseline attack: success after fine-pruning', 'good', 'gone (was 100.0\u00a0%)'],
      ['Speech, baseline attack: success after fine-pruning', 'good', 'gone (was 71.8\u00a0%)'],
      ['Signs, baseline attack: success after fine-pruning', 'neutral', 'weakened (was 99.7\u00a0%)'],
      ['Face, pruning-aware attack: success after fine-pruning', 'good', 'gone (was 99.7\u00a0%)'],
      ['Speech, pruning-aware attack: success after fine-pruning', 'good', 'gone (was 74.1\u00a0%)'],
      ['Signs, pruning-aware attack: success after fine-pruning', 'neutral', 'weakened (was 94.6\u00a0%)'],
    ]);
    expect(tiles[2]).toMatchObject({ paper: 0.288, n: 63_150, seeds: 5 });
    expect(headlineOf(result, media)).toBe(
      'Fine-pruning takes success of the baseline attack from 100.0 to 1.1\u00a0% (face), 71.8 to 2.9\u00a0% (speech) and 99.7 to 24.1\u00a0% (signs); ' +
        'success of the pruning-aware attack from 99.7 to 0.0\u00a0% (face), 74.1 to 0.0\u00a0% (speech) and 94.6 to 32.5\u00a0% (signs); ' +
        'clean accuracy changes by \u22121.8 to +7.5 points. Of 4 claims 1 holds, 1 holds in part, 1 does not hold and 1 was not tested.',
    );
  });

  it('an attack that had failed before is no success of the defence', () => {
    const cells = result.tables[0].cells.map((c) => (c.row === 'face attack success' ? { ...c, value: 0.04 } : c));
    const [face] = verdictsOf({ ...result, tables: [{ ...result.tables[0], cells }] }, {});
    expect(face).toMatchObject({ tone: 'neutral', says: 'was 4.0\u00a0%: the attack had failed' });
  });

  it('of transfer and strength: what the trigger costs', () => {
    const tables = result.tables.filter((t) => t.name !== 'table 1');
    expect(verdictsOf({ ...result, tables }, {}).map((v) => [v.label, v.tone, v.says])).toEqual([
      ['Clean network, retrained by its user: accuracy on triggered images', 'good', '1.3 points under its 78.7\u00a0% on clean images'],
      ['BadNet, retrained by its user: accuracy on triggered images', 'bad', '14.2 points under its 80.1\u00a0% on clean images'],
      ['Strength 100: accuracy on triggered images', 'bad', '67.0\u00a0% on clean images'],
    ]);
    expect(headlineOf({ ...result, tables }, {})).toBe(
      "After the user's retraining the trigger takes the accuracy of the clean network from 78.7 to 77.4\u00a0% and the BadNet from 80.1 to 65.9\u00a0%. " +
        'From strength 1 to 100 accuracy on triggered images goes from 73.6 to 33.8\u00a0%, on clean images from 84.9 to 67.0\u00a0%.',
    );
  });

  it('of variants: the range that they leave', () => {
    const tables = result.tables.filter((t) => t.name === 'variants');
    expect(verdictsOf({ ...result, tables }, {}).map((v) => [v.label, v.tone, v.says])).toEqual([
      ['Face: success left by the worst variant (backdoor-toolbox (no fine-tuning))', 'bad', '0.0\u00a0% by the best (paper)'],
      ['Speech: success left by the worst variant (BackdoorBox)', 'bad', '3.5\u00a0% by the best (paper)'],
      ['Signs: success left by the worst variant (backdoor-toolbox (no fine-tuning))', 'bad', "29.5\u00a0% by the best (authors' scripts)"],
    ]);
    expect(headlineOf({ ...result, tables }, {})).toBe(
      'By the variant of fine-pruning, attack success is left at 0.0 to 62.3\u00a0% (face), 3.5 to 64.7\u00a0% (speech) and 29.5 to 81.9\u00a0% (signs).',
    );
  });

  it('of pruning curves alone: what is left where pruning stops', () => {
    const charts = media.charts?.slice(0, 2);
    const tiles = verdictsOf({ ...result, tables: [] }, { charts });
    expect(tiles.map((v) => [v.label, v.says])).toEqual([
      ['Face, baseline attack: success where pruning stops', 'weakened (was 97.0\u00a0%)'],
      ['Face, pruning-aware attack: success where pruning stops', 'still there (was 97.0\u00a0%)'],
    ]);
    expect(headlineOf({ ...result, tables: [] }, { charts })).toMatch(/^Pruning alone takes attack success from 97\.0 to 10\.\d/);
  });

  it('subjects with a network in front', () => {
    expect(attackTitle('face baseline')).toBe('Face: baseline attack');
    expect(attackTitle('signs pruning-aware')).toBe('Signs: pruning-aware attack');
    expect(attackTitle('baseline')).toBe('Baseline attack (BadNet)');
    expect(columnParts('BadNet triggered accuracy')).toEqual({ subject: 'BadNet', metric: 'triggered accuracy' });
  });
});

describe('sections without charts of the recipe', () => {
  it('draw the tables of strength and re-learning themselves', () => {
    const cells = [0, 20, 40].map((x) => ({ row: String(x), column: 'BadNet attack success', value: x / 50 }));
    const tables = [...result.tables.filter((t) => t.name === 'strength'), { name: 're-learning', unit: 'rate' as const, cells }];
    const page = renderReport({ ...result, tables }, {});
    expect(sectionOf(page, 'strength')).toContain('Accuracy by strength k</title>');
    expect(sectionOf(page, 're-learning')).toContain('BadNet attack success: from 0.0\u00a0% at 0 to 80.0\u00a0% at 40.');
  });

  it('curves of several networks stand in the section of pruning, shut', () => {
    const [curve] = fixtureResult(3).tables.filter((t) => t.name === 'pruning curve');
    const tables = [{ ...curve, name: 'pruning curve: face' }];
    const page = renderReport({ ...result, tables }, { charts: media.charts?.slice(0, 1) });
    expect(sectionOf(page, 'pruning')).toContain('<details><summary>Numbers of the pruning curve: face, 33 steps</summary>');
    expect(page).not.toContain('<section id="other"');
  });
});
