/** `secateur zoo lint`: what files are by their bytes, and whether loading them can run code. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { LINT_RULES, type LintedFile, lintFile, lintFolder } from '../zoo/lint/lint.node.ts';
import { readProject } from '../zoo/project.node.ts';
import { type LintVerdict, VERDICTS } from '../zoo/types.ts';
import { defineCommand } from './command.node.ts';
import { oneLine, oneLong } from './output.node.ts';
import { projectFields, projectRoot } from './zoo-project.node.ts';

export const zooLint = defineCommand({
  name: 'zoo lint',
  description:
    'Tells the format of each file by its bytes, never by its name, and says whether loading it can run code: ok, flagged (can be loaded with care) or refused (loading it can run code of its author, or it is malformed). Pickles are followed opcode by opcode against a list of imports that data need; nothing is executed. Ok says nothing about backdoors in the weights.',
  examples: [
    ['secateur zoo lint downloads/resnet50.pt', 'one file'],
    ['secateur zoo lint weights/ --fail-on flagged', 'a folder; exit code 3 unless all files are ok'],
    ['secateur zoo lint', 'all models of the project'],
  ],
  options: z.object({
    paths: z
      .array(z.string())
      .default([])
      .meta({ description: 'files and folders; default: the folder of models of the project', positional: true, placeholder: 'PATH' }),
    failOn: z.enum(['flagged', 'refused']).default('refused').meta({ description: 'the verdict from which on the exit code is 3' }),
    ...projectFields,
  }),
  async run(context, o) {
    const paths = o.paths.length > 0 ? o.paths : [await modelsFolder(o)];
    const files: LintedFile[] = [];
    for (const path of paths) {
      context.signal.throwIfAborted();
      context.progress.passing(`linting ${oneLine(path)}`);
      if ((await stat(path).catch(() => undefined))?.isDirectory()) {
        for (const { path: name, report } of await lintFolder(path)) files.push({ path: join(path, name), report });
      } else files.push({ path, report: await lintFile(path) });
    }
    const count = (verdict: LintVerdict): number => files.filter(({ report }) => report.verdict === verdict).length;
    const bad = files.filter(({ report }) => VERDICTS.indexOf(report.verdict) >= VERDICTS.indexOf(o.failOn));
    const counts = VERDICTS.map((verdict) => `${count(verdict)} ${verdict}`).join(', ');
    return {
      line: files.length === 1 ? `${files[0].report.verdict}: ${files[0].report.kind}` : `${files.length} files: ${counts}`,
      tables: files.length === 0 ? [] : [files.map(fileText).join('\n')],
      notes: ['Ok and flagged are about what loading a file can do. They do not say that the model has no backdoor.'],
      json: { rules: LINT_RULES, files: files.map(({ path, report }) => ({ path, ...report })) },
      exitCode: bad.length > 0 ? 3 : 0,
    };
  },
});

async function modelsFolder(o: { readonly project?: string }): Promise<string> {
  const root = projectRoot(o);
  return join(root, (await readProject(root)).manifest.folder);
}

/** `refused  pickle  weights.pt`, then a line for each finding. */
function fileText({ path, report }: LintedFile): string {
  const head = `${report.verdict.padEnd(7)}  ${report.kind.padEnd(11)}  ${oneLine(path)}`;
  return [
    head,
    ...report.findings.map(({ rule, verdict, says }) => `           ${verdict === 'refused' ? '!' : '-'} ${oneLong(says)} (${rule})`),
  ].join('\n');
}
