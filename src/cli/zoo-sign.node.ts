/** `secateur zoo sign`: a signature over the files of a model (OpenSSF Model Signing). */
import { join } from 'node:path';
import { z } from 'zod';
import { signModel } from '../zoo/signing/sign.node.ts';
import { defineCommand } from './command.node.ts';
import { size } from './output.node.ts';
import { isModelFolder, readSigningFile } from './zoo-signing.node.ts';
import { counted } from './zoo-words.node.ts';

export const zooSign = defineCommand({
  name: 'zoo sign',
  description:
    "Hashes every file of a folder (or one file) and signs the list with your key, by OpenSSF Model Signing 1.0: `model_signing` and other implementations verify it, and `secateur zoo add --key` wants it. The key is EC P-256, P-384 or P-521 in PEM; the passphrase of an encrypted one is taken from SECATEUR_KEY_PASSPHRASE. Git's own files, the signature itself and what --ignore names are left out, and the signature says so. A signature says who published which bytes, not that the model is harmless.",
  examples: [
    ['secateur zoo sign models/ours --key signing.pem', 'writes models/ours/model.sig'],
    ['openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.pem', 'makes a key; keep it to yourself'],
    ['openssl pkey -in signing.pem -pubout -out team.pub', 'what your users need'],
    ['secateur zoo sign net.onnx --key k.pem --certificates chain.pem --output net.onnx.sig', 'with a certificate of your authority'],
  ],
  options: z.object({
    model: z.string().meta({ description: 'a folder, or one file', positional: true, placeholder: 'DIR' }),
    key: z.string().meta({ description: 'your private key (PEM)', placeholder: 'FILE' }),
    certificates: z
      .string()
      .optional()
      .meta({ description: 'certificate of the key, then of those that issued it (PEM)', placeholder: 'FILE' }),
    output: z.string().optional().meta({ description: 'default: model.sig in the folder, FILE.sig beside a file', placeholder: 'FILE' }),
    ignore: z
      .array(z.string())
      .optional()
      .meta({ description: 'leave this path out, and all below it; relative to the folder', placeholder: 'PATH' }),
  }),
  async run(context, o) {
    const key = (await readSigningFile(o.key, '--key')).toString('utf8');
    const certificates =
      o.certificates === undefined ? undefined : (await readSigningFile(o.certificates, '--certificates')).toString('utf8');
    const folder = await isModelFolder(o.model);
    const output = o.output ?? (folder ? join(o.model, 'model.sig') : `${o.model}.sig`);
    let bytes = 0;
    const signed = await signModel(o.model, {
      key,
      certificates,
      passphrase: process.env.SECATEUR_KEY_PASSPHRASE,
      ignore: o.ignore,
      output,
      signal: context.signal,
      onBytes: (count) => {
        bytes += count;
        context.progress.passing(`hashed ${size(bytes)}`);
      },
    });
    const { root, resources, method, signer, warnings } = signed;
    const who = method === 'key' ? `with the key ${signer}` : `with the certificate ${signer}`;
    const check = method === 'key' ? '--key PUBLIC_KEY' : '--authority CA';
    return {
      line: `signed ${counted(resources, 'file')} (${size(bytes)}) ${who}`,
      notes: [
        ...warnings.map((text) => `note: ${text}`),
        `check it with: secateur zoo verify-sig ${o.model} --signature ${output} ${check}`,
      ],
      json: { output, root, resources, bytes, method, signer, warnings },
      written: output,
    };
  },
});
