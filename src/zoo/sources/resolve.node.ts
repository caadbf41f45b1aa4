/** What a source is at this moment: its files, where each of them is, and what is published about their hashes. */
import { fail } from '../../core/errors.ts';
import { compareNames } from '../digest.ts';
import { offline } from '../fetch/http.node.ts';
import type { FetchOptions } from '../fetch/options.ts';
import { globMatches } from '../globs.ts';
import { MAX_FILES } from '../lock.ts';
import { checkFilePath, checkTwins } from '../paths.ts';
import type { ResolvedSource, SourceFile } from '../types.ts';
import { gistEntry, localEntry, remoteEntry } from './caffe.node.ts';
import { commitIn } from './commit-in.ts';
import { listHub } from './hub.node.ts';
import { listLocal, localPath } from './local.node.ts';
import { formatSource, isAddress, isLocal, type SourceSpec } from './spec.ts';

export interface ResolveOptions extends FetchOptions {
  /** Root of the project, which relative paths start from. */
  readonly base: string;
  /** Globs over paths; absent: all files. */
  readonly include?: readonly string[];
  /** A file that is listed besides, where it is there. */
  readonly also?: string;
  /** Instead of the source's own revision. */
  readonly revision?: string;
}

type Found = Omit<ResolvedSource, 'source' | 'requested'>;

/**
 * Looks a source up. A branch or tag becomes the commit that it is now; nothing is downloaded but listings and readmes.
 *
 * @throws SecateurError E_SOURCE (exit code 2 where the text is at fault), E_PATH for names that not every machine can hold, E_METADATA for
 *   readmes, E_ANSWER for a hub's answers, E_OFFLINE, and what downloads throw
 */
export async function resolveSource(spec: SourceSpec, o: ResolveOptions): Promise<ResolvedSource> {
  const own = spec.kind === 'hf' || spec.kind === 'caffe-gist' ? spec.revision : undefined;
  const requested = o.revision ?? own;
  const where = formatSource(spec, true);
  if (requested !== undefined && spec.kind !== 'hf' && spec.kind !== 'caffe-gist') {
    fail({ code: 'E_SOURCE', where, what: 'this kind of source has no revisions', got: requested, exitCode: 2 });
  }
  if (o.offline === true && !isLocal(spec)) offlineSource(spec);
  const found = await look(spec, requested, o);
  const files = chosen(found.files, o, where);
  if (files.length > MAX_FILES) {
    const hint = '--include for those that are used';
    fail({
      code: 'E_SOURCE',
      where,
      what: 'more files than a lock can hold',
      expected: `at most ${MAX_FILES}`,
      got: `${files.length}`,
      hint,
    });
  }
  for (const { path } of files) checkFilePath(path, where);
  checkTwins(
    files.map((file) => file.path),
    where,
  );
  return { source: where, ...(requested === undefined ? {} : { requested }), resolved: found.resolved, files, notes: found.notes };
}

async function look(spec: SourceSpec, revision: string | undefined, o: ResolveOptions): Promise<Found> {
  switch (spec.kind) {
    case 'path':
    case 'file':
      return { resolved: 'unversioned', ...(await listLocal(localPath(spec, o.base), o.base)) };
    case 'url':
      return oneFile(spec.url);
    case 'hf': {
      const { commit, files, notes } = await listHub(spec.repo, revision ?? 'main', o);
      return { resolved: `commit:${commit}`, files, notes };
    }
    case 'caffe':
      return isAddress(spec.readme) ? remoteEntry(spec.readme, o) : localEntry(localPath(spec, o.base));
    case 'caffe-gist':
      return gistEntry(spec.id, revision, o);
  }
}

/** A file at an address, named by the last part of its path. */
function oneFile(address: string): Found {
  const { pathname, host, searchParams } = new URL(address);
  let path: string;
  try {
    path = decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1));
  } catch {
    path = '';
  }
  if (path === '') {
    fail({
      code: 'E_SOURCE',
      where: host,
      what: 'the address names no file',
      expected: 'https://host/.../name.onnx',
      got: address,
      exitCode: 2,
    });
  }
  const notes: string[] = [];
  const secret = [...searchParams.keys()].find((key) => /token|secret|passw|signature|credential|^sig$|^key$|api_?key/i.test(key));
  if (secret !== undefined) notes.push(`the address has "${secret}" in it, which is written to models.lock for all to read`);
  const commit = commitIn(address);
  return { resolved: commit === undefined ? 'unversioned' : `commit:${commit}`, files: [{ path, url: address, claims: [] }], notes };
}

/** Those that a glob matches, in order of path. */
function chosen(files: readonly SourceFile[], { include, also }: ResolveOptions, where: string): SourceFile[] {
  const kept = files.filter(({ path }) => path === also || (include?.some((glob) => globMatches(glob, path)) ?? true));
  if (kept.length === 0) {
    const some = files.slice(0, 8).map((file) => file.path);
    const got =
      files.length === 0
        ? 'no file at all'
        : `${some.join(', ')}${files.length > some.length ? ` and ${files.length - some.length} more` : ''}`;
    const what = include === undefined ? 'the source has no files' : `no file matches ${include.join(', ')}`;
    fail({ code: 'E_SOURCE', where, what, got });
  }
  return kept.sort((a, b) => compareNames(a.path, b.path));
}

/** One file at an address needs no look; everything else has to be asked for. */
function offlineSource(spec: SourceSpec): void {
  if (spec.kind === 'url') return;
  offline(
    spec.kind === 'caffe'
      ? spec.readme
      : spec.kind === 'hf'
        ? `https://huggingface.co/${spec.repo}`
        : `https://gist.github.com/${spec.kind === 'caffe-gist' ? spec.id : ''}`,
  );
}
