/** `secateur schema`: JSON Schema of the config files, for completion in editors. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import { defineCommand } from './command.node.ts';
import { configSchema } from './options.node.ts';

export const schema = defineCommand({
  name: 'schema',
  description: 'The same schema makes the flags and checks the file given with --config.',
  examples: [['secateur schema train > train.schema.json', 'in train.yaml: # yaml-language-server: $schema=train.schema.json']],
  options: z.object({
    command: z
      .string()
      .optional()
      .meta({ description: 'the command, such as train or "attack badnet"; default: all', positional: true, placeholder: 'COMMAND' }),
  }),
  async run(_, { command }) {
    const { entries } = await import('./registry.node.ts');
    const described = entries.filter((entry) => entry.name !== 'schema');
    const wanted = command === undefined ? described : described.filter((entry) => entry.name === command);
    if (wanted.length === 0) {
      const names = described.map((entry) => entry.name);
      const close = nearest(command ?? '', names);
      fail({
        where: 'schema',
        what: `no command "${command}"`,
        expected: `one of ${names.join(', ')}`,
        hint: close === undefined ? undefined : `secateur schema "${close}"`,
        exitCode: 2,
      });
    }
    const schemas = await Promise.all(wanted.map(async (entry) => configSchema(entry.name, (await entry.load()).options)));
    const $schema = 'https://json-schema.org/draft/2020-12/schema';
    const json =
      command === undefined
        ? { $schema, title: 'secateur', $defs: Object.fromEntries(wanted.map((entry, i) => [entry.name, schemas[i]])) }
        : { ...schemas[0], $schema };
    return { line: JSON.stringify(json, null, 2), json };
  },
});
