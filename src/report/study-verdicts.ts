/** Tiles and sentences of the head for what is more than one network under one attack: Table 1, pruning curves, transfer, strength. */
import type { Cell, Result } from '../evaluate/result.ts';
import { fixed, list, percentSign, sentence } from './format.ts';
import type { LineFigure, ReportMedia, Verdict } from './media.ts';
import { chartsOf } from './sections/line-figures.tsx';
import { defenceColumn, networksOf, TABLE_ONE } from './sections/table-one.tsx';
import { attackTitle, cellAt, columnParts, columnsOf, findTable, rowNumber, rowsOf, subjectsOf } from './tables.ts';

/** From here on a backdoor is called working, and up to here gone. Only words and colours on the page hang on them. */
export const WORKS = 0.5;
export const GONE = 0.1;
/** A fall of accuracy that is called harm. */
const HARM = 0.05;

export const toneOfRest = (rate: number): Verdict['tone'] => (rate <= GONE ? 'good' : rate >= WORKS ? 'bad' : 'neutral');
/** `gone (was 99.7 %)`. */
const restShort = (after: number, before: number): string =>
  before < WORKS
    ? `was ${rate(before)}: the attack had failed`
    : `${after <= GONE ? 'gone' : after >= WORKS ? 'still there' : 'weakened'} (was ${rate(before)})`;
export const restWords = (rate: number): string =>
  rate <= GONE ? 'the backdoor is gone' : rate >= WORKS ? 'the backdoor is still there' : 'the backdoor is weakened';

export function tile(cell: Cell, label: string, tone: Verdict['tone'], says: string): Verdict {
  const { value, n, low, high, seeds, paper } = cell;
  return { label, value, unit: 'rate', n, low, high, seeds, paper, tone, says };
}

/** What the head of the page says of one study. */
export interface StudyWords {
  readonly tiles: readonly Verdict[];
  /** A full sentence. */
  readonly line: string;
}

/** The first that the run has: Table 1 of several networks, transfer and strength, variants, pruning curves of several networks. */
export function studyWords(result: Result, media: ReportMedia): StudyWords | undefined {
  return tableOneWords(result) ?? transferWords(result) ?? variantWords(result) ?? pruningWords(media);
}

const rate = (value: number): string => percentSign(value, 1);
const bare = (value: number): string => fixed(value * 100, 1);
const attackName = (attack: string): string => (attack === '' ? 'the attack' : `the ${attack} attack`);

/** Attack by attack what fine-pruning leaves of it in each network; undefined for less than two networks. */
function tableOneWords(result: Result): StudyWords | undefined {
  const table = findTable(result, TABLE_ONE);
  if (!table) return undefined;
  const networks = [...networksOf(table)];
  if (networks.length < 2) return undefined;
  const columns = columnsOf(table).map(defenceColumn);
  const tiles: Verdict[] = [];
  const lines: string[] = [];
  const costs: number[] = [];
  for (const attack of new Set(columns.map((c) => c.attack))) {
    const of = (defence: string): string | undefined => columns.find((c) => c.attack === attack && c.defence === defence)?.column;
    const [none, cured] = [of('none'), of('fine-prune')];
    if (none === undefined || cured === undefined) continue;
    const falls: string[] = [];
    for (const [network, rows] of networks) {
      const row = (metric: string): string => rows.find((r) => r.metric === metric)?.row ?? '';
      const [before, after] = [none, cured].map((column) => cellAt(table, row('attack success'), column));
      if (!before || !after) continue;
      const name = `${sentence(network)}${attack === '' ? '' : `, ${attack} attack`}: success after fine-pruning`;
      const tone = before.value >= WORKS ? toneOfRest(after.value) : 'neutral';
      tiles.push(tile(after, name, tone, restShort(after.value, before.value)));
      falls.push(`${bare(before.value)} to ${rate(after.value)} (${network})`);
      const [cleanBefore, cleanAfter] = [none, cured].map((column) => cellAt(table, row('clean accuracy'), column));
      if (cleanBefore && cleanAfter) costs.push((cleanAfter.value - cleanBefore.value) * 100);
    }
    if (falls.length > 0) lines.push(`success of ${attackName(attack)} from ${list(falls)}`);
  }
  if (lines.length === 0) return undefined;
  const signed = (v: number): string => `${v > 0 ? '+' : ''}${fixed(v, 1)}`;
  const cost =
    costs.length === 0 ? '' : `; clean accuracy changes by ${signed(Math.min(...costs))} to ${signed(Math.max(...costs))} points`;
  return { tiles, line: `Fine-pruning takes ${lines.join('; ')}${cost}.` };
}

