/** What others say a file's hash is, against the hash that it has. */
import { fail } from '../../core/errors.ts';
import type { CheckedClaim, Claim, FetchedFile } from '../types.ts';

/** Algorithms beside SHA-256 that a file's claims ask for. */
export const algorithmsOf = (claims: readonly Claim[]): Claim['algorithm'][] =>
  [...new Set(claims.map((claim) => claim.algorithm))].filter((name) => name !== 'sha256');

/** Each claim with whether the file has that hash. */
export function checkClaims(file: FetchedFile): CheckedClaim[] {
  return file.claims.map((claim) => {
    const got = file.hashes[claim.algorithm] ?? fail({ where: file.path, what: `was not hashed with ${claim.algorithm}` });
    return { ...claim, matched: got === claim.value };
  });
}

const WHO: Readonly<Record<string, string>> = {
  'caffe-readme': 'its readme.md',
  'hf-lfs-oid': 'the hub',
  'hf-git-oid': "the hub's repository",
};

/**
 * Refuses a file that does not have the hash that somebody published for it, or says so where the user takes it all the same.
 *
 * @param where what the file is called: `resnet50: onnx/model.onnx`
 * @throws SecateurError E_CLAIM (exit code 3)
 */
export function requireClaims(
  where: string,
  file: FetchedFile,
  checked: readonly CheckedClaim[],
  o: { accept?: boolean; onNote?(text: string): void } = {},
): void {
  for (const { from, algorithm, value, matched } of checked) {
    if (matched) continue;
    const what = from === 'user' ? 'not the file whose hash you gave' : `not the file that ${WHO[from] ?? from} speaks of`;
    const got = `${algorithm} ${file.hashes[algorithm]} (${file.size} bytes) from ${shown(file.url)}`;
    if (o.accept === true && from !== 'user') {
      o.onNote?.(`${where}: ${what}: ${algorithm} ${value} there, ${file.hashes[algorithm]} here`);
      continue;
    }
    fail({
      code: 'E_CLAIM',
      where,
      what,
      expected: `${algorithm} ${value}`,
      got,
      hint:
        from === 'user'
          ? 'to find out who is right before using the file; nothing was installed'
          : 'to ask the publisher which of the two is wrong; nothing was installed (--accept-claim-mismatch takes the file and writes down that it does not match)',
      exitCode: 3,
    });
  }
}

const shown = (url: string): string => url.replace(/\?.*$/, '?...');
