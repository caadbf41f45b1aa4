/** Each chart against its golden file in output/; the files are the gallery too. `npx vitest run test/report -u` writes them anew. */
import { renderToString } from 'preact-render-to-string';
import { describe, expect, it } from 'vitest';
import { ChannelDumbbells, ChannelScatter, dumbbellRows, MAX_ROWS } from '../../src/report/charts/channel-charts.tsx';
import { DotIntervalChart } from '../../src/report/charts/dot-interval-chart.tsx';
import { LineChart } from '../../src/report/charts/line-chart.tsx';
import { CloseUp, TileGrid } from '../../src/report/charts/pixel-pictures.tsx';
import { bitmapOf, changeOf, closeUp, heatBitmap } from '../../src/report/pictures.ts';
import { fixtureMedia } from './fixture.ts';
import { goldenSvg } from './golden.ts';

const media = fixtureMedia();
const percent = (v: number): string => (v * 100).toFixed(0);
const text = (id: string): { id: string; title: string; description: string } => ({
  id,
  title: `Title of ${id}`,
  description: 'Invented.',
});

const fall = (middle: number) =>
  Array.from({ length: 33 }, (_, x) => {
    const y = 1 / (1 + Math.exp((x - middle) * 0.9));
    return { x, y, low: Math.max(0, y - 0.02), high: Math.min(1, y + 0.02) };
  });

const curve = (second: number) => (
  <LineChart
    {...text('curve')}
    series={[
      { label: 'clean accuracy', tone: 'clean', points: fall(29) },
      { label: 'attack success', tone: 'triggered', points: fall(second) },
    ]}
    stops={[{ x: 26, label: 'stop: 26 of 32 cut' }]}
    xTitle="channels cut"
    yTitle="rate, %"
    yFormat={percent}
    yDomain={[0, 1]}
  />
);

const fraction = (
  <LineChart
    {...text('fraction')}
    series={[
      {
        label: 'backdoor error',
        tone: 'triggered',
        points: [
          { x: 10, y: 0.021, low: 0.018, high: 0.024 },
          { x: 33, y: 0.012, low: 0.01, high: 0.014 },
          { x: 50, y: 0.006, low: 0.005, high: 0.008, paper: 0.0056 },
        ],
      },
    ]}
    references={[{ y: 0.005, label: 'honest model', tone: 'quiet' }]}
    xTicks={[10, 33, 50]}
    xTitle="poisoned share, %"
    yTitle="error, %"
    yFormat={(v) => (v * 100).toFixed(1)}
  />
);

const dots = (
  <DotIntervalChart
    {...text('dots')}
    rows={['none', 'fine-tune', 'fine-prune']}
    series={[
      {
        label: 'clean accuracy',
        tone: 'clean',
        values: [{ value: 0.991, low: 0.989, high: 0.993, paper: 0.978 }, undefined, { value: 0.5, low: 0.05, high: 1.2 }],
      },
      { label: 'attack success', tone: 'triggered', values: [{ value: 0.98 }, { value: 0.4, low: 0.3, high: 0.52 }, { value: 0.01 }] },
    ]}
    xTitle="rate, %"
    domain={[0, 1]}
    format={percent}
    valueFormat={(v) => (v * 100).toFixed(1)}
    separators={[2]}
  />
);

const { channels } = media.activations?.[0] ?? { channels: [] };
const sample = media.triggers?.[0].samples[0];
const filters = media.filters?.[1];

