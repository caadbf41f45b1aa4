/** Tables the page has no picture for, and where everything comes from. */
import type { JSX } from 'preact';
import type { Result } from '../../evaluate/result.ts';
import { bytes, duration, list, sentence } from '../format.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { Figure, NumbersAndNotes, PlainTable, Section } from '../parts.tsx';
import { rowsOf } from '../tables.ts';
import type { SectionProps } from './context.ts';
import { chartGroups } from './line-figures.tsx';
import { pruningTables } from './pruning.tsx';
import { SUPPLY_TABLES } from './supply-chain.tsx';
import { TABLE_ONE } from './table-one.tsx';

/** The tables that have a section of their own. */
const KNOWN = [
  'per-class error',
  'poison fraction',
  'defences',
  'clean-model control',
  'weight movement',
  TABLE_ONE,
  'variants',
  're-learning',
  'transfer by class',
  'strength',
];

/** Tables with more rows than this are shut until opened. */
const LONG = 60;

export function otherTables(props: SectionProps): Result['tables'] {
  const shown = props.media.supplyChain === undefined ? KNOWN : [...KNOWN, ...SUPPLY_TABLES];
  const grouped = [...chartGroups(props).flatMap((g) => g.tables), ...pruningTables(props.result)];
  return props.result.tables.filter((t) => t.cells.length > 0 && !shown.includes(t.name) && !grouped.includes(t));
}

export function OtherSection(props: SectionProps): JSX.Element | null {
  const tables = otherTables(props);
  if (tables.length === 0) return null;
  return (
    <Section id="other" title={tables.length === 1 ? sentence(tables[0].name) : 'More tables'}>
      {tables.map((t) => (
        <NumbersAndNotes
          key={t.name}
          summary={tables.length === 1 ? 'Numbers' : sentence(t.name)}
          notes={t.notes}
          open={rowsOf(t).length <= LONG}
        >
          <NumbersTable table={t} caption={`${sentence(t.name)}.`} />
        </NumbersAndNotes>
      ))}
    </Section>
  );
}

export function ProvenanceSection({ result, media }: SectionProps): JSX.Element {
  const p = result.provenance;
  const total = p.steps.reduce((sum, s) => sum + s.seconds, 0);
  const longest = Math.max(1e-9, ...p.steps.map((s) => s.seconds));
  const peak = Math.max(0, ...p.steps.map((s) => s.rssBytes));
  const versions = Object.entries(p.versions);
  const inputs = Object.entries(p.inputs);
  return (
    <Section id="provenance" title="Where these numbers come from" captions={media.captions?.provenance}>
      <p>This command, on the same inputs, gives these numbers again:</p>
      <pre>
        <code>{p.command}</code>
      </pre>
      <dl class="facts">
        <div>
          <dt>{p.seeds.length === 1 ? 'Seed' : 'Seeds'}</dt>
          <dd>{p.seeds.length === 0 ? 'none' : list(p.seeds.map(String))}</dd>
        </div>
        <div>
          <dt>Started</dt>
          <dd>{p.started}</dd>
        </div>
        <div>
          <dt>Machine</dt>
          <dd>{p.machine}</dd>
        </div>
        {versions.map(([name, version]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{version}</dd>
          </div>
        ))}
      </dl>
      {inputs.length > 0 && (
        <Figure title="Inputs and models">
          <PlainTable
            caption="By their sha-256."
            fill
            head={['name', 'sha-256']}
            words={[1]}
            rows={inputs.map(([name, hash]) => [
              name,
              <code class="hash" key={name}>
                {hash}
              </code>,
            ])}
          />
        </Figure>
      )}
      {p.steps.length > 0 && (
        <Figure title="Time and memory of each step">
          <PlainTable
            caption={`Wall time of each step and resident memory at its end. Together ${duration(total)}; largest ${bytes(peak)}.`}
            fill
            head={['step', 'time', 'memory', 'time, drawn']}
            words={[3]}
            rows={p.steps.map((s) => [
              s.name,
              duration(s.seconds),
              bytes(s.rssBytes),
              <span class="meter" key={s.name} style={`--share:${((100 * s.seconds) / longest).toFixed(1)}%`} />,
            ])}
          />
        </Figure>
      )}
    </Section>
  );
}
