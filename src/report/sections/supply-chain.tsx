/** A network swapped behind its address: who ends up with which one, and what happened in which order. */
import type { JSX } from 'preact';
import type { Result, Table } from '../../evaluate/result.ts';
import { fixed, percentSign } from '../format.ts';
import { NumbersTable } from '../numbers-table.tsx';
import { Figure, KeyWord, Numbers, NumbersAndNotes, Scroll, Section } from '../parts.tsx';
import {
  CLEAN_BY_PRACTICE,
  type Ending,
  type Practice,
  type PracticeOutcome,
  PUBLISHED_NETWORKS,
  SUCCESS_BY_PRACTICE,
  type SupplyChain,
  type SupplyEvent,
} from '../supply-chain-media.ts';
import { cellAt, findTable } from '../tables.ts';
import type { SectionProps } from './context.ts';

/** The tables that these sections show. */
export const SUPPLY_TABLES = [CLEAN_BY_PRACTICE, SUCCESS_BY_PRACTICE, PUBLISHED_NETWORKS];

export const ENDING_WORDS: Readonly<Record<Ending, string>> = {
  honest: 'the honest network',
  backdoored: 'the BadNet',
  nothing: 'nothing: stopped',
};

export function SupplyChainSection({ result, media }: SectionProps): JSX.Element | null {
  const { supplyChain: chain, captions } = media;
  if (chain === undefined) return null;
  const networks = findTable(result, PUBLISHED_NETWORKS);
  return (
    <Section
      id="supply-chain"
      title="Who ends up with the backdoor"
      captions={captions?.['supply-chain']}
      lead={
        <>
          Rows are people, columns what the server has. Under each network that somebody runs: its{' '}
          <KeyWord tone="clean">accuracy on clean images</KeyWord>, which he can measure, and its{' '}
          <KeyWord tone="triggered">attack success</KeyWord>, which he cannot.
        </>
      }
    >
      <Days days={chain.days} />
      <Figure title="What each of them runs in the end">
        <p class="end-key">
          {(['honest', 'backdoored', 'nothing'] as const).map((ending) => (
            <span key={ending} class={`end end-${ending}`}>
              <EndMark ending={ending} />
              {ENDING_WORDS[ending]}
            </span>
          ))}
        </p>
        <Matrix chain={chain} result={result} />
        <Numbers summary="Numbers with intervals">
          {[CLEAN_BY_PRACTICE, SUCCESS_BY_PRACTICE].map((name) => {
            const table = findTable(result, name);
            return table && <NumbersTable key={name} table={table} rowTitle="practice" caption={`${CAPTIONS[name]}.`} />;
          })}
        </Numbers>
      </Figure>
      {networks && (
        <NumbersAndNotes summary="The networks that were published" notes={networks.notes} open>
          <NumbersTable table={networks} rowTitle="network" caption="Each judged from its file." />
        </NumbersAndNotes>
      )}
      <Figure title="What happened, in order">
        <ol class="events">
          {chain.timeline.map((event) => (
            <Event key={`${event.when} ${event.who}`} event={event} />
          ))}
        </ol>
      </Figure>
    </Section>
  );
}

const CAPTIONS: Readonly<Record<string, string>> = {
  [CLEAN_BY_PRACTICE]: 'Clean accuracy of the network that each runs',
  [SUCCESS_BY_PRACTICE]: 'Attack success against it',
};

function Days({ days }: { days: SupplyChain['days'] }): JSX.Element {
  return (
    <dl class="days">
      {days.map(({ name, says, backdoored }) => (
        <>
          <dt class={backdoored ? 'day-bad' : undefined}>{name}</dt>
          <dd>{says}</dd>
        </>
      ))}
    </dl>
  );
}

function Matrix({ chain, result }: { chain: SupplyChain; result: Result }): JSX.Element {
  const tables = [CLEAN_BY_PRACTICE, SUCCESS_BY_PRACTICE].map((name) => findTable(result, name));
  return (
    <Scroll label="What each of them runs in the end" fill>
      <table class="ends">
        <thead>
          <tr>
            <th scope="col">practice</th>
            {chain.days.map((day) => (
              <th key={day.name} scope="col">
                {day.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {chain.practices.map((practice) => (
            <tr key={practice.name}>
              <th scope="row">
                {practice.name}
                <span class="small">has {practice.has}</span>
              </th>
              {chain.days.map((day) => (
                <End
                  key={day.name}
                  practice={practice}
                  outcome={practice.outcomes.find((o) => o.day === day.name)}
                  day={day.name}
                  tables={tables}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

interface EndProps {
  readonly practice: Practice;
  readonly outcome: PracticeOutcome | undefined;
  readonly day: string;
  /** Clean accuracy, attack success. */
  readonly tables: readonly (Table | undefined)[];
}

const SHORT_WORDS: Readonly<Record<Ending, string>> = { honest: 'honest', backdoored: 'BadNet', nothing: 'stopped' };

function End({ practice, outcome, day, tables }: EndProps): JSX.Element {
  if (outcome === undefined) return <td data-day={day}>–</td>;
  const { ending, stoppedBy, leftBehind, exitCode } = outcome;
  const rates = ['clean', 'triggered'].map((tone, i) => ({ tone, value: cellAt(tables[i], practice.name, day)?.value }));
  return (
    <td class={`end end-${ending}`} data-day={day}>
      <span class="end-word">
        <EndMark ending={ending} />
        {SHORT_WORDS[ending]}
      </span>
      {rates.some((r) => r.value !== undefined) && (
        <span class="end-rates">
          {rates.map(
            ({ tone, value }) =>
              value !== undefined && (
                <>
                  <span class={`rate-bar tone-${tone}`} style={`--share:${fixed(Math.min(1, Math.max(0, value)) * 100, 1)}%`} />
                  <span>{percentSign(value, 1)}</span>
                </>
              ),
          )}
        </span>
      )}
      {exitCode !== 0 && (
        <span class="end-note">
          {ending === 'nothing' ? '' : 'keeps what it had; '}
          {stoppedBy?.startsWith('E_') ? <code>{stoppedBy}</code> : stoppedBy}
          {stoppedBy === undefined ? '' : ', '}exit {exitCode}
        </span>
      )}
      {leftBehind && <span class="end-note">{leftBehind === 'backdoored' ? 'the BadNet' : 'the honest file'} is left on the disk</span>}
    </td>
  );
}

function Event({ event }: { event: SupplyEvent }): JSX.Element {
  const { when, who, what, kind, digests = [] } = event;
  return (
    <li class={`event event-${kind}`}>
      <span class="event-when">{when}</span>
      <div>
        <p class="event-who">{who}</p>
        <p>{what}</p>
        {digests.map(({ name, value }) => (
          <code key={name} class="hash">
            {name}: {value}
          </code>
        ))}
      </div>
    </li>
  );
}

/** A disc with a tick, a triangle with a stroke, a square: told apart without colour; a word stands beside. */
export function EndMark({ ending }: { ending: Ending }): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 20 20" aria-hidden="true">
      {ending === 'honest' && (
        <>
          <circle class="mark-full" cx="10" cy="10" r="9" />
          <path class="mark-cut" d="M5.5,10.5l3,3l6,-6.5" />
        </>
      )}
      {ending === 'backdoored' && (
        <>
          <path class="mark-full" d="M10,1.2L19.4,18.4H0.6z" />
          <path class="mark-cut" d="M10,7.4v5M10,15.3v.2" />
        </>
      )}
      {ending === 'nothing' && <rect class="mark-line" x="3" y="3" width="14" height="14" rx="2" />}
    </svg>
  );
}
