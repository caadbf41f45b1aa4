/** `secateur zoo add`: fetch, hash, look into, lock. */
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { addModel } from '../zoo/verbs/add.node.ts';
import { defineCommand } from './command.node.ts';
import { size } from './output.node.ts';
import { projectFields, projectRootOrHere } from './zoo-project.node.ts';
import { acceptFields, fetchFields, fetchOptions, projectPath, projectSource, signerFields, signerOf } from './zoo-sources.node.ts';
import { counted, filesText, lintLines, SIGNATURE_HONESTY, tellers, vouched } from './zoo-words.node.ts';

export const zooAdd = defineCommand({
  name: 'zoo add',
  description:
    'Resolves a branch to a commit, downloads, hashes, compares published hashes, looks into the files without loading them, checks a signature where one is wanted, and writes models.json and models.lock. Without a signature or a hash from elsewhere the bytes are pinned as they are: from then on they cannot change unseen, but nobody vouched for them.',
  examples: [
    [
      'secateur zoo add hf:onnx-community/resnet-50 --include onnx/model.onnx',
      'a model of the Hugging Face hub, at the commit that main is now',
    ],
    ['secateur zoo add https://example.org/net.onnx --sha256 9f86d081...', 'a file at an address, with the hash from its documentation'],
    ['secateur zoo add caffe:https://example.org/zoo/readme.md --allow-http', 'what a readme of the Caffe Model Zoo names'],
    ['secateur zoo add ../export/net.onnx --name ours/net', 'a file on this machine'],
    ['secateur zoo add hf:team/net --key keys/team.pub', 'only with a signature by this key, now and at every update'],
  ],
  options: z.object({
    source: z.string().meta({
      description: 'a path, https://..., hf:owner/name[@revision], caffe:README, caffe:gist/ID',
      positional: true,
      placeholder: 'SOURCE',
    }),
    name: z.string().optional().meta({ description: 'what the model is called; default: from the source' }),
    include: z
      .array(z.string())
      .optional()
      .meta({ description: 'only these files of the source, * and ** as in a shell', placeholder: 'GLOB' }),
    sha256: z
      .array(z.string())
      .optional()
      .meta({ description: 'the hash you have from elsewhere; PATH=HEX where there are several files', placeholder: 'HEX' }),
    signature: z
      .string()
      .optional()
      .meta({ description: 'path or address of the signature, where it is no file of the source', placeholder: 'FILE' }),
    ...signerFields,
    ...acceptFields,
    ...fetchFields,
    ...projectFields,
  }),
  async run(context, o) {
    context.progress.step(`fetching ${o.source}`);
    const tell = tellers(context.progress);
    const begun: string[] = [];
    const root = projectRootOrHere(o, (text) => begun.push(text));
    const copies: string[] = [];
    const adding = async () =>
      addModel(root, projectSource(root, o.source), {
        ...(await fetchOptions(context, o)),
        name: o.name,
        include: o.include,
        sha256: o.sha256 && hashesOf(o.sha256),
        signature: o.signature === undefined || /^(https?|file):/i.test(o.signature) ? o.signature : projectPath(root, o.signature),
        signer: await signerOf(root, o, (path) => copies.push(path)),
        acceptClaimMismatch: o.acceptClaimMismatch,
        allowRefused: o.allowRefused,
      });
    const { name, entry, lint, folder } = await adding().catch(async (error: unknown) => {
      for (const path of copies) await rm(path, { force: true });
      throw error;
    });
    for (const text of begun) tell.onNote(text);
    const total = entry.files.reduce((sum, f) => sum + f.size, 0);
    return {
      line: `added ${name}: ${counted(entry.files.length, 'file')}, ${size(total)}, ${vouched(entry, true)}`,
      tables: [filesText(entry.files)],
      notes: [...lintLines(name, lint), ...(entry.integrity === 'signed' ? [SIGNATURE_HONESTY] : [])],
      json: { name, folder, ...entry, findings: Object.fromEntries([...lint].map(([path, report]) => [path, report.findings])) },
      written: folder,
    };
  },
});

/** By path; two hashes of one file contradict each other. */
function hashesOf(texts: readonly string[]): Map<string, string> {
  const hashes = new Map(texts.map(hashOf));
  if (hashes.size < texts.length) fail({ where: '--sha256', what: 'given twice for one file', hint: 'PATH=HEX', exitCode: 2 });
  return hashes;
}

/** `HEX` or `PATH=HEX`; the last `=` counts. */
function hashOf(text: string): readonly [path: string, hex: string] {
  const at = text.lastIndexOf('=');
  const hex = text
    .slice(at + 1)
    .replace(/^sha256:/i, '')
    .toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    fail({
      where: '--sha256',
      what: 'not a SHA-256',
      expected: '64 hex digits, as sha256sum prints them',
      got: JSON.stringify(text.slice(at + 1)),
      exitCode: 2,
    });
  }
  return [at < 0 ? '' : text.slice(0, at), hex];
}
