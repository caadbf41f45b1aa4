/** `secateur zoo install`: the disk becomes what models.lock says. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { installModels } from '../zoo/verbs/install.node.ts';
import { defineCommand } from './command.node.ts';
import { columns } from './output.node.ts';
import { projectFields, projectRoot } from './zoo-project.node.ts';
import { acceptFields, fetchFields, fetchOptions } from './zoo-sources.node.ts';
import { counted, vouched } from './zoo-words.node.ts';

const STATES = { unchanged: 'as locked', placed: 'installed', locked: 'locked and installed' } as const;

export const zooInstall = defineCommand({
  name: 'zoo install',
  description:
    'Fetches what is missing or changed, and puts it into place only with exactly the bytes of models.lock. Models that are in models.json only are locked on the way, unless --frozen. Safe to stop at any moment and to run twice at once.',
  examples: [
    ['secateur zoo install --frozen', 'in CI: the lock must cover models.json, and is not written'],
    ['secateur zoo install --offline', 'from the cache alone'],
  ],
  options: z.object({
    names: z.array(z.string()).optional().meta({ description: 'only these models', positional: true, placeholder: 'NAME' }),
    frozen: z
      .boolean()
      .default(false)
      .meta({ description: 'fail where models.lock does not cover models.json; read every byte again, also of files that look untouched' }),
    ...acceptFields,
    ...fetchFields,
    ...projectFields,
  }),
  async run(context, o) {
    if (o.frozen && (o.acceptClaimMismatch || o.allowRefused)) {
      const where = o.allowRefused ? '--allow-refused' : '--accept-claim-mismatch';
      fail({ where, what: 'has no effect with --frozen, which locks nothing', exitCode: 2 });
    }
    context.progress.step('installing');
    const { models, orphans } = await installModels(projectRoot(o), {
      ...(await fetchOptions(context, o)),
      names: o.names,
      frozen: o.frozen,
      acceptClaimMismatch: o.acceptClaimMismatch,
      allowRefused: o.allowRefused,
    });
    const done = models.filter((m) => m.state !== 'unchanged').length;
    return {
      line: `${counted(models.length, 'model')} as in models.lock, ${done} of them installed now`,
      tables:
        models.length === 0 ? [] : [columns(models.map((m) => [`  ${m.name}`, STATES[m.state], vouched(m.entry, m.confirmed)])).join('\n')],
      notes: orphans.map((name) => `${name} is in models.lock but not in models.json (secateur zoo remove ${name})`),
      json: {
        models: models.map(({ name, state, folder, entry, confirmed }) => ({
          name,
          state,
          folder,
          integrity: entry.integrity,
          ...(entry.signature && { signer: entry.signature.signer, confirmed }),
        })),
        orphans,
      },
    };
  },
});
