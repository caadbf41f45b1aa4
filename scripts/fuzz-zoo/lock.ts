/** models.lock: what is accepted must be written to bytes that are read to the same lock. */
import { omsRoot, treeDigest } from '../../src/zoo/digest.ts';
import { integrityOf } from '../../src/zoo/integrity.ts';
import { emptyLock, parseLock } from '../../src/zoo/lock.ts';
import { withModel, writeLock } from '../../src/zoo/lock-write.ts';
import { decodeUtf8 } from '../../src/zoo/strict-json.ts';
import {
  CLAIM_ALGORITHMS,
  FORMATS,
  INTEGRITIES,
  type Lock,
  type LockedFile,
  type LockedModel,
  type LockedSignature,
  VERDICTS,
} from '../../src/zoo/types.ts';
import type { FuzzTarget } from './target.ts';

const digest = (byte: string): LockedFile['digest'] => `sha256:${byte.repeat(32)}`;

const FILES: readonly LockedFile[] = [
  {
    path: 'onnx/model.onnx',
    size: 102170624,
    digest: digest('a1'),
    url: 'https://huggingface.co/o/r/resolve/0123/onnx/model.onnx',
    claims: [{ from: 'hf-lfs-oid', algorithm: 'sha256', value: 'a1'.repeat(32), matched: true }],
    format: 'onnx',
    lint: 'ok',
  },
  {
    path: 'net.caffemodel',
    size: 0,
    digest: digest('b2'),
    url: 'http://dl.example.org/net.caffemodel',
    claims: [{ from: 'caffe-readme', algorithm: 'sha1', value: 'c3'.repeat(20), matched: false }],
    format: 'caffemodel',
    lint: 'flagged',
  },
  { path: 'ä/\u{1f600}.md', size: 12, digest: digest('d4'), claims: [], format: 'other', lint: 'ok' },
];
const SIGNATURE: LockedSignature = { method: 'key', bundle: 'models.sigs/a.sig', bundleDigest: digest('e5'), signer: digest('f6') };

function model(files: readonly LockedFile[], over: Partial<LockedModel>): LockedModel {
  const computed = { treeDigest: treeDigest(files), omsRoot: omsRoot(files), integrity: integrityOf(files, over.signature) };
  return { source: 'https://example.com/a', resolved: 'unversioned', files, ...computed, lintRules: '2026-11', ...over };
}

/** Three locks: empty, one model, all that a lock can hold. */
export function sampleLocks(): Lock[] {
  const hub = model(FILES.slice(0, 1), {
    source: 'hf:o/r',
    requested: 'main',
    resolved: `commit:${'01'.repeat(20)}`,
    include: ['onnx/**'],
  });
  const signed = model(FILES.slice(2), { source: 'path:nets/a', signature: SIGNATURE });
  const one = withModel(emptyLock(), 'resnet50', hub);
  const two = withModel(one, 'bvlc/caffenet', model(FILES, { source: `caffe:gist/${'ab'.repeat(10)}` }));
  return [emptyLock(), one, withModel(two, 'team/a', signed)];
}

export const target: FuzzTarget = {
  name: 'lock',
  seeds() {
    const texts = sampleLocks().map(writeLock);
    // Without blanks every change hits something.
    return [...texts, ...texts.map((text) => JSON.stringify(JSON.parse(text)))].map((text) => new TextEncoder().encode(text));
  },
  run(bytes) {
    const lock = parseLock(decodeUtf8(bytes, 'models.lock', { code: 'E_LOCK' }));
    const text = writeLock(lock);
    if (writeLock(parseLock(text)) !== text) throw new Error('written and read again, it is another lock');
    return undefined;
  },
  words: [
    ...[
      'lockfileVersion',
      'models',
      'source',
      'requested',
      'resolved',
      'include',
      'files',
      'path',
      'size',
      'digest',
      'url',
      'claims',
      'format',
    ],
    ...[
      'lint',
      'from',
      'algorithm',
      'value',
      'matched',
      'treeDigest',
      'omsRoot',
      'integrity',
      'signature',
      'method',
      'bundle',
      'bundleDigest',
    ],
    ...[
      'signer',
      'lintRules',
      'sha256:',
      'commit:',
      'unversioned',
      'hf:',
      'path:',
      'caffe:',
      'https://',
      'http://u:p@h/',
      '1',
      '2',
      '-1',
      '1e21',
    ],
    ...FORMATS,
    ...VERDICTS,
    ...INTEGRITIES,
    ...CLAIM_ALGORITHMS,
    ...['true', 'false', 'null', '{}', '[]', '{"', '":', '",', '[{', '}]', '"resnet50":', '\\u0000', '\\ud83d', '\\udE00'],
  ],
};
