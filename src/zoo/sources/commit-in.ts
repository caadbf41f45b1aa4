/** Addresses that name a commit, on hosts of which it is known that such an address never brings other bytes. */

const FORMS: readonly RegExp[] = [
  /^https:\/\/huggingface\.co\/[^/]+\/[^/]+\/resolve\/([0-9a-f]{40})\//,
  /^https:\/\/raw\.githubusercontent\.com\/[^/]+\/[^/]+\/([0-9a-f]{40})\//,
  /^https:\/\/github\.com\/[^/]+\/[^/]+\/raw\/([0-9a-f]{40})\//,
  /^https:\/\/gist\.githubusercontent\.com\/[^/]+\/[0-9a-f]+\/raw\/([0-9a-f]{40})\//,
];

/** The commit (or, for a gist, the hash of the file) in an address; undefined where the address can bring other bytes tomorrow. */
export function commitIn(url: string): string | undefined {
  for (const form of FORMS) {
    const commit = form.exec(url)?.[1];
    if (commit !== undefined) return commit;
  }
  return undefined;
}
