/**
 * Prints runs as Markdown, for docs/: `npx tsx scripts/result-doc.ts RUN [RUN ...] > docs/case-studies.md`. RUN is a run folder, or a `result.json`.
 * Long tables (pruning curves, channels) are left to the report. Of several runs each has a chapter, and tables that an earlier one had with the
 * same numbers are not printed again.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Cell, Result, type Table } from '../src/evaluate/result.ts';
import { ReportMedia } from '../src/report/media.ts';

const LONGEST = 48;
const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const files = process.argv.slice(2).map((arg) => (arg.endsWith('.json') ? arg : join(arg, 'result.json')));
const several = files.length > 1;
const level = several ? '###' : '##';
const printed = new Set<string>();

const number = (value: number, unit: Table['unit']): string =>
  unit === 'rate' ? (100 * value).toFixed(2) : String(Number(value.toPrecision(4)));

function cellText(cell: Cell | undefined, unit: Table['unit']): string {
  if (cell === undefined) return '';
  const interval = cell.low === undefined || cell.high === undefined ? '' : ` (${number(cell.low, unit)} to ${number(cell.high, unit)})`;
  const paper = cell.paper === undefined ? '' : `, paper ${number(cell.paper, unit)}`;
  return `${number(cell.value, unit)}${interval}${paper}`;
}

function printTable(table: Table): void {
  const columns = [...new Set(table.cells.map((c) => c.column))];
  const rows = [...new Set(table.cells.map((c) => c.row))];
  const key = JSON.stringify(table.cells);
  if (printed.has(key)) return;
  printed.add(key);
  console.log(`\n${level} ${table.name}${table.unit === 'rate' ? ', %' : ` (${table.unit})`}\n`);
  if (rows.length > LONGEST || table.name.startsWith('pruning curve')) {
    console.log(`${rows.length} rows: see \`result.json\` and the report.`);
  } else {
    const n = [...new Set(table.cells.map((c) => c.n))];
    console.log(`| | ${columns.join(' | ')} |\n|---|${columns.map(() => '---|').join('')}`);
    for (const row of rows) {
      const cells = columns.map((column) =>
        cellText(
          table.cells.find((c) => c.row === row && c.column === column),
          table.unit,
        ),
      );
      console.log(`| ${row} | ${cells.join(' | ')} |`);
    }
    if (n.length === 1 && n[0] !== undefined) console.log(`\nn = ${n[0]} in every cell.`);
  }
  for (const note of table.notes ?? []) console.log(`\n* ${note}`);
}

function printClaims(file: string): void {
  const path = join(dirname(file), 'media.json');
  const { claims = [], substitutes = [] } = existsSync(path) ? ReportMedia.parse(json(path)) : {};
  if (substitutes.length > 0) console.log(`\n${level} What stands in for what\n`);
  for (const text of substitutes) console.log(`* ${text}`);
  if (claims.length === 0) return;
  console.log(`\n${level} What holds\n\n| claim | verdict | measured |\n|---|---|---|`);
  for (const { claim, source, verdict, says, parts } of claims) {
    const each = parts === undefined ? '' : ` (${parts.map((p) => `${p.name}: ${p.verdict}`).join(', ')})`;
    console.log(`| ${claim} *${source}* | **${verdict}**${each} | ${says} |`);
  }
}

function printRun(file: string): void {
  const result = Result.parse(json(file));
  const { provenance } = result;
  console.log(several ? `\n## reproduce ${result.recipe}\n` : `# ${result.recipe}: what came out\n`);
  const by = several ? '' : "Written by `scripts/result-doc.ts` from the run's `result.json`. ";
  console.log(`${by}Command: \`${provenance.command}\`. Seeds: ${provenance.seeds.join(', ')}.`);
  console.log(
    `Machine: ${provenance.machine}. Started ${provenance.started}. In brackets: 95 % intervals, over the seeds where there are several.`,
  );
  printClaims(file);
  for (const table of result.tables) printTable(table);
  const total = provenance.steps.reduce((sum, step) => sum + step.seconds, 0);
  const most = (Math.max(...provenance.steps.map((s) => s.rssBytes)) / 1e6).toFixed(0);
  console.log(`\n${level} Time and memory\n`);
  if (several) console.log(`${provenance.steps.length} steps, ${total.toFixed(0)} s in all, ${most} MB of memory at most.`);
  else {
    console.log('| step | seconds | memory at its end, MB |\n|---|---|---|');
    for (const step of provenance.steps) console.log(`| ${step.name} | ${step.seconds.toFixed(1)} | ${(step.rssBytes / 1e6).toFixed(0)} |`);
    console.log(`| all | ${total.toFixed(0)} | ${most} at most |`);
  }
  const list = (of: Readonly<Record<string, string>>): string =>
    Object.entries(of)
      .map(([name, v]) => `${name} ${v}`)
      .join(', ');
  const data = Object.fromEntries(Object.entries(provenance.inputs).filter(([name]) => !several || !name.endsWith('.onnx')));
  console.log(`\nInputs (sha-256): ${list(data)}.\nVersions: ${list(provenance.versions)}.`);
}

if (several) {
  console.log('# The case studies: what came out\n');
  console.log(
    "Written by `scripts/result-doc.ts` from the runs' `result.json` and `media.json`; how to read the tables: [report.md](report.md).",
  );
}
for (const file of files) printRun(file);
