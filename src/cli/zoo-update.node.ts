/** `secateur zoo update` and `zoo diff`: what the source offers now beside the lock. */
import { z } from 'zod';
import { diffModel, type FileState, type ModelChange, updateModels } from '../zoo/verbs/update.node.ts';
import { defineCommand } from './command.node.ts';
import { size } from './output.node.ts';
import { projectFields, projectRoot } from './zoo-project.node.ts';
import { acceptFields, fetchFields, fetchOptions } from './zoo-sources.node.ts';
import { counted, shortDigest } from './zoo-words.node.ts';

export const zooUpdate = defineCommand({
  name: 'zoo update',
  description:
    'The one way in which a locked model changes. Resolves the source again, fetches, checks all that `zoo add` checks, shows old and new, and writes the lock. A model that was signed does not become an unsigned one, or one of another signer, without --allow-unsigned.',
  examples: [
    ['secateur zoo update resnet50', 'one model'],
    ['secateur zoo update', 'all of them'],
  ],
  options: z.object({
    names: z.array(z.string()).optional().meta({ description: 'only these models', positional: true, placeholder: 'NAME' }),
    allowUnsigned: z
      .boolean()
      .default(false)
      .meta({ description: 'a signed model may become an unsigned one or change its signer, and one whose hash you gave may get another' }),
    ...acceptFields,
    ...fetchFields,
    ...projectFields,
  }),
  async run(context, o) {
    context.progress.step('asking the sources');
    const { changes } = await updateModels(projectRoot(o), o.names ?? [], {
      ...(await fetchOptions(context, o)),
      allowUnsigned: o.allowUnsigned,
      acceptClaimMismatch: o.acceptClaimMismatch,
      allowRefused: o.allowRefused,
    });
    const changed = changes.filter((c) => c.changed);
    return {
      line:
        changed.length === 0
          ? `${counted(changes.length, 'model')} looked at, none changed`
          : `${changed.length} of ${counted(changes.length, 'model')} updated`,
      tables: changed.map(changeText),
      notes: changed.filter((c) => c.silent).map(silentText),
      json: { changes },
    };
  },
});

export const zooDiff = defineCommand({
  name: 'zoo diff',
  description:
    'What the source offers now beside what is locked: revision, signer, files, and for ONNX files how many weights moved. The new files go to the cache; nothing else is touched.',
  examples: [['secateur zoo diff resnet50 --fail-on-change', 'exit code 3 where the source offers something else than the lock has']],
  options: z.object({
    name: z.string().meta({ description: 'the model', positional: true, placeholder: 'NAME' }),
    failOnChange: z.boolean().default(false).meta({ description: 'exit code 3 where something differs' }),
    ...fetchFields,
    ...projectFields,
  }),
  async run(context, o) {
    context.progress.step(`asking the source of ${o.name}`);
    const change = await diffModel(projectRoot(o), o.name, {
      ...(await fetchOptions(context, o)),
    });
    return {
      line: change.changed
        ? `${o.name}: its source offers something else than models.lock has`
        : `${o.name}: its source offers what models.lock has`,
      tables: change.changed ? [changeText(change)] : [],
      notes: change.silent ? [`${silentText(change)}: ask the publisher before \`secateur zoo update\``] : [],
      json: change,
      exitCode: o.failOnChange && change.changed ? 3 : 0,
    };
  },
});

const silentText = ({ name }: ModelChange): string => `${name}: its address has no version, and the bytes behind it changed without a word`;

function changeText({ name, files, resolved, signer }: ModelChange): string {
  const lines = [name];
  if (resolved[0] !== resolved[1]) lines.push(`  revision  ${resolved[0]} -> ${resolved[1]}`);
  if (signer[0] !== signer[1]) lines.push(`  signer    ${signer[0] ?? 'nobody'} -> ${signer[1] ?? 'nobody'}`);
  for (const { path, before, after, inside } of files) {
    lines.push(`  ${path}: ${stateText(before)} -> ${stateText(after)}`);
    if (inside !== undefined) lines.push(`    ${inside}`);
  }
  return lines.join('\n');
}

const stateText = (state: FileState | undefined): string =>
  state === undefined ? 'not there' : `${shortDigest(state.digest)} (${size(state.size)})`;
