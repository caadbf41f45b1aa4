/** `secateur zoo explain`: what a signature covers, and what it does not. */
import { basename } from 'node:path';
import { z } from 'zod';
import { SecateurError } from '../core/errors.ts';
import { readStatement, type StatementFacts } from '../zoo/attest/covers.ts';
import { TEST_RESULT_TYPE } from '../zoo/attest/statement.ts';
import { parseBundle } from '../zoo/signing/bundle.ts';
import { type BundleDescription, type CertificateClaim, describeBundle } from '../zoo/signing/describe.node.ts';
import { Steps } from '../zoo/signing/steps.ts';
import { defineCommand } from './command.node.ts';
import { columns, oneLong } from './output.node.ts';
import { readSigningFile } from './zoo-signing.node.ts';
import { counted } from './zoo-words.node.ts';

/** Files that are printed without --all. */
const SHOWN = 25;

export const zooExplain = defineCommand({
  name: 'zoo explain',
  description:
    'Takes a signature bundle apart: who it says signed, which files it covers and which it leaves out (the signer chooses that, and may leave out the model), and what is odd about it. Verifies nothing: `secateur zoo verify-sig` does. A file of attestations (.jsonl) is taken line by line.',
  examples: [
    ['secateur zoo explain models/ours/model.sig', 'one bundle'],
    ['secateur zoo explain models.sigs/resnet50.intoto.jsonl', 'the attestations of a model'],
  ],
  options: z.object({
    bundle: z.string().meta({ description: 'the signature file', positional: true, placeholder: 'BUNDLE' }),
    all: z
      .boolean()
      .default(false)
      .meta({ description: `every file, not only the first ${SHOWN}` }),
  }),
  async run(_context, o) {
    const bytes = await readSigningFile(o.bundle, 'BUNDLE');
    const parts = o.bundle.endsWith('.jsonl') ? linesOf(bytes) : [{ line: 1, bytes }];
    const read = parts.map(({ line, bytes: part }) => ({ line, ...describedOr(part, o.bundle, line, parts.length === 1) }));
    const found = read.flatMap(({ line, is }) => (is === undefined ? [] : [{ line, is }]));
    const broken = read.flatMap(({ line, problem }) => (problem === undefined ? [] : [`line ${line}: no bundle\n  ${oneLong(problem)}`]));
    const faults = found.length - found.filter(({ is }) => is.refusal === undefined).length + broken.length;
    const what = parts.length === 1 ? `a bundle signed by ${signerWords(found[0].is)}` : `${counted(found.length, 'bundle')}`;
    return {
      line: `${what}; this is what it says of itself, nothing was verified`,
      tables: [
        ...found.flatMap(({ is, line }) =>
          sections(is, basename(o.bundle), o.all ? Number.POSITIVE_INFINITY : SHOWN, parts.length === 1 ? '' : `line ${line}: `),
        ),
        ...broken,
      ],
      notes:
        faults === 0
          ? []
          : [
              parts.length === 1
                ? 'it is refused whoever signed, see above'
                : `refused whoever signed: ${faults} of ${parts.length}, see above`,
            ],
      json: parts.length === 1 ? found[0].is : read.map(({ line, is, problem }) => ({ line, ...(is ?? { problem }) })),
      exitCode: faults === 0 ? 0 : 3,
    };
  },
});

type Described = BundleDescription & { readonly test?: StatementFacts['test'] };

/** With the result of the test, where the bundle is an attestation of one. */
function described(bytes: Uint8Array, where: string): Described {
  const found = describeBundle(bytes, where);
  if (found.predicateType !== TEST_RESULT_TYPE) return found;
  return { ...found, test: readStatement(parseBundle(bytes, new Steps(where)).payload, `${where} (payload)`).test };
}

/** Why it is no bundle, where it is one line of several: whoever can add a line to a file must not hide the others by it. */
function describedOr(bytes: Uint8Array, file: string, line: number, only: boolean): { readonly is?: Described; readonly problem?: string } {
  try {
    return { is: described(bytes, only ? file : `${file}:${line}`) };
  } catch (error) {
    if (only || !(error instanceof SecateurError)) throw error;
    return { problem: error.message };
  }
}

/** Lines that hold something, with their numbers. */
function linesOf(bytes: Uint8Array): { readonly line: number; readonly bytes: Uint8Array }[] {
  const lines: { line: number; bytes: Uint8Array }[] = [];
  for (let at = 0, line = 1; at < bytes.length; line++) {
    const found = bytes.indexOf(10, at);
    const end = found < 0 ? bytes.length : found;
    const part = bytes.subarray(at, end);
    if (part.some((byte) => byte !== 32 && byte !== 13 && byte !== 9)) lines.push({ line, bytes: part });
    at = end + 1;
  }
  return lines.length === 0 ? [{ line: 1, bytes }] : lines;
}

