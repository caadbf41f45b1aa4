/** `secateur zoo attest`: signs what a run found out about a model, or checks what others signed. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { appendAttestation, type CheckedAttestation, checkAttestations } from '../zoo/attest/attestations.node.ts';
import { OUTCOMES, type TestOutcome } from '../zoo/attest/outcome.ts';
import { readResult } from '../zoo/attest/result-file.ts';
import { testStatement } from '../zoo/attest/statement.ts';
import { type AttestedModel, attestedModel, roleIn } from '../zoo/attest/tested.node.ts';
import { signersFor } from '../zoo/policy.ts';
import type { SigningTrust } from '../zoo/signing/types.ts';
import { trustOf } from '../zoo/verbs/signers.node.ts';
import { type Context, defineCommand, type Outcome } from './command.node.ts';
import { kebab } from './options.node.ts';
import { columns, oneLine } from './output.node.ts';
import { projectFields, projectRoot } from './zoo-project.node.ts';
import { counted, shortDigest } from './zoo-words.node.ts';

const HONESTY =
  'An attestation says who claims that these bytes gave that result. It is worth what you trust its signer, and it says nothing of what was not measured.';

export const zooAttest = defineCommand({
  name: 'zoo attest',
  description:
    'Makes an in-toto statement (Test Result v0.1) out of the result.json of a run: over every file of the model and over all of them together. It passed where the bounds of the run held (--min-clean and --max-attack of `secateur evaluate`), failed where one did not, and is a warning where nothing was demanded. A result that is not about these bytes is refused; the command line of the run is repeated in the statement, the name of the machine is not. With --key it is signed (DSSE) and appended to models.sigs/NAME.attestations.jsonl, or for a folder or file to the one beside it; without, the statement is printed, to be signed elsewhere. With --verify: lists and checks what is there.',
  examples: [
    ['secateur zoo attest resnet50 --result runs/evaluate-1 --key me.pem', 'signs what evaluate found'],
    ['secateur zoo attest resnet50 --verify --key auditor.pub --require-passed', 'exit code 3 unless that auditor says it passed'],
    ['secateur zoo attest runs/fineprune-1/model.onnx --result runs/fineprune-1', 'the statement, unsigned'],
  ],
  options: z.object({
    model: z
      .string()
      .meta({ description: 'a model by its name in models.lock, its folder or its file', positional: true, placeholder: 'MODEL' }),
    result: z.string().optional().meta({ description: 'run folder, or a result.json', placeholder: 'FILE' }),
    key: z.array(z.string()).optional().meta({
      description: 'private key (PEM, EC) to sign with; with --verify public keys of those who may have signed',
      placeholder: 'FILE',
    }),
    certificates: z
      .string()
      .optional()
      .meta({ description: 'certificate (PEM) of the private key, and those that issued it', placeholder: 'FILE' }),
    verify: z.boolean().default(false).meta({ description: "check what is there instead; without a signer, those of the model's rules" }),
    authority: z
      .array(z.string())
      .optional()
      .meta({ description: 'with --verify: certificate authorities (PEM) under which a signer may stand', placeholder: 'FILE' }),
    identity: z.string().optional().meta({ description: 'with --verify: whom a keyless signature may name; with --issuer' }),
    issuer: z.string().optional().meta({ description: 'with --verify: who must have vouched for that identity', placeholder: 'URL' }),
    trustedRoot: z.string().optional().meta({ description: 'with --verify: trusted_root.json of a private sigstore', placeholder: 'FILE' }),
    requirePassed: z
      .boolean()
      .default(false)
      .meta({ description: 'with --verify: exit code 3 unless a test passed on all files of the model, and none failed' }),
    ...projectFields,
  }),
  async run(context, o) {
    refuseIdle(context, o.verify);
    const root = o.project === undefined ? undefined : projectRoot(o);
    const model = await attestedModel(o.model, root, context.signal);
    return o.verify ? verify(context, model, o) : attest(context, model, o);
  },
});

const SIGNING = ['result', 'certificates'] as const;
const VERIFYING = ['authority', 'identity', 'issuer', 'trustedRoot', 'requirePassed'] as const;

/** A flag that would do nothing is refused. */
function refuseIdle({ given }: Pick<Context, 'given'>, verifying: boolean): void {
  const idle = (verifying ? SIGNING : VERIFYING).find((key) => given.has(key));
  if (idle === undefined) return;
  const what = verifying ? 'makes no sense with --verify' : 'has no effect without --verify';
  fail({ where: `--${kebab(idle)}`, what, hint: verifying ? 'one of the two' : 'with --verify', exitCode: 2 });
}

