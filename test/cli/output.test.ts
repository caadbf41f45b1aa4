import { expect, test } from 'vitest';
import { columns, duration, percent, size, tableText, thinned } from '../../src/cli/output.node.ts';

test('numbers as people read them', () => {
  expect([percent(0.98934), percent(1, 0)]).toEqual(['98.93 %', '100 %']);
  expect([0.4, 59, 75, 3599.6, 4000].map(duration)).toEqual(['0 s', '59 s', '1 m 15 s', '1 h 00 m', '1 h 06 m']);
  expect([999, 1_234_567, 5e9].map(size)).toEqual(['999 B', '1.2 MB', '5.0 GB']);
});

test('a table is aligned, with interval and the paper beside the number', () => {
  const text = tableText({
    name: 'defences',
    unit: 'rate',
    cells: [
      { row: 'none', column: 'clean', value: 0.98934, low: 0.98, high: 0.99 },
      { row: 'none', column: 'triggered', value: 1 },
      { row: 'fine-pruning', column: 'clean', value: 0.9, paper: 0.988 },
    ],
    notes: ['A sentence.'],
  });
  expect(text).toBe(
    [
      'defences',
      '                                 clean  triggered',
      '  none          98.93 % [98.00, 99.00]   100.00 %',
      '  fine-pruning   90.00 % (paper 98.80)',
      '  A sentence.',
    ].join('\n'),
  );
});

test.each([
  ['seconds', 1.26, '1.3 s'],
  ['bytes', 1500, '1.5 kB'],
  ['count', 12, '12'],
  ['count', 12.34, '12.3'],
  ['activation', 0.123456, '0.1235'],
] as const)('unit %s', (unit, value, text) => {
  expect(tableText({ name: 't', unit, cells: [{ row: 'r', column: 'c', value }] })).toContain(`  ${text}`);
});

test('a table too wide for a terminal is shown subject by subject', () => {
  const subjects = ['baseline', 'pruning-aware (margin)', 'pruning-aware (paper)'];
  const cells = subjects.flatMap((subject) =>
    ['clean accuracy', 'attack success', 'robust accuracy'].map((metric) => ({ row: 'none', column: `${subject} ${metric}`, value: 0.5 })),
  );
  const one = (subject: string): string =>
    `defences: ${subject}\n        clean accuracy  attack success  robust accuracy\n  none         50.00 %         50.00 %          50.00 %`;
  const text = tableText({ name: 'defences', unit: 'rate', cells, notes: ['N.'] });
  expect(text).toBe(`${subjects.map(one).join('\n\n')}\n  N.`);
});

test('a long table is thinned, with its first and last row', () => {
  const table = {
    name: 't',
    unit: 'rate' as const,
    cells: Array.from({ length: 513 }, (_, i) => ({ row: String(i), column: 'c', value: 0 })),
  };
  const short = thinned(table);
  expect(short.cells.map((c) => c.row)).toHaveLength(17);
  expect([short.cells[0].row, short.cells[8].row, short.cells[16].row]).toEqual(['0', '256', '512']);
  expect(short.notes).toEqual(['17 of 513 rows; the others are in result.json.']);
  const small = { ...table, cells: table.cells.slice(0, 34) };
  expect(thinned(small)).toBe(small);
});

test('names in a table stay in their place, and do nothing to a terminal', () => {
  const name = 'a\x1b[2J\nb';
  const text = tableText({ name, unit: 'count', cells: [{ row: name, column: name, value: 1 }], notes: [name] });
  const shown = 'a\\u001b[2J b';
  expect(text.split('\n')).toEqual([
    shown,
    `  ${' '.repeat(shown.length)}  ${shown}`,
    `  ${shown}  ${'1'.padStart(shown.length)}`,
    `  ${shown}`,
  ]);
  expect(columns([[name, 'x']])).toEqual([`${shown}  x`]);
});
