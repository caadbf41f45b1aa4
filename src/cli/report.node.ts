/** `secateur report`: draws a run folder's tables and pictures as one HTML file. */
import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { Result } from '../evaluate/result.ts';
import { ReportMedia } from '../report/media.ts';
import { renderReport } from '../report/render.tsx';
import { defineCommand } from './command.node.ts';

export const report = defineCommand({
  name: 'report',
  description: 'One self-contained file, readable without scripts and without network, light and dark.',
  examples: [['secateur report runs/demo-1', 'writes runs/demo-1/report.html']],
  options: z.object({
    run: z.string().meta({ description: 'run folder, with a result.json in it', positional: true, placeholder: 'RUN' }),
    out: z.string().optional().meta({ description: 'file to write; default: report.html in the run folder', placeholder: 'FILE' }),
  }),
  async run(_, { run, out }) {
    const result = await readPart(run, 'result.json', Result);
    const media = await readPart(run, 'media.json', ReportMedia, {});
    const written = out ?? join(run, 'report.html');
    await writeReport(written, renderReport(result, media));
    return {
      line: `report of ${result.recipe}, ${result.tables.length} tables`,
      json: { recipe: result.recipe, report: written },
      written,
    };
  },
});

/** Written beside, then renamed. */
export async function writeReport(path: string, html: string): Promise<void> {
  const beside = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFile(beside, html);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function readPart<S extends z.ZodType>(folder: string, name: string, schema: S, otherwise?: z.output<S>): Promise<z.output<S>> {
  const path = join(folder, name);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    if (otherwise !== undefined) return otherwise;
    return fail({ where: folder, what: 'not a finished run', expected: `a ${name} in it`, exitCode: 2 });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail({ where: path, what: 'not JSON' });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return fail({ where: path, what: `not what a run writes (at ${issue.path.join('.') || 'the top'})`, expected: issue.message });
}