interface Attesting {
  readonly result?: string;
  readonly key?: readonly string[];
  readonly certificates?: string;
}

async function attest(context: Context, model: AttestedModel, o: Attesting): Promise<Outcome> {
  if (o.result === undefined) {
    const hint = 'secateur evaluate first, or --verify to check what is there';
    return fail({ where: '--result', what: 'missing', expected: 'the folder of a run, or its result.json', hint, exitCode: 2 });
  }
  if (o.key !== undefined && o.key.length !== 1) {
    return fail({ where: '--key', what: 'one private key signs', expected: 'one file', got: String(o.key.length), exitCode: 2 });
  }
  if (o.certificates !== undefined && o.key === undefined) {
    return fail({ where: '--certificates', what: 'has no effect without --key', hint: '--key with the private key', exitCode: 2 });
  }
  const path = (await stat(o.result).catch(() => undefined))?.isDirectory() ? join(o.result, 'result.json') : o.result;
  const read = readResult(await bytesOf(path, 'the result.json of a run'), path);
  const tested = await roleIn(model, read, path);
  const { verdict, payload } = testStatement(model.name, model.files, model.tree, read, tested);
  const statement = new TextDecoder().decode(payload);
  const json = { model: model.name, result: verdict.result, tested, statement: JSON.parse(statement) as unknown };
  if (o.key === undefined) {
    context.progress.line(`note: not signed and not kept: sign it elsewhere, or give --key (${verdict.result}: ${verdict.why})`);
    return { line: '', text: `${statement}\n`, json };
  }
  const signed = await appendAttestation(model.path, payload, {
    key: await textOf(o.key[0], 'a private key in PEM'),
    ...(o.certificates !== undefined && { certificates: await textOf(o.certificates, 'certificates in PEM') }),
    passphrase: process.env.SECATEUR_KEY_PASSPHRASE,
  });
  const files = counted(model.files.length, 'file');
  return {
    line: `${verdict.result}: ${verdict.why}`,
    tables: [
      `attested for ${model.name} (${files}), ${tested.path} as the ${tested.role} of ${read.result.recipe}, signed by ${signed.signer}`,
      ...(signed.added ? [] : ['the same statement by the same signer was there before: nothing was added']),
    ],
    notes: [HONESTY],
    json: { ...json, signer: signed.signer, added: signed.added, path: model.path },
    written: model.path,
  };
}

interface Verifying {
  readonly key?: readonly string[];
  readonly authority?: readonly string[];
  readonly identity?: string;
  readonly issuer?: string;
  readonly trustedRoot?: string;
  readonly requirePassed: boolean;
}

async function verify(context: Context, model: AttestedModel, o: Verifying): Promise<Outcome> {
  const trust = await signersOf(model, o);
  const here = await model.here(context.signal);
  const found = await checkAttestations(model.path, trust, model.files);
  const good = found.filter((a) => a.state === 'verified');
  const saying = (result: TestOutcome) => good.filter((a) => a.statement?.test?.result === result);
  // Beside the file that passed, somebody may have put another one.
  const passed = saying('PASSED').some((a) => a.coverage?.whole === true) && saying('FAILED').length === 0;
  const holds = good.length > 0 && (!o.requirePassed || passed);
  const counts = OUTCOMES.map((result) => `${saying(result).length} ${result}`).join(', ');
  const line =
    good.length === 0
      ? `${model.name}: nobody whom you named attested anything about these bytes (${counted(found.length, 'attestation')} there)`
      : `${model.name}: ${counted(good.length, 'attestation')} verified on these bytes (${counts})${holds ? '' : ', which is not a pass'}`;
  return {
    line,
    tables: found.length === 0 ? [] : [tableOf(found)],
    notes: [...(here ? [] : ['note: it is not installed: these are the bytes of models.lock, and nothing here was hashed']), HONESTY],
    json: { model: model.name, path: model.path, ok: holds, installed: here, attestations: found },
    exitCode: holds ? 0 : 3,
  };
}

