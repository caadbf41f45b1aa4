/** What a person types as the source of a model: read into one of five kinds, and written back in one form. */
import { fail } from '../../core/errors.ts';

export type SourceSpec =
  /** A file or folder on this machine; relative ones are relative to the project. `url` where it was given as `file:`. */
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'file'; readonly url: string }
  /** One file at an address. */
  | { readonly kind: 'url'; readonly url: string }
  /** A model of a Hugging Face hub. */
  | { readonly kind: 'hf'; readonly repo: string; readonly revision?: string }
  /** A readme of the Caffe Model Zoo: a path on this machine or an address. */
  | { readonly kind: 'caffe'; readonly readme: string }
  /** The same in a gist. */
  | { readonly kind: 'caffe-gist'; readonly id: string; readonly revision?: string };

const LONGEST = 4096;
const REPO = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}\/[A-Za-z0-9._-]{1,96}$/;
const REVISION = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,249}$/;
const GIST = /^[0-9a-f]{20,40}$/;
const FORMS = 'a path (./net.onnx, path:nets/a), file:///..., https://..., hf:owner/name[@revision] or caffe:readme.md|gist/ID[@revision]';

/**
 * The source that a text names. Paths need `./`, `/` or `path:`, so that a mistyped scheme is not taken for a folder.
 *
 * @param where what the text is called in errors: `zoo add`, `models.json:4:17`
 * @throws SecateurError E_SOURCE (exit code 2) for a text of no known form, an address with a password in it, a revision that Git could not have
 */
export function parseSource(text: string, where = 'source'): SourceSpec {
  const refuse = (what: string, got: string, hint?: string): never =>
    fail({ code: 'E_SOURCE', where, what, expected: FORMS, got: JSON.stringify(got), hint, exitCode: 2 });
  if (text.length === 0 || text.length > LONGEST)
    return refuse(text === '' ? 'the source is empty' : 'the source is too long', text.slice(0, 80));
  if (/[\p{Cc}\p{Cs}]/u.test(text)) return refuse('the source holds a control character', text);
  if (text !== text.trim()) return refuse('the source begins or ends with a blank', text);
  if (/^\.\.?(\/|$)/.test(text) || text.startsWith('/')) return { kind: 'path', path: tidy(text) };
  const colon = text.indexOf(':');
  const scheme = colon < 0 ? '' : text.slice(0, colon).toLowerCase();
  const rest = text.slice(colon + 1);
  switch (scheme) {
    case 'path':
      return rest === '' ? refuse('the path is empty', text) : { kind: 'path', path: tidy(rest) };
    case 'file':
      return { kind: 'file', url: fileAddress(text, refuse) };
    case 'https':
    case 'http':
      return { kind: 'url', url: address(text, refuse) };
    case 'hf':
      return hub(rest, text, refuse);
    case 'caffe':
    case 'caffe-gist':
      return caffe(rest, text, scheme, refuse);
    case '':
      return refuse('this names no source', text, `./${text} if it is a path, hf:${text} if it is a model of the Hugging Face hub`);
    default:
      return refuse(`sources of the kind ${scheme}: are not known`, text, /^[a-z]$/.test(scheme) ? `path:${text}` : undefined);
  }
}

/** The text that {@link parseSource} reads to the same source; with its revision, where it has one, unless `bare`. */
export function formatSource(spec: SourceSpec, bare = false): string {
  const at = (revision: string | undefined): string => (revision === undefined || bare ? '' : `@${revision}`);
  switch (spec.kind) {
    case 'path':
      return `path:${spec.path}`;
    case 'file':
    case 'url':
      return spec.url;
    case 'hf':
      return `hf:${spec.repo}${at(spec.revision)}`;
    case 'caffe':
      return `caffe:${spec.readme}`;
    case 'caffe-gist':
      return `caffe:gist/${spec.id}${at(spec.revision)}`;
  }
}

/** Whether the source is on this machine, so that nothing has to be asked of a network to list its files. */
export const isLocal = (spec: SourceSpec): boolean =>
  spec.kind === 'path' || spec.kind === 'file' || (spec.kind === 'caffe' && !isAddress(spec.readme));

