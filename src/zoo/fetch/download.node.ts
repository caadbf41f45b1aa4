/**
 * A file of a source into the cache: hashed as it is written, gone on from where an earlier try stopped, and never taken for the file of
 * the lock unless it has that hash.
 */
import type { FileHandle } from 'node:fs/promises';
import { fail } from '../../core/errors.ts';
import type { Cache } from '../store/cache.node.ts';
import { diskFailure } from '../store/disk.node.ts';
import { Digester, type Hashed, hashFile } from '../store/hash.node.ts';
import type { FetchedFile, Sha256, SourceFile } from '../types.ts';
import { mirrored } from './agent.node.ts';
import { algorithmsOf } from './claims.node.ts';
import { type Answer, ask, offline } from './http.node.ts';
import { copyLocal } from './local-copy.node.ts';
import { type FetchOptions, MAX_BYTES } from './options.ts';
import { type Begun, type Origin, Part } from './part.node.ts';
import { address, hiccup, networkError, withRetries } from './trouble.node.ts';
import { writeAll } from './write-all.node.ts';
import { refuseBytes, refuseLength, refuseSize } from './wrong-bytes.ts';

export { checkClaims } from './claims.node.ts';
export type { FetchOptions } from './options.ts';

/** What the lock says a file is. */
export interface Expected {
  /** Bytes. */
  readonly size: number;
  readonly digest: Sha256;
}

export type FileOptions = FetchOptions & { readonly expect?: Expected };

/**
 * Brings a file into the cache: from there if it is known by its hash, else from its address. The hashes that its claims ask for are
 * computed on the way; whether they match is for the caller to see (`checkClaims`).
 *
 * @throws SecateurError E_INTEGRITY (exit code 3) where the bytes are not those of `expect`, which are then kept in the cache's `rejected`;
 *   E_OFFLINE, E_HTTP, E_REDIRECT, E_ENCODING, E_RANGE, E_SIZE, E_NOT_FOUND, E_FORBIDDEN, E_TLS, E_NETWORK, E_DISK; exit code 130 after an
 *   interruption
 */
export async function fetchFile(file: SourceFile, cache: Cache, o: FileOptions): Promise<FetchedFile> {
  const kept = await fromCache(file, cache, o);
  if (kept !== undefined) return kept;
  if (file.url.startsWith('file:')) return copyLocal(file, cache, o);
  if (o.offline === true) return offline(file.url, o.name === undefined ? file.path : `${o.name}: ${file.path}`);
  const url = mirrored(file.url).href;
  const claim = await cache.claimPart(url, {
    signal: o.signal,
    onWait: () => o.onNote?.(`${file.path}: another process is fetching this; waiting for it`),
  });
  try {
    // Whoever held it until now may have fetched this very file.
    const meanwhile = await fromCache(file, cache, o);
    return meanwhile ?? (await new Download(file, url, new Part(claim.path), cache, o).run());
  } finally {
    await claim.release();
  }
}

/** The file out of the cache, if what is expected or published is a SHA-256 that is there. */
async function fromCache(file: SourceFile, cache: Cache, o: FileOptions): Promise<FetchedFile | undefined> {
  const hex = file.claims.find((claim) => claim.algorithm === 'sha256')?.value;
  const digest = o.expect?.digest ?? (hex === undefined ? undefined : (`sha256:${hex}` as const));
  if (digest === undefined) return undefined;
  const path = await cache.find(digest, o.expect?.size ?? file.size);
  if (path === undefined) return undefined;
  const found = await hashFile(path, { algorithms: algorithmsOf(file.claims), signal: o.signal });
  if (found.digest === digest) return { ...file, ...found };
  await cache.reject(path, found.digest);
  o.onNote?.(`${file.path}: the copy in the cache was damaged and is put aside; it is fetched anew`);
  return undefined;
}

interface Received {
  readonly hashed: Hashed;
  /** Whether a part of an earlier request is in it. */
  readonly resumed: boolean;
  /** Where the last bytes came from. */
  readonly from: URL;
}

class Download {
  readonly #file: SourceFile;
  readonly #url: string;
  readonly #part: Part;
  readonly #cache: Cache;
  readonly #o: FileOptions;
  /** Bytes on disk, for the count of attempts that brought nothing. */
  #done = 0;
  /** Whatever is on disk is not gone on from. */
  #anew = false;

  constructor(file: SourceFile, url: string, part: Part, cache: Cache, o: FileOptions) {
    this.#file = file;
    this.#url = url;
    this.#part = part;
    this.#cache = cache;
    this.#o = o;
  }