/** Whom the flags name; without any, whoever may sign the model itself. */
async function signersOf({ name, project }: AttestedModel, o: Verifying): Promise<SigningTrust[]> {
  const { identity, issuer, trustedRoot } = o;
  if ((identity === undefined) !== (issuer === undefined)) {
    const what = 'an identity counts only with who vouched for it';
    fail({ where: identity === undefined ? '--issuer' : '--identity', what, expected: '--identity and --issuer together', exitCode: 2 });
  }
  if (trustedRoot !== undefined && identity === undefined) {
    fail({ where: '--trusted-root', what: 'has no effect without --identity and --issuer', exitCode: 2 });
  }
  const trust: SigningTrust[] = [];
  for (const path of o.key ?? []) trust.push({ method: 'key', publicKey: await textOf(path, 'a public key in PEM') });
  if (o.authority !== undefined) {
    const authorities = await Promise.all(o.authority.map((path) => textOf(path, 'certificates in PEM')));
    trust.push({ method: 'certificate', authorities });
  }
  if (identity !== undefined && issuer !== undefined) {
    const root = trustedRoot === undefined ? undefined : await textOf(trustedRoot, 'a trusted_root.json');
    trust.push({ method: 'sigstore', identity, issuer, ...(root !== undefined && { trustedRoot: root }) });
  }
  if (trust.length > 0) return trust;
  for (const set of project === undefined ? [] : signersFor(project.manifest, name)) trust.push(...(await trustOf(project!.root, set)));
  if (trust.length > 0) return trust;
  const expected = '--key with a public key, --authority, or --identity and --issuer';
  const hint = project === undefined ? undefined : 'a rule with require "signature" in models.json, whose signers then count here too';
  return fail({ where: '--verify', what: 'nobody says whose word counts', expected, hint, exitCode: 2 });
}

const STATES: Readonly<Record<CheckedAttestation['state'], string>> = {
  verified: 'these bytes',
  elsewhere: 'other bytes',
  stranger: 'other signer',
  broken: 'DOES NOT HOLD',
};

function tableOf(found: readonly CheckedAttestation[]): string {
  const rows = found.map((a) => [
    String(a.line),
    STATES[a.state],
    a.statement?.test?.result ?? '',
    a.signer?.replace(/^sha256:.*/, shortDigest) ?? '',
    about(a),
  ]);
  return columns([['line', 'about', 'result', 'signed by', ''], ...rows], [0]).join('\n');
}

function about({ state, problem, statement, coverage }: CheckedAttestation): string {
  if (state === 'broken') return oneLine(problem ?? '');
  if (state === 'stranger') return 'by nobody whom you named: not read';
  const { test, predicateType = '' } = statement ?? {};
  if (test === undefined) return oneLine(`${predicateType}; ${coverage?.says}`);
  const tests = [
    ...test.failed.map((t) => `failed: ${t}`),
    ...test.warned.map((t) => `warning: ${t.replace(/^Warning: /, '')}`),
    ...test.passed,
  ];
  const file = test.tested === undefined ? '' : `tested ${test.tested}; `;
  return oneLine(`${tests.join('; ')}; ${file}${coverage?.says}`, 300);
}

async function bytesOf(path: string, expected: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const got = (cause as NodeJS.ErrnoException).code;
    return fail({ where: path, what: 'cannot be read', expected, got, exitCode: 2, cause });
  }
}

const textOf = async (path: string, expected: string): Promise<string> => new TextDecoder().decode(await bytesOf(path, expected));
