/** `secateur zoo verify-sig`: did someone you trust sign exactly these files? */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import type { SigningTrust, Verification } from '../zoo/signing/types.ts';
import { verifyModel } from '../zoo/signing/verify-model.node.ts';
import { defineCommand } from './command.node.ts';
import { oneLong, size } from './output.node.ts';
import { isModelFolder, readSigningFile } from './zoo-signing.node.ts';
import { counted, SIGNATURE_HONESTY } from './zoo-words.node.ts';

/** Names that are printed without --json. */
const SHOWN = 20;

export const zooVerifySig = defineCommand({
  name: 'zoo verify-sig',
  description:
    'Checks a signature by OpenSSF Model Signing (files made by `model_signing`, Go, `secateur zoo sign`): first that the bundle is well-formed, then that it was signed by the key, authority or identity that you name, then that every signed file is here with the same bytes and no other file is. Needs no network. The error names the first thing that does not hold and all that held before it.',
  examples: [
    ['secateur zoo verify-sig models/ours --key team.pub', 'signature models/ours/model.sig'],
    ['secateur zoo verify-sig net.onnx --signature net.onnx.sig --authority ca.pem', 'signed under a certificate authority'],
    [
      'secateur zoo verify-sig granite --signature granite/model.sig --identity a@example.org --issuer https://accounts.example.org',
      'signed without a key of its own (sigstore)',
    ],
  ],
  options: z.object({
    model: z.string().meta({ description: 'a folder, or one file', positional: true, placeholder: 'DIR' }),
    signature: z
      .string()
      .optional()
      .meta({ description: 'the bundle; default: model.sig in the folder, FILE.sig beside a file', placeholder: 'FILE' }),
    key: z.string().optional().meta({ description: 'public key (PEM) that must have signed', placeholder: 'FILE' }),
    authority: z.array(z.string()).optional().meta({
      description: 'certificate authority (PEM) under which the signer must stand; may be given several times',
      placeholder: 'FILE',
    }),
    identity: z.string().optional().meta({ description: 'who must have signed, letter for letter; with --issuer', placeholder: 'NAME' }),
    issuer: z.string().optional().meta({ description: 'who must have vouched for that identity', placeholder: 'URL' }),
    trustedRoot: z
      .string()
      .optional()
      .meta({ description: "trusted_root.json of a private sigstore; default: the public one's", placeholder: 'FILE' }),
    ignore: z
      .array(z.string())
      .optional()
      .meta({ description: 'do not look at this path and what is below it; relative to the folder', placeholder: 'PATH' }),
    ignoreUnsigned: z
      .boolean()
      .default(false)
      .meta({ description: 'list files that nobody signed instead of failing; signed ones must still fit' }),
    followLinks: z.boolean().default(false).meta({ description: 'follow symbolic links, as in the cache folders of hub clients' }),
    legacy: z.boolean().default(false).meta({ description: 'also take the forms that model-signing 0.2.0 to 1.0.1 wrote' }),
  }),
  async run(context, o) {
    const trust = await trustOf(o);
    const folder = await isModelFolder(o.model);
    const signature = o.signature ?? (folder ? `${o.model.replace(/\/+$/, '')}/model.sig` : `${o.model}.sig`);
    const bundle = await readSigningFile(signature, '--signature');
    let bytes = 0;
    const found = await verifyModel(o.model, bundle, trust, {
      where: signature,
      ignore: o.ignore,
      ignoreUnsigned: o.ignoreUnsigned,
      followLinks: o.followLinks,
      legacy: o.legacy,
      signal: context.signal,
      onBytes: (count) => {
        bytes += count;
        context.progress.passing(`hashed ${size(bytes)}`);
      },
    });
    return {
      line: `${counted(found.files, 'file')} verified, signed by ${signerWords(found)}`,
      notes: [...[...found.warnings.map((text) => `warning: ${text}`), ...listsOf(found)].map(oneLong), SIGNATURE_HONESTY],
      json: { ...found, signature, bytes },
    };
  },
});

interface TrustFlags {
  readonly key?: string;
  readonly authority?: readonly string[];
  readonly identity?: string;
  readonly issuer?: string;
  readonly trustedRoot?: string;
}

async function trustOf(o: TrustFlags): Promise<SigningTrust> {
  const ways = [o.key, o.authority, o.identity ?? o.issuer].filter((way) => way !== undefined).length;
  if (ways !== 1) {
    const expected = 'one of --key, --authority, or --identity with --issuer';
    const got = ways === 0 ? 'none' : `${ways} of them`;
    fail({ where: 'zoo verify-sig', what: 'whose signature would count is for you to say', expected, got, exitCode: 2 });
  }
  const text = async (path: string, where: string): Promise<string> => (await readSigningFile(path, where)).toString('utf8');
  const { identity, issuer, trustedRoot } = o;
  if (trustedRoot !== undefined && identity === undefined) {
    fail({ where: '--trusted-root', what: 'has no effect without --identity and --issuer', exitCode: 2 });
  }
  if (o.key !== undefined) return { method: 'key', publicKey: await text(o.key, '--key') };
  if (o.authority !== undefined) {
    return { method: 'certificate', authorities: await Promise.all(o.authority.map((path) => text(path, '--authority'))) };
  }
  if (identity === undefined || issuer === undefined) {
    const expected = '--identity and --issuer together';
    return fail({ where: '--identity', what: 'an identity counts only with who vouched for it', expected, exitCode: 2 });
  }
  const root = trustedRoot === undefined ? undefined : await text(trustedRoot, '--trusted-root');
  return { method: 'sigstore', identity, issuer, ...(root !== undefined && { trustedRoot: root }) };
}

const signerWords = ({ method, signer }: Verification): string =>
  method === 'key' ? `the key ${signer}` : method === 'certificate' ? `the certificate ${signer} under your authority` : signer;

function listsOf({ ignored, extra }: Verification): string[] {
  const listed = (names: readonly string[]): string =>
    names.length <= SHOWN ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more (--json has all)`;
  const lines: string[] = [];
  if (ignored.length > 0) lines.push(`left out by the signer: ${listed(ignored)}`);
  if (extra.length > 0) lines.push(`here, but signed by nobody: ${listed(extra)}`);
  return lines;
}