  async run(): Promise<FetchedFile> {
    const o = this.#o;
    const receive = (): Promise<Received> =>
      withRetries(
        async () => (await this.#attempt()) ?? (await this.#attempt()) ?? this.#neverBoth(),
        o,
        () => this.#done,
      );
    let got = await receive();
    if (got.resumed && !this.#fits(got.hashed)) {
      // Halves of two different files, or a part that was damaged on disk, are likelier than a replaced file; it is no accusation yet.
      this.#startOver('what was there does not fit what came after it');
      got = await receive();
    }
    const { hashed, from } = got;
    const { expect } = o;
    const { path } = this.#part;
    if (expect !== undefined && hashed.digest !== expect.digest) {
      const kept = await this.#cache.reject(path, hashed.digest);
      await this.#part.finished();
      refuseBytes(this.#file, expect, o.name, `${hashed.digest} (${hashed.size} bytes) from ${address(from)}, kept as ${kept}`);
    }
    await this.#cache.accept(path, hashed.digest, hashed.size);
    await this.#part.finished();
    return { ...this.#file, ...hashed };
  }

  /** Whether all that is known beforehand about the bytes holds. */
  #fits({ digest, hashes }: Hashed): boolean {
    const { expect } = this.#o;
    if (expect !== undefined) return digest === expect.digest;
    return this.#file.claims.every((claim) => hashes[claim.algorithm] === claim.value);
  }

  #startOver(reason: string): undefined {
    this.#anew = true;
    this.#o.onNote?.(`${this.#file.path}: ${reason}; fetched from the start`);
    return undefined;
  }

  /** An attempt that asks for the whole file never wants to be made again. */
  #neverBoth(): never {
    throw new Error('a download from the start asked to be started over');
  }

  /** One request, from the first byte or from where the last one stopped, to the end; undefined where it has to start over. */
  async #attempt(): Promise<Received | undefined> {
    const begun = this.#anew ? undefined : await this.#part.begun(this.#url);
    const headers = begun === undefined ? undefined : this.#rangeOf(begun);
    const answer = await ask(this.#url, headers ?? {}, this.#o);
    try {
      if (answer.status === 200) {
        if (headers !== undefined) this.#o.onNote?.(`${this.#file.path}: the server sends it from the start again`);
        this.#anew = false;
        this.#done = 0;
        return await this.#receive(answer, undefined);
      }
      if (begun === undefined || headers === undefined) return this.#uncalled(answer);
      const reason = misfit(begun, answer, this.#known);
      return reason === undefined ? await this.#resume(begun, answer) : this.#startOver(reason);
    } catch (error) {
      throw networkError(error, answer.url, this.#o);
    } finally {
      answer.body.discard();
    }
  }

  /** The headers to go on with; undefined where nothing could ever tell whether the rest belongs to what is there. */
  #rangeOf({ size, origin, isOld }: Begun): Record<string, string> | undefined {
    const validator = origin.etag ?? origin.lastModified;
    if ((validator === undefined || isOld) && !this.#known) return undefined;
    return { range: `bytes=${size}-`, ...(validator === undefined ? {} : { 'if-range': validator }) };
  }

  /** Whether a hash will tell if the pieces are of one file. */
  get #known(): boolean {
    return this.#o.expect !== undefined || this.#file.claims.length > 0;
  }

  #uncalled({ status, url }: Answer): never {
    return fail({
      code: 'E_RANGE',
      where: this.#where,
      what: 'the server answers as if a part of the file had been asked for',
      expected: '200',
      got: `${status} from ${address(url)}`,
    });
  }