describe('golden charts', () => {
  it('pruning curve with its stop', () => expect(goldenSvg(curve(20))).toMatchFileSnapshot('output/line-curve.svg'));
  it('lines that lie on each other', () => expect(goldenSvg(curve(29.05))).toMatchFileSnapshot('output/line-coincident.svg'));
  it('few points with whiskers, reference and paper', () => expect(goldenSvg(fraction)).toMatchFileSnapshot('output/line-points.svg'));
  it('dots with intervals', () => expect(goldenSvg(dots)).toMatchFileSnapshot('output/dot-interval.svg'));
  it('dumbbells of channels', () =>
    expect(goldenSvg(<ChannelDumbbells {...text('dumbbells')} channels={channels} />)).toMatchFileSnapshot('output/channel-dumbbells.svg'));
  it('scatter of channels', () =>
    expect(goldenSvg(<ChannelScatter {...text('scatter')} channels={channels} />)).toMatchFileSnapshot('output/channel-scatter.svg'));

  it('close-up of a trigger', () => {
    if (!sample) throw new Error('the fixture has no sample');
    const change = changeOf(sample.clean, sample.triggered);
    if (!change) throw new Error('sizes differ');
    const chart = (
      <CloseUp {...text('close-up')} bitmap={bitmapOf(sample.triggered)} box={closeUp(sample.triggered, change)} outlined={change.pixels} />
    );
    return expect(goldenSvg(chart)).toMatchFileSnapshot('output/close-up.svg');
  });

  it('tiles of filters', () => {
    if (!filters) throw new Error('the fixture has no filters');
    const tiles = [0, 1, 2, 3, 4].map((k) => ({
      label: String(k),
      bitmap: heatBitmap(filters.weights.slice(k * 25, (k + 1) * 25), 5, 5, 0.6),
      marked: filters.dedicated.includes(k),
    }));
    return expect(goldenSvg(<TileGrid {...text('tiles')} tiles={tiles} columns={4} />)).toMatchFileSnapshot('output/tile-grid.svg');
  });
});

describe('what charts must hold to', () => {
  it('title and description are tied to the svg', () => {
    const svg = renderToString(curve(20));
    expect(svg).toContain('role="img" aria-labelledby="curve-title" aria-describedby="curve-desc"');
    expect(svg).toContain('<title id="curve-title">Title of curve</title><desc id="curve-desc">Invented.</desc>');
  });

  it('a series that finds no room beside its line is named in a key', () => {
    const same = (label: string) => ({ label, tone: 'clean' as const, points: fall(20) });
    const chart = (
      <LineChart {...text('same')} series={[same('first'), same('second')]} xTitle="" yTitle="" yFormat={percent} yDomain={[0, 1]} />
    );
    const svg = renderToString(chart);
    expect(svg.match(/>first</g)).toHaveLength(1);
    expect(svg.match(/>second</g)).toHaveLength(1);
  });

  it('intervals beyond the scale are drawn to its end, and every dot is named or keyed', () => {
    const svg = renderToString(dots);
    const xs = [...svg.matchAll(/class="whisker" d="M([\d.]+),[\d.]+H([\d.]+)/g)].flatMap((m) => [Number(m[1]), Number(m[2])]);
    expect(Math.max(...xs)).toBe(400);
    expect(svg).toContain('clean accuracy');
    expect(svg).toContain('attack success');
  });

  it('one point, no spread, zero values: no NaN in any coordinate', () => {
    const empty = (
      <LineChart
        {...text('one')}
        series={[{ label: 'one', tone: 'clean', points: [{ x: 5, y: 0 }] }]}
        xTitle=""
        yTitle=""
        yFormat={String}
      />
    );
    const flat = [{ channel: 0, clean: 0, triggered: 0, backdoor: false, dormant: true }];
    const all = [
      empty,
      <ChannelScatter key="s" {...text('s')} channels={flat} />,
      <ChannelDumbbells key="d" {...text('d')} channels={flat} />,
    ];
    for (const chart of all) expect(renderToString(chart)).not.toMatch(/NaN|Infinity/);
  });

  it('of a wide layer the channels that change most are drawn, in pruning order', () => {
    const wide = Array.from({ length: 512 }, (_, channel) => ({
      channel,
      clean: ((channel * 37) % 512) / 512,
      triggered: ((channel * 37) % 512) / 512 + (channel % 100 === 7 ? 2 : 0.001 * (channel % 3)),
      backdoor: channel % 100 === 7,
      dormant: false,
    }));
    const rows = dumbbellRows(wide);
    expect(rows).toHaveLength(MAX_ROWS);
    expect(wide.filter((c) => c.backdoor).every((c) => rows.includes(c))).toBe(true);
    expect(rows.every((c, i) => i === 0 || rows[i - 1].clean <= c.clean)).toBe(true);
  });
});
