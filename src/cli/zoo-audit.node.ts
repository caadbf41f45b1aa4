/** `secateur zoo audit`: one screen that says how far each model is vouched for. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { type AuditedModel, type AuditReport, audit, CONCERNS, failing } from '../zoo/audit.node.ts';
import { readProject } from '../zoo/project.node.ts';
import { defineCommand } from './command.node.ts';
import { columns, oneLine, size } from './output.node.ts';
import { projectFields, rootAt } from './zoo-project.node.ts';
import { counted, FILE_HONESTY, LOCK_HONESTY, SIGNATURE_HONESTY, shortDigest, tellers } from './zoo-words.node.ts';

/** Files and models that are listed without --all. */
const SHOWN = 12;

export const zooAudit = defineCommand({
  name: 'zoo audit',
  description:
    'Hashes every locked file and says for each model who vouches for its bytes: a signature by a key that models.json names (verified now), a hash that somebody published, or only the first download. Models whose bytes, signature or format are not what models.lock says come first, in a group of their own. Tells of addresses without TLS or version, hashes of SHA-1 and MD5 only, hashes that do not match, formats that can run code, rules that do not hold, and files of models below the project that no lock mentions (found by content; links to folders, node_modules, Python environments and version control are passed over). Works in any folder, also without models.json. Fetches nothing and changes nothing. Pinned on first use is no authenticity: it says that the bytes did not change since the first download. A file can change between an audit and its use: `openVerified` of the library hands out the very bytes that were hashed.',
  examples: [
    ['secateur zoo audit', 'who vouches for what'],
    ['secateur zoo audit --fail-on unverified --fail-on unsafe', 'in CI: exit code 3'],
    ['secateur zoo audit --project ~/experiments --json', 'any folder, for a program'],
  ],
  options: z.object({
    quick: z.boolean().default(false).meta({
      description: 'believe files whose size and times are as when they were last hashed (whoever can write them can forge both)',
    }),
    failOn: z
      .array(z.enum([...CONCERNS, 'any']))
      .optional()
      .meta({
        description:
          'exit code 3 if a model is unverified (nobody vouched for it, a hash or signature does not hold, it changed on disk, no lock mentions it), unsafe (format), unpinned (source); any: whatever is told. A locked model that is not installed here does not fail: there is nothing to check',
        placeholder: 'WHAT',
      }),
    all: z.boolean().default(false).meta({ description: 'list everything, not only what fits a screen' }),
    ...projectFields,
  }),
  async run(context, o) {
    const started = performance.now();
    const project = await readProject(rootAt(o.project) ?? resolve(o.project ?? '.'));
    if (project.lock.models.size > 0) context.progress.step('hashing');
    const report = await audit(project, {
      quick: o.quick,
      signal: context.signal,
      onProgress: tellers(context.progress).onProgress,
      onFile: (looked, path) => context.progress.passing(`${counted(looked, 'file')} besides looked at  ${path}`),
    });
    const failed = failing(report, o.failOn ?? []);
    const shown = o.all ? Number.POSITIVE_INFINITY : SHOWN;
    return {
      line: `${headline(report)} in ${((performance.now() - started) / 1000).toFixed(1)} s`,
      tables: [...groups(report), ...problems(report, shown), ...unknown(report, shown)],
      notes: [
        ...scanNotes(report),
        ...(failed > 0 ? [`${counted(failed, 'finding')} of --fail-on ${o.failOn?.join(', ')}`] : []),
        ...honesty(report),
      ],
      json: { ...report, failed },
      exitCode: failed > 0 ? 3 : 0,
    };
  },
});

function headline({ models, quick, lockPresent, unknown }: AuditReport): string {
  const besides = counted(unknown.looked, 'file');
  if (models.length === 0) {
    const lock = lockPresent ? 'models.lock has no models' : 'no models.lock here';
    if (unknown.models.length === 0) return `${lock}, and no model files among ${besides} looked at`;
    return `${lock}: nobody vouches for ${unknown.models.length === 1 ? 'the model file' : `any of the ${unknown.models.length} model files`} below; ${besides} looked at`;
  }
  const bad = models.filter((m) => !m.asLocked).length;
  const files = models.reduce((n, m) => n + m.files, 0);
  const bytes = models.reduce((n, m) => n + m.bytes, 0);
  const verdict =
    bad === 0 ? `audited ${counted(models.length, 'model')}` : `${bad} of ${counted(models.length, 'model')} NOT what models.lock says`;
  const here = models.some((m) => m.disk === 'not-installed') ? 'that is here ' : '';
  const how = quick ? 'files that look untouched believed' : `every byte ${here}hashed`;
  return `${verdict} (${counted(files, 'file')}, ${size(bytes)}), ${how}, ${counted(unknown.looked, 'other file')} looked at`;
}