function signerWords({ method, key, certificates }: BundleDescription): string {
  if (method === 'key') return key === undefined ? 'a key that it does not name' : `the key ${key}`;
  const [leaf] = certificates;
  if (method === 'certificate') return `${leaf.subject || 'a certificate without a name'} (${leaf.fingerprint.slice(0, 23)}...)`;
  return `${leaf.identity ?? 'an identity it does not name'}, for whom ${leaf.identityIssuer ?? 'nobody'} vouched`;
}

function sections(d: Described, file: string, limit: number, prefix: string): string[] {
  const { statement } = d;
  const facts = [
    [
      'method',
      { key: 'a key', certificate: 'a certificate under an authority', sigstore: 'an identity without a key (sigstore)' }[d.method],
    ],
    ...(d.key === undefined ? [] : [['key', d.key]]),
    ...d.certificates.map((c, i) => [i === 0 ? 'certificate' : `issuer ${i}`, certificateWords(c)]),
    ...(d.method === 'sigstore'
      ? [['log', `${counted(d.logEntries, 'entry').replace(/entrys$/, 'entries')}, ${counted(d.timestamps, 'time stamp')}`]]
      : []),
    [
      'statement',
      `${d.predicateType} over ${
        d.subjects
          .map(({ name }) => name || '(no name)')
          .slice(0, 5)
          .join(', ') || 'nothing'
      }`,
    ],
    ...testFacts(d.test),
    ...(statement === undefined ? [] : [['digest', `${statement.root} over all files; it does not bind their names, the list below does`]]),
    ...(statement === undefined
      ? []
      : [['hashes', `${statement.hash} of ${statement.method === 'files' ? 'whole files' : `ranges of ${statement.shardSize} bytes`}`]]),
  ];
  const out = [[`${prefix}signed`, ...indent(columns(facts))].join('\n')];
  if (d.refusal !== undefined) out.push(['REFUSED', ...indent([d.refusal])].join('\n'));
  if (statement !== undefined) {
    const names = statement.resources.map(({ name, digest }) => [name, digest]);
    const more = names.length > limit ? [`  ... ${names.length - limit} more: --all, or --json`] : [];
    out.push([`covered (${names.length})`, ...indent(columns(names.slice(0, limit))), ...more].join('\n'));
    out.push(['not covered', ...indent(notCovered(d, file))].join('\n'));
    if (statement.warnings.length > 0) out.push(['odd about it', ...indent(statement.warnings)].join('\n'));
  }
  return out;
}

function testFacts(test: StatementFacts['test']): string[][] {
  if (test === undefined) return [];
  const named = (names: readonly string[]): string =>
    `${names.slice(0, 5).join('; ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
  const lists = [
    ['passed', test.passed],
    ['warned', test.warned],
    ['failed', test.failed],
  ] as const;
  return [
    ['result', test.result],
    ...lists.filter(([, names]) => names.length > 0).map(([word, names]) => [word, named(names)]),
    ...(test.tested === undefined ? [] : [['tested', test.tested]]),
    ...(test.command === undefined ? [] : [['by', test.command]]),
  ];
}

/** Each as one line: a path with a line end in it must not look like a line of ours. */
const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${oneLong(line)}`);

function certificateWords(c: CertificateClaim): string {
  const name = c.identity === undefined ? c.subject || 'no name' : `${c.identity} according to ${c.identityIssuer}`;
  return `${name}, valid ${c.from} to ${c.to}, issued by ${c.issuer || 'nobody'}, ${c.fingerprint}`;
}

function notCovered({ statement, leftOut, leftOutGit }: BundleDescription, file: string): string[] {
  const chosen = leftOut.filter((path) => path !== file);
  const lines = chosen.map((path) => `LEFT OUT BY THE SIGNER: ${path} and all below it; a model there would not be covered`);
  if (leftOut.includes(file)) lines.push(`the signature itself: ${file}`);
  if (leftOutGit.length > 0) lines.push(`Git's own at the root: ${leftOutGit.join(', ')}`);
  if (statement?.ignorePaths === undefined) lines.push('which paths were left out was not recorded');
  return [...lines, 'the name of the model, and when it was signed', 'whether the model has a backdoor: no signature says that'];
}