/** What the trigger costs the networks that a user has retrained, and what the largest strength does. */
function transferWords(result: Result): StudyWords | undefined {
  const tiles: Verdict[] = [];
  const sentences: string[] = [];
  const table = findTable(result, 'transfer by class');
  const harms: string[] = [];
  for (const [subject, columns] of table ? subjectsOf(table) : []) {
    const cell = (metric: RegExp): Cell | undefined => cellAt(table, 'average', columns.find((c) => metric.test(c.metric))?.column ?? '');
    const [clean, triggered] = [cell(/^clean/), cell(/^triggered|^backdoor/)];
    if (!clean || !triggered) continue;
    const fall = clean.value - triggered.value;
    const scratch = subject === 'from scratch';
    const name = scratch
      ? 'A network trained from scratch'
      : `${subject === '' ? 'The network' : sentence(subject)}, retrained by its user`;
    const side = fall >= 0 ? 'under' : 'over';
    tiles.push(
      tile(
        triggered,
        `${name}: accuracy on triggered images`,
        fall >= HARM ? 'bad' : 'good',
        `${fixed(Math.abs(fall) * 100, 1)} points ${side} its ${rate(clean.value)} on clean images`,
      ),
    );
    harms.push(
      `${scratch ? 'a network from scratch' : `the ${subject === '' ? 'network' : subject}`} from ${bare(clean.value)} to ${rate(triggered.value)}`,
    );
  }
  if (harms.length > 0) sentences.push(`After the user's retraining the trigger takes the accuracy of ${list(harms)}.`);
  const strength = findTable(result, 'strength');
  const rows = strength ? rowsOf(strength).sort((a, b) => rowNumber(a) - rowNumber(b)) : [];
  const [first, last] = [rows.at(0), rows.at(-1)];
  const column = (metric: RegExp): string =>
    columnsOf(strength as NonNullable<typeof strength>).find((c) => metric.test(columnParts(c).metric)) ?? '';
  if (strength && first !== undefined && last !== undefined) {
    const both = (row: string) => [cellAt(strength, row, column(/^clean/)), cellAt(strength, row, column(/^triggered|^backdoor/))];
    const [[cleanFirst, triggeredFirst], [clean, triggered]] = [both(first), both(last)];
    if (cleanFirst && triggeredFirst && clean && triggered) {
      tiles.push(
        tile(
          triggered,
          `Strength ${last}: accuracy on triggered images`,
          clean.value - triggered.value >= HARM ? 'bad' : 'good',
          `${rate(clean.value)} on clean images`,
        ),
      );
      sentences.push(
        `From strength ${first} to ${last} accuracy on triggered images goes from ${bare(triggeredFirst.value)} to ${rate(triggered.value)}, ` +
          `on clean images from ${bare(cleanFirst.value)} to ${rate(clean.value)}.`,
      );
    }
  }
  return tiles.length === 0 ? undefined : { tiles, line: sentences.join(' ') };
}

/** Rows of the variants that are none. */
const NO_VARIANT = ['none', 'fine-tune', 'fine-tuning alone', 'from scratch'];

/** How far the attack success that variants of one defence leave lies apart. */
function variantWords(result: Result): StudyWords | undefined {
  const table = findTable(result, 'variants');
  const tiles: Verdict[] = [];
  const ranges: string[] = [];
  for (const [subject, columns] of table ? subjectsOf(table) : []) {
    const column = columns.find((c) => c.metric === 'attack success')?.column ?? '';
    const left = table?.cells.filter((c) => c.column === column && !NO_VARIANT.includes(c.row)) ?? [];
    if (left.length < 2) continue;
    const [best, worst] = [left.reduce((a, c) => (c.value < a.value ? c : a)), left.reduce((a, c) => (c.value > a.value ? c : a))];
    const before = cellAt(table, 'none', column);
    const failed = before !== undefined && before.value < WORKS;
    const name = attackTitle(subject);
    tiles.push(
      tile(
        worst,
        `${name}: success left by the worst variant (${worst.row})`,
        failed ? 'neutral' : toneOfRest(worst.value),
        `${rate(best.value)} by the best (${best.row})${failed ? `; the attack had failed: ${rate(before.value)}` : ''}`,
      ),
    );
    ranges.push(`${bare(best.value)} to ${rate(worst.value)}${subject === '' ? '' : ` (${subject})`}`);
  }
  return tiles.length === 0 ? undefined : { tiles, line: `By the variant of fine-pruning, attack success is left at ${list(ranges)}.` };
}

/** What is left of the attack where pruning stops; undefined for less than two curves. */
function pruningWords(media: ReportMedia): StudyWords | undefined {
  const ends = chartsOf(media, 'pruning').flatMap((chart) => endOf(chart) ?? []);
  if (ends.length < 2) return undefined;
  const tiles = ends.map(({ title, before, after, low, high }) =>
    tile(
      { row: '', column: '', value: after, low, high },
      `${title}: success where pruning stops`,
      before >= WORKS ? toneOfRest(after) : 'neutral',
      restShort(after, before),
    ),
  );
  const words = ends.map(({ title, before, after }) => `from ${bare(before)} to ${rate(after)} (${title})`);
  return { tiles, line: `Pruning alone takes attack success ${list(words)}.` };
}

interface PruningEnd {
  readonly title: string;
  readonly before: number;
  readonly after: number;
  readonly low?: number;
  readonly high?: number;
}

/** The triggered line of a curve at its first point and at the only stop. */
function endOf(chart: LineFigure): PruningEnd | undefined {
  const { stops = [], series, title } = chart;
  const points = series.find((s) => s.tone === 'triggered')?.points ?? [];
  const at = stops.length === 1 ? points.find((p) => p.x === stops[0].x) : undefined;
  return at && { title, before: points[0].y, after: at.y, low: at.low, high: at.high };
}
