/** The one-line result and the tiles at the top, read from the tables where a recipe has not written them itself. */
import type { Cell, Result } from '../evaluate/result.ts';
import { cellFormat, fixed, list, sentence } from './format.ts';
import type { ReportMedia, Verdict } from './media.ts';
import { countWords } from './sections/claims.tsx';
import { restWords, studyWords, tile, toneOfRest, WORKS } from './study-verdicts.ts';
import { cellAt, columnParts, columnsOf, findTable } from './tables.ts';

/** The attacks of the `defences` table: subjects that have an attack success of their own. */
function attacksOf(result: Result): string[] {
  const table = findTable(result, 'defences');
  if (!table) return [];
  return columnsOf(table)
    .map(columnParts)
    .filter((c) => c.metric === 'attack success')
    .map((c) => c.subject);
}

function defence(result: Result, row: string, subject: string, metric: string): Cell | undefined {
  const table = findTable(result, 'defences');
  const column = table && columnsOf(table).find((c) => columnParts(c).subject === subject && columnParts(c).metric === metric);
  return column === undefined ? undefined : cellAt(table, row, column);
}

const named = (subject: string, text: string): string => (subject === '' ? sentence(text) : `${sentence(subject)} attack: ${text}`);

/** About six tiles. Of one network: what the attack does, what each defence leaves of it, what the defences cost a clean model; of several: `study-verdicts.ts`. */
export function verdictsOf(result: Result, media: ReportMedia): readonly Verdict[] {
  if (media.verdicts) return media.verdicts;
  const study = studyWords(result, media);
  if (study) return study.tiles;
  const tiles: Verdict[] = [];
  const errors = findTable(result, 'per-class error');
  const badnet = errors && columnsOf(errors).find((c) => columnParts(c).metric === 'clean' && columnParts(c).subject !== 'baseline');
  const clean = badnet && cellAt(errors, 'average', badnet);
  const honest = cellAt(errors, 'average', 'baseline clean');
  if (clean && honest) {
    const points = (clean.value - honest.value) * 100;
    const hidden = points <= 0.5;
    const than = `${Math.abs(points).toFixed(2)} points ${points >= 0 ? 'over' : 'under'} an honest model`;
    tiles.push(
      tile(clean, `${sentence(columnParts(badnet ?? '').subject)} BadNet: error on clean images`, hidden ? 'bad' : 'neutral', than),
    );
  }
  for (const subject of attacksOf(result)) {
    const none = defence(result, 'none', subject, 'attack success');
    if (none) {
      const works = none.value >= WORKS;
      tiles.push(
        tile(none, named(subject, 'success without a defence'), works ? 'bad' : 'good', works ? 'the backdoor works' : 'the attack fails'),
      );
    }
    const cured = defence(result, 'fine-prune', subject, 'attack success');
    if (cured) tiles.push(tile(cured, named(subject, 'success after fine-pruning'), toneOfRest(cured.value), restWords(cured.value)));
  }
  const control = findTable(result, 'clean-model control');
  const controlColumn = control && columnsOf(control).find((c) => columnParts(c).metric === 'clean accuracy');
  const before = controlColumn && cellAt(control, 'none', controlColumn);
  const after = controlColumn && cellAt(control, 'fine-prune', controlColumn);
  if (before && after) {
    const points = (after.value - before.value) * 100;
    const words = `${Math.abs(points).toFixed(2)} points ${points >= 0 ? 'gained' : 'lost'}`;
    tiles.push(tile(after, 'Honest model: accuracy after fine-pruning', points > -1 ? 'good' : 'bad', words));
  }
  return tiles;
}

/** What was done and what came out, in a line or two; with the count of claims where there are some. */
export function headlineOf(result: Result, media: ReportMedia): string {
  if (media.headline) return media.headline;
  const claims = countWords(media.claims ?? []);
  return `${studyWords(result, media)?.line ?? outcomeOf(result)}${claims === '' ? '' : ` ${claims}`}`;
}

function outcomeOf(result: Result): string {
  const falls: string[] = [];
  const costs: number[] = [];
  for (const subject of attacksOf(result)) {
    const success = defence(result, 'none', subject, 'attack success');
    const cured = defence(result, 'fine-prune', subject, 'attack success');
    if (!success || !cured) continue;
    const format = cellFormat('rate', [success, cured]);
    falls.push(`from ${format.value(success.value)} to ${format.value(cured.value)} %${subject === '' ? '' : ` (${subject} attack)`}`);
    const before = defence(result, 'none', subject, 'clean accuracy');
    const after = defence(result, 'fine-prune', subject, 'clean accuracy');
    if (before && after) costs.push((after.value - before.value) * 100);
  }
  if (falls.length > 0) {
    const points = (v: number): string => `${v > 0 ? '+' : ''}${fixed(v, 2)}`;
    const cost = costs.length === 0 ? '' : `; clean accuracy changes by ${list(costs.map(points))} points`;
    return `Fine-pruning takes attack success ${list(falls)}${cost}.`;
  }
  const names = result.tables.map((t) => t.name);
  if (names.length === 0) return 'This run has written no tables.';
  return `This run has measured ${list(names)}.`;
}
