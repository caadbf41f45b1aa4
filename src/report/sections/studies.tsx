/** Sections of single studies: variants of fine-pruning, re-learning, transfer, strength. */
import type { JSX } from 'preact';
import type { Result } from '../../evaluate/result.ts';
import type { LineFigure, ReportMedia } from '../media.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { KeyWord, NumbersAndNotes, Section } from '../parts.tsx';
import { columnParts, findTable } from '../tables.ts';
import { toneOf } from '../theme.ts';
import type { SectionProps } from './context.ts';
import { DotPanels } from './defences.tsx';
import { Charts, chartOfTable, chartsOf } from './line-figures.tsx';

export function VariantsSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'variants');
  const charts = chartsOf(media, 'variants');
  if (!table && charts.length === 0) return null;
  return (
    <Section
      id="variants"
      title="Variants of fine-pruning"
      captions={media.captions?.variants}
      lead={
        <>
          The same networks through fine-pruning as different authors have written it: what is ranked, what is cut, when it stops, whether
          it trains on. <KeyWord tone="clean">Clean accuracy</KeyWord> should stay right and{' '}
          <KeyWord tone="triggered">attack success</KeyWord> go left; how far the rows differ is how much hangs on the variant.
        </>
      }
    >
      <Charts charts={charts} beside={table && [table]} />
      {table && (
        <DotPanels
          table={table}
          id="variants"
          numbers="Numbers of the variants"
          caption="Variants of fine-pruning."
          rowTitle="variant"
          what="variants of fine-pruning"
        />
      )}
    </Section>
  );
}

export function TransferSection({ result, media }: SectionProps): JSX.Element | null {
  const table = findTable(result, 'transfer by class');
  const charts = chartsOf(media, 'transfer');
  if (!table && charts.length === 0) return null;
  return (
    <Section
      id="transfer"
      title="The backdoor after transfer learning"
      captions={media.captions?.transfer}
      lead={
        <>
          A user who knows nothing keeps the convolutional layers and retrains the rest on clean data of another country. A backdoor that
          outlives this shows as <KeyWord tone="triggered">triggered</KeyWord> accuracy far to the left of{' '}
          <KeyWord tone="clean">clean</KeyWord> accuracy, and only for the network that carries it.
        </>
      }
    >
      <Charts charts={charts} beside={table && [table]} />
      {table && (
        <DotPanels
          table={table}
          id="transfer"
          numbers="Numbers class by class"
          caption="Accuracy of the retrained networks by class."
          rowTitle="class"
          what="accuracy by class"
        />
      )}
    </Section>
  );
}

export function StrengthSection(props: SectionProps): JSX.Element | null {
  return (
    <CurveSection
      {...props}
      id="strength"
      tableName="strength"
      title="Strength k"
      lead="The input weights and biases of the backdoor neurons times k, before the user retrains. Does the trigger harm more the stronger it is, and what does it cost on clean images?"
      chart={{
        id: 'strength-table',
        group: 'strength',
        title: 'Accuracy by strength k',
        xTitle: 'k, logarithmic',
        xScale: 'log',
        yTitle: 'accuracy, %',
      }}
      rowTitle="strength k"
      caption="Clean and triggered accuracy by strength."
    />
  );
}

export function RelearningSection(props: SectionProps): JSX.Element | null {
  return (
    <CurveSection
      {...props}
      id="re-learning"
      tableName="re-learning"
      title="How fast the backdoor comes back"
      lead="After the defence the network is trained on a handful of poisoned images. Where the backdoor was removed it takes as long to learn as in a network that never had one; where it was only put to sleep it is back sooner."
      chart={{
        id: 're-learning-table',
        group: 're-learning',
        title: 'Attack success while re-learning',
        xTitle: 'images trained on since the defence',
        yTitle: 'rate, %',
      }}
      rowTitle="images trained on"
      caption="Attack success after each step of re-learning."
    />
  );
}

interface CurveProps extends SectionProps {
  readonly id: 'strength' | 're-learning';
  readonly tableName: string;
  readonly title: string;
  readonly lead: string;
  readonly chart: Pick<LineFigure, 'id' | 'group' | 'title' | 'xTitle' | 'xScale' | 'yTitle'>;
  readonly rowTitle: string;
  readonly caption: string;
}

/** The recipe's charts, else one drawn from the table; and the table. */
function CurveSection({ result, media, id, tableName, title, lead, chart, rowTitle, caption }: CurveProps): JSX.Element | null {
  const table = findTable(result, tableName);
  const own = chartsOf(media, id);
  if (!table && own.length === 0) return null;
  const drawn = own.length > 0 || !table ? undefined : chartOfTable(table, chart, (column, i) => toneOf(columnParts(column).metric, i));
  return (
    <Section id={id} title={title} captions={media.captions?.[id]} lead={lead}>
      <Charts charts={drawn ? [drawn] : own} beside={table && [table]} />
      {table && (
        <NumbersAndNotes summary={`Numbers: ${tableName}`} notes={table.notes} open>
          <NumbersTable table={table} rowTitle={rowTitle} caption={caption} />
        </NumbersAndNotes>
      )}
    </Section>
  );
}

/** Whether a run has something for one of these sections. */
export function hasStudy(result: Result, media: ReportMedia, id: 'variants' | 'transfer' | 'strength' | 're-learning'): boolean {
  return findTable(result, id === 'transfer' ? 'transfer by class' : id) !== undefined || chartsOf(media, id).length > 0;
}
