/** Tables as text (RFC 4180): commas, semicolons or tabs, quoted cells, a header. */
import { fail } from '../core/errors.ts';

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly { readonly line: number; readonly cells: readonly string[] }[];
}

const DELIMITERS = [',', ';', '\t'];

/**
 * Reads a table with a header; the delimiter is the one that the header has most of. Empty lines are left out.
 * `bare`: a header without rows is a table too (one of many, whose class has no images).
 * Throws SecateurError where there is nothing to read, naming the line where a row has not as many cells as the header or a quote is not closed.
 */
export function parseCsv(text: string, where: string, { bare = false } = {}): Table {
  const clean = text.startsWith('\ufeff') ? text.slice(1) : text;
  const first = clean.split(/\r?\n/, 1)[0];
  const counts = DELIMITERS.map((d) => first.split(d).length);
  const delimiter = DELIMITERS[counts.indexOf(Math.max(...counts))];
  const lines = split(clean, delimiter, where);
  const [header, ...rows] = lines;
  if (header === undefined || (rows.length === 0 && !bare)) {
    const expected = bare ? 'a header' : 'a header and at least one row';
    return fail({ where, what: 'table is empty', expected, got: `${lines.length} lines` });
  }
  const odd = rows.find((row) => row.cells.length !== header.cells.length);
  if (odd !== undefined) {
    const expected = `${header.cells.length} (${header.cells.slice(0, 8).join(', ')})`;
    fail({
      where: `${where} line ${odd.line}`,
      what: 'row has another number of cells than the header',
      expected,
      got: `${odd.cells.length}`,
    });
  }
  return { header: header.cells.map((cell) => cell.trim()), rows };
}

function split(text: string, delimiter: string, where: string): { line: number; cells: string[] }[] {
  const rows: { line: number; cells: string[] }[] = [];
  let [line, at] = [1, 0];
  while (at < text.length) {
    const row = { line, cells: [] as string[] };
    for (let open = true; open; ) {
      let cell: string;
      if (text[at] === '"') {
        const parts: string[] = [];
        for (;;) {
          const end = text.indexOf('"', at + 1);
          if (end < 0)
            return fail({ where: `${where} line ${row.line}`, what: 'quote is not closed', expected: '"', got: 'the end of the file' });
          parts.push(text.slice(at + 1, end));
          at = end + 1;
          if (text[at] !== '"') break;
          parts.push('"');
        }
        cell = parts.join('');
        line += cell.split('\n').length - 1;
      } else {
        let end = at;
        while (end < text.length && text[end] !== delimiter && text[end] !== '\n') end++;
        cell = text.slice(at, end).replace(/\r$/, '');
        at = end;
      }
      row.cells.push(cell.trim());
      if (text[at] === '\r') at++;
      open = text[at] === delimiter;
      if (!open && at < text.length && text[at] !== '\n') {
        fail({
          where: `${where} line ${row.line}`,
          what: 'text after a closed quote',
          expected: `"${delimiter}" or the end of the line`,
          got: text[at],
        });
      }
      at++;
    }
    line++;
    if (row.cells.length > 1 || row.cells[0] !== '') rows.push(row);
  }
  return rows;
}

/** Names as tables spell them: `Class Id`, `class_id`, `Roi.X1`. */
const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Place of the first of `names` that the table has, or undefined. */
export function findColumn(table: Table, names: readonly string[]): number | undefined {
  const header = table.header.map(plain);
  for (const name of names) {
    const at = header.indexOf(plain(name));
    if (at >= 0) return at;
  }
  return undefined;
}

export const PATH_COLUMNS: readonly string[] = ['path', 'file', 'filename', 'filepath', 'image', 'image_path', 'img', 'img_path'];
export const LABEL_COLUMNS: readonly string[] = ['label', 'class', 'class_id', 'category', 'target', 'identity', 'type', 'class_name', 'y'];
export const SPLIT_COLUMNS: readonly string[] = ['split', 'set', 'subset', 'part', 'partition'];
