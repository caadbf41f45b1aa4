/** `secateur zoo verify`: every byte on disk against the lock, signatures and policy; offline. */
import { z } from 'zod';
import { type VerifiedModel, verifyModels } from '../zoo/verbs/verify.node.ts';
import { defineCommand } from './command.node.ts';
import { size } from './output.node.ts';
import { projectFields, projectRoot } from './zoo-project.node.ts';
import { counted, SIGNATURE_HONESTY, tellers, vouched } from './zoo-words.node.ts';

export const zooVerify = defineCommand({
  name: 'zoo verify',
  description:
    'Hashes every file of every model again, checks signatures against the signers in models.json, and asks the policy. Nothing is fetched and nothing is changed. Exit code 3 where something is not as it should be.',
  examples: [
    ['secateur zoo verify', 'all models'],
    ['secateur zoo verify resnet50 --json', 'one, for a program'],
  ],
  options: z.object({
    names: z.array(z.string()).optional().meta({ description: 'only these models', positional: true, placeholder: 'NAME' }),
    quick: z
      .boolean()
      .default(false)
      .meta({ description: 'believe files whose size and times are as at the last check (whoever can write them can forge both)' }),
    ...projectFields,
  }),
  async run(context, o) {
    context.progress.step('hashing');
    const tell = tellers(context.progress);
    const { models, ok, bytes } = await verifyModels(projectRoot(o), { ...tell, signal: context.signal, names: o.names, quick: o.quick });
    const bad = models.filter((m) => !m.ok);
    const read = `${size(bytes)} read`;
    return {
      line: ok
        ? `${counted(models.length, 'model')} as in models.lock, ${read}`
        : `NOT ok: ${bad.length} of ${counted(models.length, 'model')}, ${read}`,
      tables: models.map((m) => lines(m).join('\n')),
      notes: models.some((m) => m.signature !== undefined) ? [SIGNATURE_HONESTY] : [],
      json: { ok, bytes, models: models.map(jsonOf) },
      exitCode: ok ? 0 : 3,
    };
  },
});

function lines(m: VerifiedModel): string[] {
  if (m.entry === undefined) return [`${m.name}: in models.json but not in models.lock (secateur zoo install)`];
  const asLocked = m.files?.changed.length === 0 && m.files.missing.length === 0;
  const isStranger = m.signatureError?.parts.code === 'E_SIG_SIGNER' || m.signatureError?.parts.code === 'E_SIG_HINT';
  const who = isStranger ? 'signed by nobody whom you named' : vouched(m.entry, m.signature !== undefined);
  const out = [`${m.name}: ${m.ok ? 'ok' : 'NOT ok'}, ${asLocked ? who : `not what was locked (that: ${who})`}`];
  if (m.stale !== undefined) out.push(`  stale    ${m.stale}`);
  for (const c of m.files?.changed ?? []) out.push(`  changed  ${c.path} ${c.says}`);
  for (const path of m.files?.missing ?? []) out.push(`  missing  ${path}`);
  for (const path of m.files?.extra ?? []) out.push(`  extra    ${path}: not in models.lock`);
  for (const path of m.files?.linked ?? []) out.push(`  linked   ${path} has a second name on this disk, through which it can be changed`);
  for (const { path, says } of m.formats) out.push(`  format   ${path} ${says}`);
  if (m.signatureError) out.push(`  ${m.signatureError.message}`);
  for (const warning of m.signature?.warnings ?? []) out.push(`  signature: ${warning}`);
  for (const p of m.policy) out.push(`  policy   ${p.says}${p.mode === 'warn' ? ' (warning)' : ''}`);
  return out;
}

const jsonOf = ({ name, ok, entry, stale, files, formats, signature, signatureError, policy }: VerifiedModel): unknown => ({
  name,
  ok,
  locked: entry !== undefined,
  integrity: entry?.integrity,
  stale,
  files,
  formats,
  signature,
  error: signatureError && { code: signatureError.parts.code, message: signatureError.message },
  policy: policy.map(({ mode, says, rule }) => ({ mode, says, match: rule.match })),
});
