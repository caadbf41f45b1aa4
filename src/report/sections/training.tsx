/** How the models were trained: accuracy and loss by epoch. */
import type { JSX } from 'preact';
import { LineChart, type LineSeries } from '../charts/line-chart.tsx';
import { cellFormat, fixed, sentence, significant } from '../format.ts';
import type { History } from '../media.ts';
import { Figure, Numbers, Panels, PlainTable, Section } from '../parts.tsx';
import { toneOf } from '../theme.ts';
import type { SectionProps } from './context.ts';

export function TrainingSection({ media }: SectionProps): JSX.Element | null {
  const histories = (media.histories ?? []).filter((h) => h.points.length > 0);
  if (histories.length === 0) return null;
  return (
    <Section id="training" title="Training" captions={media.captions?.training} lead="One point an epoch.">
      <Panels>
        {histories.map((h, i) => (
          <Training key={h.model} history={h} id={`training-${i}`} />
        ))}
      </Panels>
      <Numbers summary="Numbers of the training">
        {histories.map((h) => (
          <TrainingTable key={h.model} history={h} />
        ))}
      </Numbers>
    </Section>
  );
}

const isRate = (name: string): boolean => /accuracy|success|error/.test(name);

function namesOf(history: History): string[] {
  return [...new Set(history.points.flatMap((p) => Object.keys(p.values)))];
}

function seriesOf(history: History, names: readonly string[]): LineSeries[] {
  return names.map((name, k) => ({
    label: name,
    tone: toneOf(name, k),
    points: history.points.filter((p) => p.values[name] !== undefined).map((p) => ({ x: p.epoch, y: p.values[name] })),
  }));
}

/** Rates where there are any (the scale starts below the smallest, as high accuracies differ by little), else the losses. */
function Training({ history, id }: { history: History; id: string }): JSX.Element {
  const rates = namesOf(history).filter(isRate);
  const losses = namesOf(history).filter((n) => !isRate(n));
  const names = rates.length > 0 ? rates : losses;
  const series = seriesOf(history, names);
  const values = series.flatMap((s) => s.points.map((p) => p.y));
  const epochs = history.points.map((p) => p.epoch);
  const bottom = Math.max(0, Math.floor(Math.min(...values) * 20 - 0.5) / 20);
  const last = history.points.at(-1);
  const end = names.map(
    (n) => `${n} ${isRate(n) ? cellFormat('rate', []).value(last?.values[n] ?? 0) : significant(last?.values[n] ?? 0)}`,
  );
  return (
    <Figure title={sentence(history.model)}>
      <LineChart
        id={id}
        title={`Training of ${history.model}`}
        description={`After ${epochs.length} epochs: ${end.join(', ')}. The numbers are in the table below.`}
        series={series}
        xTitle="epoch"
        xTicks={epochs.length <= 12 ? epochs : undefined}
        yTitle={rates.length > 0 ? '%' : names.join(', ')}
        yFormat={rates.length > 0 ? (v) => fixed(v * 100, 0) : (v) => significant(v, 2)}
        yDomain={rates.length > 0 && !rates.some((n) => /error/.test(n)) ? [bottom, 1] : undefined}
      />
    </Figure>
  );
}

function TrainingTable({ history }: { history: History }): JSX.Element {
  const names = namesOf(history);
  const rate = cellFormat('rate', []);
  return (
    <PlainTable
      caption={`${sentence(history.model)}: values after each epoch.`}
      head={['epoch', ...names.map((n) => (isRate(n) ? `${n}, %` : n))]}
      rows={history.points.map((p) => [
        String(p.epoch),
        ...names.map((n) => (p.values[n] === undefined ? '–' : isRate(n) ? rate.value(p.values[n]) : significant(p.values[n], 4))),
      ])}
    />
  );
}
