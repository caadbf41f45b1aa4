/** How far the weights of a network moved between two files, tensor by tensor. */
import type { JSX } from 'preact';
import { DotIntervalChart } from '../charts/dot-interval-chart.tsx';
import { fixed, integer } from '../format.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { Figure, NumbersAndNotes, Section } from '../parts.tsx';
import { cellAt, findTable, rowsOf } from '../tables.ts';
import type { SectionProps } from './context.ts';

/** Rows of the chart: more would be a list. */
const DRAWN = 40;

export function MovementSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'weight movement');
  if (!table) return null;
  const rows = rowsOf(table);
  const drawn = rows.slice(0, DRAWN);
  const moved = drawn.map((row) => cellAt(table, row, 'moved'));
  const zeroed = drawn.map((row) => cellAt(table, row, 'channels zeroed')).map((c) => ((c?.value ?? 0) > 0 ? c : undefined));
  const end = Math.max(1e-6, ...[...moved, ...zeroed].map((c) => c?.value ?? 0)) * 1.05;
  const digits = end < 0.02 ? 2 : end < 0.2 ? 1 : 0;
  return (
    <Section
      id="movement"
      title="How far the weights moved"
      captions={media.captions?.movement}
      lead={
        <>
          Each dot is a tensor: the length of its change beside its length before. A defence that cuts channels shows as channels that are
          zero now; one that trains on moves all layers a little.
        </>
      }
    >
      <Figure title={rows.length > DRAWN ? `The ${DRAWN} that moved most, of ${integer(rows.length)}` : 'The one that moved most first'}>
        <DotIntervalChart
          id="movement"
          title="Movement of each tensor"
          description={`Relative movement of ${integer(drawn.length)} tensors, largest first, and the share of their channels that are zero now. The numbers are in the table below.`}
          rows={drawn.map(shortName)}
          series={[
            { label: 'moved', tone: 'clean', values: moved },
            ...(zeroed.some((c) => c !== undefined) ? [{ label: 'channels zeroed', tone: 'triggered' as const, values: zeroed }] : []),
          ]}
          xTitle="% of the tensor's length, or of its channels"
          domain={[0, end]}
          format={(v) => fixed(v * 100, digits)}
          width={640}
        />
      </Figure>
      <NumbersAndNotes summary={`Numbers of ${integer(rows.length)} tensors`} notes={table.notes}>
        <NumbersTable table={table} rowTitle="tensor" caption="Movement of each tensor." />
      </NumbersAndNotes>
    </Section>
  );
}

/** The end of a long name tells more than its beginning; rows must differ, so the place is put in front of what is cut. */
function shortName(name: string, i: number): string {
  return name.length <= 34 ? name : `${i + 1}: ...${name.slice(-28)}`;
}