interface Group {
  readonly heading: (n: number) => string;
  /** Whether a model is of it; each is of the first that takes it. */
  is(m: AuditedModel): boolean;
  /** What stands behind the name. */
  behind?(m: AuditedModel): string;
}

const one = (n: number, thing: string, singular: string, plural: string): string => `${counted(n, thing)} ${n === 1 ? singular : plural}`;
const has = (m: AuditedModel, rule: string): boolean => m.problems.some((p) => p.rule === rule);
const isUsers = (m: AuditedModel): boolean => m.hashesFrom?.length === 1 && m.hashesFrom[0] === 'user';

const GROUPS: readonly Group[] = [
  {
    heading: (n) => one(n, 'model', 'is NOT what the lock says', 'are NOT what the lock says'),
    is: (m) => !m.asLocked,
    behind: (m) =>
      Object.entries(WRONG)
        .flatMap(([rule, words]) => (has(m, rule) ? [words] : []))
        .join(', '),
  },
  {
    heading: (n) => `${counted(n, 'model')} not in models.lock: nothing says which bytes`,
    is: (m) => !m.locked,
  },
  {
    heading: (n) => one(n, 'model', 'is not installed here: nothing to check', 'are not installed here: nothing to check'),
    is: (m) => m.disk === 'not-installed',
    behind: (m) =>
      `in the lock: ${m.integrity === 'signed' ? `signed, ${signerText(m)}` : m.integrity === 'matched-published-claim' ? hashText(m) : 'nobody vouches for it'}`,
  },
  {
    heading: (n) => one(n, 'model', 'does not have the hash that its publisher shows', 'do not have the hashes that their publishers show'),
    is: (m) => has(m, 'claim-mismatch'),
  },
  {
    heading: (n) => one(n, 'model', 'has a verified signature', 'have verified signatures'),
    is: (m) => m.integrity === 'signed',
    behind: signerText,
  },
  {
    heading: (n) => one(n, 'model', 'matches a published hash (nobody signed it)', 'match a published hash (nobody signed them)'),
    is: (m) => m.integrity === 'matched-published-claim' && !isUsers(m),
    behind: hashText,
  },
  {
    heading: (n) =>
      one(n, 'model', 'matches a hash that one of you gave (nobody signed it)', 'match a hash that one of you gave (nobody signed them)'),
    is: isUsers,
    behind: hashText,
  },
  {
    heading: (n) => one(n, 'model', 'was never verified by anyone but this lock file', 'were never verified by anyone but this lock file'),
    is: (m) => m.integrity === 'pinned-on-first-use',
  },
];

const WRONG: Readonly<Record<string, string>> = {
  changed: 'other bytes on this disk',
  missing: 'files missing on this disk',
  signature: 'its signature does not hold',
  'format-hidden': 'a format that the lock hides',
};

/** A fingerprint as far as a person compares it. */
const shortSigner = (signer: string): string => (/^sha256:[0-9a-f]{64}$/.test(signer) ? shortDigest(signer) : signer);

/** `keys/team.pub (sha256:0123456789abcdef...)`; a name of a person or a job stands whole. */
function signerText({ signer = '', signerFiles = [] }: AuditedModel): string {
  const digest = shortSigner(signer);
  return oneLine(signerFiles.length === 0 ? digest : `${signerFiles.join(', ')} (${digest})`, 300);
}

const SHOWN_BY: Readonly<Record<string, string>> = {
  'caffe-readme': 'a hash on its page',
  'hf-lfs-oid': "a hash in the hub's index",
  'hf-git-oid': "a hash in the hub's index",
  user: 'a hash given with --sha256',
};
function hashText({ hashesFrom = [] }: AuditedModel): string {
  return [...new Set(hashesFrom.map((from) => SHOWN_BY[from] ?? from))].join(', ');
}