  async #resume(begun: Begun, answer: Answer): Promise<Received | undefined> {
    const digester = this.#digester();
    const handle = await this.#part.goOn(begun.size, digester, this.#o.signal);
    if (handle === undefined) return this.#startOver('the part on disk has become shorter');
    this.#done = begun.size;
    return this.#receive(answer, { handle, digester, at: begun.size, total: rangeIn(answer.headers)?.total ?? begun.size });
  }

  /** Git's name of a file begins with its length; where that is not known it is computed at the end. */
  #digester(): Digester {
    const size = this.#o.expect?.size ?? this.#file.size;
    const algorithms = algorithmsOf(this.#file.claims).filter((name) => name !== 'git-blob' || size !== undefined);
    return new Digester({ algorithms, size });
  }

  async #receive(
    answer: Answer,
    goOn: { handle: FileHandle; digester: Digester; at: number; total: number } | undefined,
  ): Promise<Received> {
    const { url: from, headers, body } = answer;
    const digester = goOn?.digester ?? this.#digester();
    let at = goOn?.at ?? 0;
    let handle = goOn?.handle;
    try {
      // Of a part its range says how long the whole is, whatever its own length: it may have none, and end early.
      const total = goOn?.total ?? lengthOf(headers['content-length']);
      this.#checkTotal(total, from, headers['content-type']);
      await this.#part.requireRoom(total === undefined ? 0 : total - at);
      handle ??= await this.#part.start(originOf(this.#url, headers, total));
      const shown = this.#wanted ?? total;
      const report = (): void => this.#o.onProgress?.(at, shown, this.#file.path);
      report();
      // 416 to the range behind the last byte: all of it is there already.
      if (answer.status !== 416) {
        for await (const chunk of body.pieces()) {
          await this.#checkLimit(at + chunk.length, total, from);
          digester.update(chunk);
          await writeAll(handle, chunk, at, this.#part.path);
          at += chunk.length;
          this.#done = at;
          report();
        }
      }
      const open = total === undefined && headers['transfer-encoding'] === undefined;
      if (at < (total ?? 0) || (open && at < (this.#wanted ?? 0))) throw hiccup(from, `the connection was closed after ${at} bytes`);
      if (open && this.#wanted === undefined && !this.#known) this.#o.onNote?.(`${this.#file.path}: ${UNSIZED}`);
    } finally {
      await handle?.close().catch((cause) => diskFailure(cause, this.#part.path, 'cannot be written'));
    }
    if (this.#wanted !== undefined && at !== this.#wanted) {
      await this.#part.remove();
      this.#refuse(`${at} bytes from ${address(from)}`);
    }
    return { hashed: await this.#withGit(digester.result()), resumed: goOn !== undefined, from };
  }

  async #withGit(hashed: Hashed): Promise<Hashed> {
    if (hashed.hashes['git-blob'] !== undefined || !algorithmsOf(this.#file.claims).includes('git-blob')) return hashed;
    const { hashes } = await hashFile(this.#part.path, { algorithms: ['git-blob'], signal: this.#o.signal });
    return { ...hashed, hashes: { ...hashed.hashes, 'git-blob': hashes['git-blob'] } };
  }

  get #where(): string {
    return this.#o.name === undefined ? this.#file.path : `${this.#o.name}: ${this.#file.path}`;
  }

  /** Bytes that the file must have, where that is known. */
  get #wanted(): number | undefined {
    return this.#o.expect?.size ?? this.#file.size;
  }

  /** Before the first byte: a length that the file cannot have. */
  #checkTotal(total: number | undefined, from: URL, type: string | undefined): void {
    if (total === undefined) return;
    const got = `${total} bytes${type === undefined ? '' : ` of ${type}`} from ${address(from)}, which were not fetched`;
    if (this.#wanted !== undefined && total !== this.#wanted) this.#refuse(got);
    const { maxBytes = MAX_BYTES } = this.#o;
    if (total > maxBytes) refuseLength(this.#where, maxBytes, got);
  }

  /** With each piece: a body that does not end where it should. What came of it is of no use to anybody, and may fill the disk. */
  async #checkLimit(size: number, total: number | undefined, from: URL): Promise<void> {
    const { maxBytes = MAX_BYTES } = this.#o;
    if (size <= Math.min(this.#wanted ?? maxBytes, total ?? maxBytes, maxBytes)) return;
    await this.#part.remove();
    const got = `more from ${address(from)}, where the download was stopped`;
    if (size > (this.#wanted ?? size)) this.#refuse(got);
    if (size > maxBytes) refuseLength(this.#where, maxBytes, got);
    throw hiccup(from, 'the answer is longer than it says');
  }

  #refuse(got: string): never {
    const { expect, name } = this.#o;
    return expect === undefined ? refuseSize(this.#where, this.#file.size, got) : refuseBytes(this.#file, expect, name, got);
  }
}

const UNSIZED = 'the server does not say how long it is, so one that was cut off on the way would look whole';

/**
 * Why an answer to a range cannot be put behind what is there; undefined where it can. Not every server heeds If-Range.
 * @param known whether a hash will tell afterwards
 */
function misfit({ size, origin }: Begun, { status, headers }: Answer, known: boolean): string | undefined {
  const text = headers['content-range'];
  if (status === 416) return text === `bytes */${size}` && size === (origin.total ?? size) ? undefined : 'the file has changed since';
  const range = rangeIn(headers);
  if (range === undefined) return 'the server does not say which part of the file it sends';
  const { start, end, total } = range;
  if (start !== size || end !== total - 1) return `the server sends another part of the file than was asked for (${text})`;
  const tag = strong(headers.etag);
  const tagged = origin.etag !== undefined && tag !== undefined;
  const [before, now] = tagged ? [origin.etag, tag] : [origin.lastModified, headers['last-modified']];
  const changed = (origin.total ?? total) !== total || (before !== undefined && now !== undefined && before !== now);
  if (changed) return 'the file has changed since';
  // An ETag that the whole had, a part of it has too (RFC 9110 section 15.3.7).
  const nameless = origin.etag !== undefined && tag === undefined && !known;
  return nameless ? 'the server does not say of which version the part is that it sends' : undefined;
}

/** Content-Range of a part. */
function rangeIn({ 'content-range': text }: Answer['headers']): { start: number; end: number; total: number } | undefined {
  const said = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(text ?? '');
  if (said === null) return undefined;
  const [start, end, total] = said.slice(1).map(Number);
  return { start, end, total };
}

const strong = (etag: string | undefined): string | undefined => (etag?.startsWith('"') === true ? etag : undefined);

const lengthOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,30}$/.test(text) ? Number(text) : undefined;

/** What is written down beside the part, to know later answers by. */
function originOf(url: string, headers: Answer['headers'], total: number | undefined): Origin {
  const { etag, 'last-modified': modified, date } = headers;
  const settled = modified !== undefined && date !== undefined && Date.parse(date) - Date.parse(modified) >= 1000;
  return { url, etag: strong(etag), lastModified: settled ? modified : undefined, total };
}
