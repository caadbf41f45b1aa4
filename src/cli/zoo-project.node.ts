/** Which project a verb of the zoo works on. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { findProject } from '../zoo/project.node.ts';

export const projectFields = {
  project: z.string().optional().meta({
    description: 'folder with models.json and models.lock; default: the nearest one upwards from here',
    placeholder: 'DIR',
  }),
};

/** The project's folder. Throws SecateurError (exit code 2) where there is none. */
export function projectRoot({ project }: { readonly project?: string }): string {
  const found = findProject(project);
  if (found !== undefined) return found;
  const where = project === undefined ? resolve('.') : project;
  return fail({
    where,
    what: 'no models.json here or in a folder above',
    hint: '`secateur zoo init` to make one, or --project DIR',
    exitCode: 2,
  });
}

/** The same for what may begin a project: where there is none, the folder that was named, or the current one. */
export function projectRootOrHere({ project }: { readonly project?: string }, onNote: (text: string) => void): string {
  const found = findProject(project);
  if (found !== undefined) return found;
  const here = resolve(project ?? '.');
  onNote(`no models.json here or in a folder above: one is made in ${here}`);
  return here;
}
