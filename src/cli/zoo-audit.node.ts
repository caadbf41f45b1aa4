/** `secateur zoo audit`: one screen that says how far each model is vouched for. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { type AuditedModel, type AuditReport, audit, CONCERNS, failing } from '../zoo/audit.node.ts';
import { readProject } from '../zoo/project.node.ts';
import type { Integrity } from '../zoo/types.ts';
import { defineCommand } from './command.node.ts';
import { columns, oneLine, size } from './output.node.ts';
import { projectFields, rootAt } from './zoo-project.node.ts';
import { counted, SIGNATURE_HONESTY, tellers } from './zoo-words.node.ts';

/** Files and models that are listed without --all. */
const SHOWN = 12;

export const zooAudit = defineCommand({
  name: 'zoo audit',
  description:
    'Says for each model who vouches for its bytes: a signature by a key that models.json names (verified now), a hash that somebody published, or only the first download. Tells of addresses without TLS or version, hashes of SHA-1 and MD5 only, hashes that do not match, formats that can run code, files that are not as locked, rules that do not hold, and files of models below the project that no lock mentions (found by content; links to folders, node_modules, Python environments and version control are passed over). Works in any folder, also without models.json. Fetches nothing and changes nothing. Pinned on first use is no authenticity: it says that the bytes did not change since the first download. A file can change between an audit and its use: `openVerified` of the library hands out the very bytes that were hashed.',
  examples: [
    ['secateur zoo audit', 'who vouches for what'],
    ['secateur zoo audit --full --fail-on unverified --fail-on unsafe', 'in CI: every byte hashed, exit code 3'],
    ['secateur zoo audit --project ~/experiments --json', 'any folder, for a program'],
  ],
  options: z.object({
    full: z.boolean().default(false).meta({ description: 'hash every installed file, not only compare sizes' }),
    failOn: z
      .array(z.enum([...CONCERNS, 'any']))
      .optional()
      .meta({
        description:
          'exit code 3 if a model is unverified (nobody vouched for it, a hash or signature does not hold, it changed on disk, no lock mentions it), unsafe (format), unpinned (source); any: whatever is told',
        placeholder: 'WHAT',
      }),
    all: z.boolean().default(false).meta({ description: 'list everything, not only what fits a screen' }),
    ...projectFields,
  }),
  async run(context, o) {
    const started = performance.now();
    const project = await readProject(rootAt(o.project) ?? resolve(o.project ?? '.'));
    const { onProgress } = tellers(context.progress);
    const report = await audit(project, { full: o.full, signal: context.signal, onProgress });
    const failed = failing(report, o.failOn ?? []);
    const shown = o.all ? Number.POSITIVE_INFINITY : SHOWN;
    return {
      line: `${headline(report)} in ${((performance.now() - started) / 1000).toFixed(1)} s`,
      tables: [...groups(report), ...problems(report, shown), ...unknown(report, shown)],
      notes: [
        ...scanNotes(report),
        ...(failed > 0 ? [`${counted(failed, 'finding')} of --fail-on ${o.failOn?.join(', ')}`] : []),
        SIGNATURE_HONESTY,
      ],
      json: { ...report, failed },
      exitCode: failed > 0 ? 3 : 0,
    };
  },
});

function headline({ models, full, lockPresent, unknown }: AuditReport): string {
  if (!lockPresent && models.length === 0) return `no models.lock here, so nothing is locked; ${counted(unknown.looked, 'file')} looked at`;
  const files = models.reduce((n, m) => n + m.files, 0);
  const bytes = models.reduce((n, m) => n + m.bytes, 0);
  const how = full ? 'every byte hashed' : 'sizes compared';
  return `audited ${counted(models.length, 'model')} (${counted(files, 'file')}, ${size(bytes)}), ${how}, ${counted(unknown.looked, 'other file')} looked at`;
}

const HEADINGS: readonly (readonly [Integrity, (n: number) => string])[] = [
  ['signed', (n) => `${counted(n, 'model')} ${n === 1 ? 'has a verified signature' : 'have verified signatures'}`],
  ['matched-published-claim', (n) => `${counted(n, 'model')} ${n === 1 ? 'matches' : 'match'} a published hash (not authenticated)`],
  ['pinned-on-first-use', (n) => `${counted(n, 'model')} ${n === 1 ? 'was' : 'were'} never verified by anyone but this lock file`],
];