/** Whether a text begins as an address of the web does. */
export const isAddress = (text: string): boolean => /^https?:/i.test(text);

type Refuse = (what: string, got: string, hint?: string) => never;

/** `a//b/` and `./a/b` are the same place and are written the same way; `..` stays, since it may pass a link. */
function tidy(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const rooted = path.startsWith('/') ? '/' : '';
  return `${rooted}${parts.join('/')}` || '.';
}

function parsed(text: string, refuse: Refuse): URL {
  try {
    return new URL(text);
  } catch {
    return refuse('the address cannot be read', text);
  }
}

function address(text: string, refuse: Refuse): string {
  if (!/^https?:\/\/[^/]/i.test(text)) return refuse('the address has no host', text);
  const url = parsed(text, refuse);
  if (url.username !== '' || url.password !== '')
    return refuse(
      'the address holds a user name or password, which would be written to models.lock',
      `${url.protocol}//...@${url.host}/...`,
    );
  // A fragment never reaches the server.
  url.hash = '';
  return url.href;
}

function fileAddress(text: string, refuse: Refuse): string {
  const url = parsed(text, refuse);
  if (!/^file:\/\/\//i.test(text)) return refuse('a file: address has three slashes and no host', text);
  if (url.search !== '' || url.hash !== '') return refuse('a file: address has no ? or #', text, 'to write %3F for ? and %23 for #');
  if (/%2f|%00|%5c/i.test(text)) return refuse('a file: address holds an encoded slash or NUL', text);
  return url.href;
}

/** `owner/name@revision`; a name holds no `@`. */
function split(text: string): { name: string; revision?: string } {
  const at = text.indexOf('@');
  return at < 0 ? { name: text } : { name: text.slice(0, at), revision: text.slice(at + 1) };
}

/** What Git allows as a name of a branch or tag, as far as it matters to an address. */
function checkRevision(revision: string | undefined, text: string, refuse: Refuse): void {
  if (revision === undefined) return;
  const bad = !REVISION.test(revision) || revision.includes('..') || revision.includes('//') || /[/.]$|\.lock$/.test(revision);
  if (bad) refuse('the revision after @ is no branch, tag or commit', text);
}

function hub(rest: string, text: string, refuse: Refuse): SourceSpec {
  const { name, revision } = split(rest);
  if (!REPO.test(name) || name.includes('..') || name.includes('--'))
    return refuse('a model of the hub is named owner/name', text, 'the name as it stands on top of its page: hf:onnx-community/resnet-50');
  checkRevision(revision, text, refuse);
  return { kind: 'hf', repo: name, ...(revision === undefined ? {} : { revision }) };
}

/** A gist by `gist/ID`, `gist/owner/ID`, its page, or (with `caffe-gist:`) the bare ID; else a readme. */
function caffe(rest: string, text: string, scheme: string, refuse: Refuse): SourceSpec {
  if (rest === '') return refuse('the path or address of a readme.md is missing', text);
  const page = /^https:\/\/gist\.github\.com\/(.*)$/i.exec(rest);
  const { name, revision } = split(page?.[1] ?? rest);
  const bare = scheme === 'caffe-gist' && GIST.test(name);
  if (page !== null || bare || name.startsWith('gist/')) {
    const parts = name.replace(/^gist\//, '').split('/');
    const id = parts.pop() ?? '';
    if (!GIST.test(id) || parts.length > 1) return refuse('a gist is named by the 20 to 40 hex digits in its address', text);
    checkRevision(revision, text, refuse);
    return { kind: 'caffe-gist', id, ...(revision === undefined ? {} : { revision }) };
  }
  if (!isAddress(rest)) return { kind: 'caffe', readme: tidy(rest) };
  const readme = address(rest, refuse);
  const blob = /^https:\/\/github\.com\/([^/]+\/[^/]+)\/blob\/(.+)$/.exec(readme);
  if (blob !== null) {
    return refuse('this is a page about the readme, not the readme', text, `caffe:https://raw.githubusercontent.com/${blob[1]}/${blob[2]}`);
  }
  return { kind: 'caffe', readme };
}
