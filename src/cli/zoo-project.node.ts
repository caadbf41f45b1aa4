/** Which project a verb of the zoo works on. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { LOCK_FILE } from '../zoo/lock.ts';
import { MANIFEST_FILE } from '../zoo/manifest.ts';
import { findProject } from '../zoo/project.node.ts';

export const projectFields = {
  project: z.string().optional().meta({
    description: 'folder with models.json and models.lock, and none above it; default: the nearest one upwards from here',
    placeholder: 'DIR',
  }),
};

/** The project's folder: the one that was named and none above it, else the nearest. Throws SecateurError (exit code 2) where there is none. */
export function projectRoot({ project }: { readonly project?: string }): string {
  const found = rootAt(project);
  if (found !== undefined) return found;
  return fail({
    where: resolve(project ?? '.'),
    what: project === undefined ? 'no models.json here or in a folder above' : `no ${MANIFEST_FILE} or ${LOCK_FILE} in it`,
    hint: `\`secateur zoo init\` to make one, or ${project === undefined ? '--project DIR' : 'another --project'}`,
    exitCode: 2,
  });
}

/** The same for what may begin a project: where there is none, the folder that was named, or the current one. */
export function projectRootOrHere({ project }: { readonly project?: string }, onNote: (text: string) => void): string {
  const found = rootAt(project);
  if (found !== undefined) return found;
  const here = resolve(project ?? '.');
  onNote(`no models.json ${project === undefined ? 'here or in a folder above' : 'yet'}: one is made in ${here}`);
  return here;
}

/** Undefined where no project is there. Throws SecateurError (exit code 2) where the folder that was named is none. */
export function rootAt(project: string | undefined): string | undefined {
  if (project === undefined) return findProject();
  const folder = resolve(project);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    fail({ where: project, what: 'is no folder', hint: 'the folder of a project', exitCode: 2 });
  }
  return findProject(folder) === folder ? folder : undefined;
}
