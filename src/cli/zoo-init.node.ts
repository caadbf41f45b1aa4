/** `secateur zoo init`: a models.json to begin with. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { emptyLock, LOCK_FILE } from '../zoo/lock.ts';
import { DEFAULT_FOLDER, MANIFEST_FILE, newManifest } from '../zoo/manifest.ts';
import { findProject, writeFileAtomic, writeLockFile } from '../zoo/project.node.ts';
import { FORMATS } from '../zoo/types.ts';
import { defineCommand } from './command.node.ts';

export const zooInit = defineCommand({
  name: 'zoo init',
  description:
    'Writes models.json, which people edit, and an empty models.lock, which secateur writes; both are to be committed. In a Git repository the folder of the models is added to .gitignore, since the lock brings the same bytes back. Formats that can run code when they are loaded are refused also without a rule; --formats and --require write one for all models.',
  examples: [
    ['secateur zoo init', 'models go to models/'],
    ['secateur zoo init --folder nets --formats onnx,safetensors', 'another folder, and two formats only'],
  ],
  options: z.object({
    folder: z.string().default(DEFAULT_FOLDER).meta({ description: 'where models are put, relative to the project', placeholder: 'DIR' }),
    formats: z.array(z.enum(FORMATS)).optional().meta({
      description: 'the only formats that models may have; default: all that the format lint does not refuse',
      placeholder: 'FORMAT',
    }),
    require: z
      .enum(['lock', 'claim'])
      .default('lock')
      .meta({ description: 'the least that is wanted of every model: to be in the lock, or a published hash that matched' }),
    gitignore: z.boolean().default(true).meta({ description: 'add the folder to .gitignore', off: 'leave .gitignore as it is' }),
    project: z.string().optional().meta({ description: 'folder to make a project of; default: this one', placeholder: 'DIR' }),
  }),
  async run(_context, o) {
    const root = resolve(o.project ?? '.');
    for (const file of [MANIFEST_FILE, LOCK_FILE]) {
      if (existsSync(join(root, file))) {
        const hint = '`secateur zoo add SOURCE` to add a model, `secateur zoo audit` to see what is there';
        fail({ code: 'E_MANIFEST', where: file, what: 'is there already; nothing was changed', hint, exitCode: 2 });
      }
    }
    const above = findProject(root);
    const rule = o.require !== 'lock' || o.formats !== undefined;
    const text = newManifest(o.folder, rule ? [{ match: '**', require: o.require, ...(o.formats && { formats: o.formats }) }] : []);
    await mkdir(root, { recursive: true });
    await writeFileAtomic(join(root, MANIFEST_FILE), text);
    await writeLockFile(root, emptyLock());
    const lines = [`/${o.folder}/`, '.secateur/'];
    const ignored = o.gitignore && insideGit(root) && (await ignore(root, lines));
    return {
      line: `${MANIFEST_FILE} and ${LOCK_FILE} written`,
      tables: [
        'next:\n  secateur zoo add SOURCE     ./net.onnx, https://..., hf:owner/name, caffe:readme.md\n  secateur zoo audit          what is on this disk already\n  git add models.json models.lock, and models.sigs models.keys once something is signed',
      ],
      notes: [
        ...(ignored ? [`${lines.join(' and ')} stand in .gitignore now: models come back with \`secateur zoo install\``] : []),
        ...(above === undefined ? [] : [`${above} is a project too; from here on commands in ${root} mean this one`]),
      ],
      json: { root, folder: o.folder, gitignore: ignored },
      written: join(root, MANIFEST_FILE),
    };
  },
});

function insideGit(start: string): boolean {
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return true;
    if (dirname(folder) === folder) return false;
  }
}

/** Adds lines that are not there yet. Returns whether there were any. */
async function ignore(root: string, lines: readonly string[]): Promise<boolean> {
  const path = join(root, '.gitignore');
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return '';
    throw cause;
  });
  const there = new Set(text.split(/\r?\n/).map((line) => line.trim()));
  const added = lines.filter((line) => !there.has(line));
  if (added.length === 0) return false;
  return writeFileAtomic(path, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${added.join('\n')}\n`);
}
