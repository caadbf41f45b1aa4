/** From a result and its pictures to one HTML file. Pure: the same input gives the same text, in Node and in a browser. */
import { renderToString } from 'preact-render-to-string';
import type { Result } from '../evaluate/result.ts';
import type { ReportMedia } from './media.ts';
import { Page } from './page.tsx';

/**
 * Draws the report: one self-contained HTML file with inline style and SVG and pictures as data URIs. It asks for nothing over the
 * network and holds no scripts. Sections appear for the tables and pictures that are there; a table with a name of its own is shown
 * as a plain table. Names and notes are escaped.
 */
export function renderReport(result: Result, media: ReportMedia = {}): string {
  const labelled = result.provenance.seeds.length === 1 ? withOneSeed(result) : result;
  return `<!doctype html>\n${renderToString(<Page result={labelled} media={media} />)}\n`;
}

/** Where the whole run has one seed, every number rests on one, said or not: a single-seed number is labelled so. */
function withOneSeed(result: Result): Result {
  const tables = result.tables.map((t) => ({ ...t, cells: t.cells.map((c) => ({ ...c, seeds: c.seeds ?? 1 })) }));
  return { ...result, tables };
}
