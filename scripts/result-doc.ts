/**
 * Prints a result.json as Markdown, for docs/: `npx tsx scripts/result-doc.ts RUN/result.json > docs/mnist.md`.
 * Long tables (pruning curves, channels) are left to the report.
 */
import { readFileSync } from 'node:fs';
import { type Cell, Result, type Table } from '../src/evaluate/result.ts';

const LONGEST = 40;
const result = Result.parse(JSON.parse(readFileSync(process.argv[2], 'utf8')));
const { provenance } = result;

const number = (value: number, unit: Table['unit']): string =>
  unit === 'rate' ? (100 * value).toFixed(2) : String(Number(value.toPrecision(4)));

function cellText(cell: Cell | undefined, unit: Table['unit']): string {
  if (cell === undefined) return '';
  const interval = cell.low === undefined || cell.high === undefined ? '' : ` (${number(cell.low, unit)} to ${number(cell.high, unit)})`;
  const paper = cell.paper === undefined ? '' : `, paper ${number(cell.paper, unit)}`;
  return `${number(cell.value, unit)}${interval}${paper}`;
}

function print(table: Table): void {
  const columns = [...new Set(table.cells.map((c) => c.column))];
  const rows = [...new Set(table.cells.map((c) => c.row))];
  console.log(`\n## ${table.name}${table.unit === 'rate' ? ', %' : ` (${table.unit})`}\n`);
  if (rows.length > LONGEST || table.name === 'pruning curve') {
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

console.log(`# ${result.recipe}: what came out\n`);
console.log(
  `Written by \`scripts/result-doc.ts\` from the run's \`result.json\`. Command: \`${provenance.command}\`. Seeds: ${provenance.seeds.join(', ')}.`,
);
console.log(
  `Machine: ${provenance.machine}. Started ${provenance.started}. In brackets: 95 % intervals, over the seeds where there are several.`,
);
for (const table of result.tables) print(table);

console.log('\n## Time and memory of each step\n\n| step | seconds | memory at its end, MB |\n|---|---|---|');
for (const step of provenance.steps) console.log(`| ${step.name} | ${step.seconds.toFixed(1)} | ${(step.rssBytes / 1e6).toFixed(0)} |`);
const total = provenance.steps.reduce((sum, step) => sum + step.seconds, 0);
console.log(`| all | ${total.toFixed(0)} | ${(Math.max(...provenance.steps.map((s) => s.rssBytes)) / 1e6).toFixed(0)} at most |`);
console.log(
  `\nInputs (sha-256): ${Object.entries(provenance.inputs)
    .map(([name, hash]) => `${name} ${hash}`)
    .join(', ')}.`,
);
console.log(
  `Versions: ${Object.entries(provenance.versions)
    .map(([name, v]) => `${name} ${v}`)
    .join(', ')}.`,
);