/** Who vouches for which model: three lines, with the names. */
function groups({ models }: AuditReport): string[] {
  const lines: string[] = [];
  for (const [level, heading] of HEADINGS) {
    const these = models.filter((m) => m.integrity === level);
    if (these.length === 0) continue;
    lines.push(heading(these.length));
    if (level === 'signed') lines.push(...columns(these.map((m) => [`  ${m.name}`, oneLine(m.signer ?? '')])));
    else lines.push(`  ${these.map((m) => m.name).join(', ')}`);
  }
  const open = models.filter((m) => !m.locked);
  if (open.length > 0) lines.push(`${counted(open.length, 'model')} not in models.lock`, `  ${open.map((m) => m.name).join(', ')}`);
  return lines.length === 0 ? [] : [lines.join('\n')];
}

/** What is to be done, model by model; the worst models first. */
function problems({ models }: AuditReport, shown: number): string[] {
  const concerned = models.filter((m) => m.problems.some((p) => p.info !== true)).sort((a, b) => weight(b) - weight(a));
  const lines = concerned.slice(0, shown).flatMap((m) => [
    m.name,
    ...m.problems
      .filter((p) => p.info !== true)
      .map((p) => {
        const tags = p.concerns.length === 0 ? '' : ` [${p.concerns.join(', ')}]`;
        return `  ${oneLine(p.says, 1000)}${tags}${p.hint === undefined ? '' : `\n    ${oneLine(p.hint, 1000)}`}`;
      }),
  ]);
  if (concerned.length > shown) lines.push(`... ${concerned.length - shown} more models: --all, or --json`);
  const absent = models.filter((m) => m.locked && m.disk === 'not-installed').map((m) => m.name);
  if (absent.length > 0) lines.push(`not installed here: ${absent.slice(0, shown).join(', ')}${absent.length > shown ? ' and more' : ''}`);
  const old = models.find((m) => m.problems.some((p) => p.rule === 'old-rules'))?.problems.find((p) => p.rule === 'old-rules');
  if (old) lines.push(`${old.says} (${old.hint})`);
  return lines.length === 0 ? [] : [lines.join('\n')];
}

const weight = (m: AuditedModel): number => new Set(m.problems.flatMap((p) => p.concerns)).size;

function unknown({ unknown: { models, arrays }, lockPresent, copies }: AuditReport, shown: number): string[] {
  const lines: string[] = [];
  if (models.length > 0) {
    const where = lockPresent ? 'in no lock file' : 'locked by nothing';
    lines.push(`${counted(models.length, 'model file')} on disk ${models.length === 1 ? 'is' : 'are'} ${where}`);
    const worst = { refused: 0, flagged: 1, ok: 2 } as const;
    const rank = (f: (typeof models)[number]): number => (f.kind === 'unknown' ? 3 : worst[f.verdict]);
    const order = [...models].sort((a, b) => rank(a) - rank(b));
    const rows = order.slice(0, shown).map((f) => {
      const link = f.target === undefined ? '' : `link to ${f.target}; `;
      const says = f.verdict === 'ok' ? 'ok' : `${f.verdict}: ${f.says}`;
      return [`  ./${oneLine(f.path, 200)}`, size(f.size), f.kind, oneLine(`${link}${says}`, 200)];
    });
    lines.push(...columns(rows, [1]));
    if (models.length > shown) lines.push(`  ... ${models.length - shown} more: --all, or --json`);
    lines.push('  secateur zoo add ./FILE --name NAME locks one');
  }
  if (copies.length > 0) {
    const named = copies.slice(0, shown).map((c) => `./${c.path} (${c.of})`);
    lines.push(
      `copies of locked files: ${oneLine(named.join(', '), 1000)}${copies.length > shown ? ` and ${copies.length - shown} more` : ''}`,
    );
  }
  if (arrays.count > 0) lines.push(`${counted(arrays.count, 'array')} (npy, npz; ${size(arrays.bytes)}) besides, weights or data`);
  return lines.length === 0 ? [] : [lines.join('\n')];
}

function scanNotes({ unknown: { complete, unreadable }, idleRules, root }: AuditReport): string[] {
  const notes = idleRules.map((glob) => `the rule for ${JSON.stringify(glob)} in models.json fits no model`);
  if (!complete) notes.push(`${root} holds more than 200,000 files: not all were looked at`);
  if (unreadable.length > 0)
    notes.push(
      `could not be read: ${oneLine(unreadable.slice(0, 5).join(', '), 1000)}${unreadable.length > 5 ? ` and ${unreadable.length - 5} more` : ''}`,
    );
  return notes;
}
