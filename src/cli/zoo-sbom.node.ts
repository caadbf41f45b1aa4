/** `secateur zoo sbom`: a bill of materials of the models in the lock. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import { attestedFacts } from '../zoo/attest/attested-facts.node.ts';
import { collectFacts } from '../zoo/bom/collect.node.ts';
import type { ModelFacts } from '../zoo/bom/facts.ts';
import { type BomSubject, bomText, mlBom } from '../zoo/bom/ml-bom.ts';
import { validateBom } from '../zoo/bom/validate.node.ts';
import { modelFolder, readProject } from '../zoo/project.node.ts';
import type { SigningTrust } from '../zoo/signing/types.ts';
import { writeWhole } from '../zoo/store/disk.node.ts';
import type { LockedModel } from '../zoo/types.ts';
import { defineCommand } from './command.node.ts';
import { version } from './run.node.ts';

import { projectFields, projectRoot } from './zoo-project.node.ts';
import { counted } from './zoo-words.node.ts';

export const zooSbom = defineCommand({
  name: 'zoo sbom',
  description:
    'CycloneDX 1.6 JSON, checked against its schema before it is written: a component machine-learning-model for each model of models.lock with the hashes of its files, how far it is vouched for and by whom, its claims, and a model card of what its ONNX file holds and its readme states. Installed files are compared with the lock as they are read. The same lock and files give the same bytes; there is a time in it only where SOURCE_DATE_EPOCH is set.',
  examples: [
    ['secateur zoo sbom > bom.json', 'of all models of this project'],
    ['secateur zoo sbom resnet50 --out resnet50.cdx.json', 'of one'],
    ['secateur zoo sbom --subject scanner@2.1.0', 'names the program that uses them'],
    ['secateur zoo sbom --attested-by auditor.pub', 'with the figures that this auditor signed, on these bytes only'],
  ],
  options: z.object({
    names: z
      .array(z.string())
      .default([])
      .meta({ description: 'models; default: all in models.lock', positional: true, placeholder: 'NAME' }),
    out: z.string().optional().meta({ description: 'file to write instead of stdout', placeholder: 'FILE' }),
    subject: z.string().optional().meta({
      description: 'what uses the models; default: name and version in package.json beside models.json, else nothing',
      placeholder: 'NAME[@VERSION]',
    }),
    attestedBy: z
      .array(z.string())
      .optional()
      .meta({ description: 'public key (PEM) whose attestations on these bytes become figures of the model card', placeholder: 'FILE' }),
    ...projectFields,
  }),
  async run(context, o) {
    const root = projectRoot(o);
    const project = await readProject(root);
    const models = chosen(project.lock.models, o.names);
    const facts = new Map<string, ModelFacts>();
    const trust: SigningTrust[] = [];
    for (const path of o.attestedBy ?? []) trust.push({ method: 'key', publicKey: await keyText(path) });
    for (const [name, model] of models) {
      context.signal.throwIfAborted();
      context.progress.step(`reading ${name}`);
      const found = collectFacts({ name, folder: modelFolder(project, name), model });
      for (const note of found.notes) context.progress.line(`note: ${note}`);
      const attested = await attestedFacts(root, name, model, trust);
      facts.set(name, { ...found.facts, ...(attested && { attested }) });
    }
    context.progress.done();
    const bom = mlBom(models, { tool: version(), subject: await subjectOf(root, o.subject), epoch: epochOf(process.env), facts });
    const text = bomText(bom);
    await validateBom(text);
    if (o.out === undefined) return { line: '', text, json: bom };
    await writeWhole(o.out, text);
    const files = [...models.values()].reduce((n, m) => n + m.files.length, 0);
    return { line: `CycloneDX 1.6: ${counted(models.size, 'model')}, ${counted(files, 'file')}`, json: bom, written: o.out };
  },
});

function chosen(all: ReadonlyMap<string, LockedModel>, names: readonly string[]): Map<string, LockedModel> {
  if (names.length === 0) return new Map(all);
  return new Map(
    names.map((name): [string, LockedModel] => {
      const model = all.get(name);
      if (model !== undefined) return [name, model];
      const close = nearest(name, all.keys());
      const hint = close === undefined ? undefined : `"${close}"`;
      const expected = all.size === 0 ? 'a lock with models in it' : `one of ${[...all.keys()].slice(0, 8).join(', ')}`;
      return fail({ code: 'E_NAME', where: name, what: 'no model of that name in models.lock', expected, hint, exitCode: 2 });
    }),
  );
}

async function keyText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const got = (cause as NodeJS.ErrnoException).code;
    return fail({ where: path, what: 'cannot be read', expected: 'a public key in PEM', got, exitCode: 2, cause });
  }
}

/** What was said, or the package that models.json is part of. */
async function subjectOf(root: string, said: string | undefined): Promise<BomSubject | undefined> {
  if (said !== undefined) {
    const at = said.lastIndexOf('@');
    const [name, of] = at > 0 ? [said.slice(0, at), said.slice(at + 1)] : [said, undefined];
    if (name.trim() === '' || of === '') {
      fail({ where: '--subject', what: 'no name or no version', expected: 'NAME or NAME@VERSION', got: `"${said}"`, exitCode: 2 });
    }
    return { name, version: of };
  }
  try {
    const found = z
      .object({ name: z.string().min(1), version: z.string().min(1).optional() })
      .safeParse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
    return found.success ? found.data : undefined;
  } catch {
    // No package.json, or not one for a bill: the models stand for themselves.
    return undefined;
  }
}

/** Seconds since 1970 (reproducible-builds.org); dates beyond the year 9999 have no form in the schema. */
const LAST_SECOND = 253_402_300_799;

/** @throws SecateurError (exit code 2) where the variable is set to something else */
function epochOf({ SOURCE_DATE_EPOCH: text }: NodeJS.ProcessEnv): number | undefined {
  if (text === undefined || text === '') return undefined;
  const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= LAST_SECOND) return value;
  const expected = 'seconds since 1970, as a whole number';
  return fail({ where: 'SOURCE_DATE_EPOCH', what: 'is no time', expected, got: `"${text}"`, exitCode: 2 });
}
