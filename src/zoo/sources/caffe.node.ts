/** Entries of the Caffe Model Zoo: on this machine, at an address, or in a gist. The sha1 in the readme is a claim, never the integrity. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fail } from '../../core/errors.ts';
import { fetchBytes } from '../fetch/http.node.ts';
import type { FetchOptions } from '../fetch/options.ts';
import { diskFailure, ifThere, openRegular } from '../store/disk.node.ts';
import type { ResolvedSource, SourceFile } from '../types.ts';
import { type CaffeEntry, parseCaffeReadme } from './caffe-entry.ts';
import { commitIn } from './commit-in.ts';
import { MAX_README_BYTES } from './front-matter.ts';
import { listGist } from './gist.node.ts';
import { listLocal } from './local.node.ts';

type Found = Pick<ResolvedSource, 'resolved' | 'files' | 'notes'>;

/** Name that the readme has in the model's folder, wherever it came from. */
const README = 'readme.md';

/** A readme on this machine, with the prototxt files beside it. Throws E_METADATA, and E_SOURCE where the weights are nowhere. */
export async function localEntry(path: string): Promise<Found> {
  const handle = await openRegular(path);
  let bytes: Uint8Array;
  try {
    const { size } = await handle.stat();
    // One byte more than a readme may have is enough to refuse it.
    bytes = new Uint8Array(Math.min(size, MAX_README_BYTES + 1));
    await handle.read(bytes, 0, bytes.length, 0);
  } catch (cause) {
    return diskFailure(cause, path, 'cannot be read');
  } finally {
    await handle.close();
  }
  const name = basename(path);
  const entry = parseCaffeReadme(bytes, name);
  const folder = dirname(path);
  const here = (file: string, size: number): SourceFile => ({ path: file, size, url: pathToFileURL(join(folder, file)).href, claims: [] });
  const beside = await ifThere(stat(join(folder, entry.caffemodel))).catch((cause) => diskFailure(cause, folder, 'cannot be read'));
  const local = entry.url === undefined && beside?.isFile() === true ? here(entry.caffemodel, beside.size) : undefined;
  const networks = await prototxts(folder);
  return found(entry, name, [here(name, bytes.length), ...networks], local);
}

async function prototxts(folder: string): Promise<SourceFile[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause) => diskFailure(cause, folder, 'cannot be listed'));
  const files: SourceFile[] = [];
  for (const entry of entries) {
    if (!entry.isFile() || !isPrototxt(entry.name)) continue;
    files.push(...(await listLocal(join(folder, entry.name), folder)).files);
  }
  return files;
}

const isPrototxt = (name: string): boolean => name.endsWith('.prototxt');

/** A readme at an address; what lies beside it there is not known. */
export async function remoteEntry(url: string, o: FetchOptions): Promise<Found> {
  const { bytes } = await fetchBytes(url, { ...o, limit: MAX_README_BYTES });
  const entry = parseCaffeReadme(bytes, README);
  const commit = commitIn(url);
  const notes = commit === undefined ? ['the address of the readme names no commit, so the readme can change'] : [];
  return found(entry, README, [{ path: README, url, claims: [] }], undefined, notes);
}

/** A gist: its readme and prototxt files at one revision. */
export async function gistEntry(id: string, revision: string | undefined, o: FetchOptions): Promise<Found> {
  const { commit, files } = await listGist(id, revision, o);
  const readme = files.find((file) => file.path.toLowerCase() === README);
  if (readme === undefined) {
    const got = files.map((file) => file.path).join(', ');
    return fail({
      code: 'E_METADATA',
      where: `gist/${id}`,
      what: 'the gist has no readme',
      expected: README,
      got: got === '' ? 'no file' : got,
    });
  }
  const { bytes } = await fetchBytes(readme.url, { ...o, limit: MAX_README_BYTES });
  const entry = parseCaffeReadme(bytes, README);
  const own = [{ ...readme, path: README }, ...files.filter((file) => isPrototxt(file.path))];
  const { resolved, ...rest } = found(entry, README, own, undefined);
  const pinned = entry.url !== undefined && commitIn(entry.url) !== undefined;
  const notes = pinned ? [] : [`the readme is that of commit ${commit}; the weights lie elsewhere, at an address without versions`];
  return { ...rest, resolved: pinned ? `commit:${commit}` : resolved, notes: [...rest.notes, ...notes] };
}

/** The readme and what it names. The whole is as unversioned as the weights are. */
function found(
  entry: CaffeEntry,
  where: string,
  own: readonly SourceFile[],
  local: SourceFile | undefined,
  notes: readonly string[] = [],
): Found {
  const { url, caffemodel, claims } = entry;
  if (url === undefined && local === undefined) {
    const expected = 'caffemodel_url, or the file beside the readme';
    fail({ code: 'E_METADATA', where: `${where}:1`, what: `the readme does not say where ${caffemodel} is`, expected });
  }
  const weights: SourceFile = url === undefined ? { ...local!, claims } : { path: caffemodel, url, claims };
  if (own.some((file) => file.path === caffemodel)) {
    fail({ code: 'E_METADATA', where: `${where}:1`, what: 'caffemodel has the name of another file of the entry', got: caffemodel });
  }
  return { resolved: 'unversioned', files: [...own, weights], notes: [...entry.notes, ...notes] };
}