/** Who vouches for which model; what is wrong comes first. */
function groups({ models }: AuditReport): string[] {
  const lines: string[] = [];
  const left = new Set(models);
  for (const { heading, is, behind } of GROUPS) {
    const these = [...left].filter(is);
    for (const m of these) left.delete(m);
    if (these.length === 0) continue;
    lines.push(heading(these.length));
    if (behind === undefined) lines.push(`  ${these.map((m) => m.name).join(', ')}`);
    else lines.push(...columns(these.map((m) => [`  ${m.name}`, behind(m)])));
  }
  const attested = models.filter((m) => m.attested !== undefined);
  if (attested.length > 0) lines.push('attested', ...columns(attested.map((m) => [`  ${m.name}`, attestedText(m)])));
  return lines.length === 0 ? [] : [lines.join('\n')];
}

/** `PASSED by sha256:0123...: secateur evaluate net ...`: what signers of its rules say of these bytes. */
function attestedText({ attested }: AuditedModel): string {
  const results = attested?.results ?? [];
  if (results.length === 0) return `${attested?.path}: nothing in it is by a signer of its rules and about all of these bytes`;
  return results
    .map((r) => `${r.result} by ${shortSigner(r.signer)}${r.command === undefined ? '' : `: ${oneLine(r.command, 100)}`}`)
    .join('; ');
}

/** What none of the above says. */
function honesty({ models, unknown }: AuditReport): string[] {
  if (models.some((m) => m.signer !== undefined)) return [SIGNATURE_HONESTY];
  if (models.some((m) => m.locked)) return [LOCK_HONESTY];
  return unknown.models.length > 0 ? [FILE_HONESTY] : [];
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
  const old = models.find((m) => m.problems.some((p) => p.rule === 'old-rules'))?.problems.find((p) => p.rule === 'old-rules');
  if (old) lines.push(`${old.says} (${old.hint})`);
  return lines.length === 0 ? [] : [lines.join('\n')];
}

const weight = (m: AuditedModel): number => (m.asLocked ? 0 : 10) + new Set(m.problems.flatMap((p) => p.concerns)).size;

function unknown({ unknown: { models, arrays }, lockPresent, copies }: AuditReport, shown: number): string[] {
  const lines: string[] = [];
  if (models.length > 0) {
    const where = lockPresent ? 'in no lock file' : 'locked by nothing';
    const [is, many] = [`model file on disk is ${where}`, `model files on disk are ${where}`];
    lines.push(`${models.length} ${models.length === 1 ? is : many}`);
    const worst = { refused: 0, flagged: 1, ok: 2 } as const;
    const rank = (f: (typeof models)[number]): number => (f.kind === 'unknown' && f.packed === undefined ? 3 : worst[f.verdict]);
    const order = [...models].sort((a, b) => rank(a) - rank(b));
    const rows = order.slice(0, shown).map((f) => {
      const link = f.target === undefined ? '' : `link to ${f.target}; `;
      const says = f.verdict === 'ok' ? 'ok' : `${f.verdict}: ${f.says}`;
      return [`  ./${oneLine(f.path, 200)}`, size(f.size), f.packed === undefined ? f.kind : 'packed', oneLine(`${link}${says}`, 200)];
    });
    lines.push(...columns([['  file', 'size', 'format', 'loading it'], ...rows], [1]));
    if (models.length > shown) lines.push(`  ... ${models.length - shown} more: --all, or --json`);
    lines.push('  secateur zoo add ./FILE --name NAME locks one');
  }
  if (copies.length > 0) {
    const named = copies.slice(0, shown).map((c) => `./${c.path} (${c.of})`);
    lines.push(
      `copies of locked files: ${oneLine(named.join(', '), 1000)}${copies.length > shown ? ` and ${copies.length - shown} more` : ''}`,
    );
  }
  if (arrays.count > 0) {
    lines.push(`${counted(arrays.count, 'array')} (npy, npz; ${size(arrays.bytes)}) besides, weights or data`);
    if (shown === Number.POSITIVE_INFINITY) lines.push(...arrays.paths.map((path) => `  ./${oneLine(path, 200)}`));
  }
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
