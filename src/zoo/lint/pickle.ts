/** Pickles: one, several of an old PyTorch checkpoint, or several where one is expected. */
import type { ByteSource } from '../../data/zip.ts';
import { type Findings, quoted } from './findings.ts';
import { Forward } from './forward.ts';
import { looksImportable } from './pickle-globals.ts';
import { type PickleWalk, type StorageReference, walkPickle } from './pickle-walk.ts';

/** An old PyTorch checkpoint: magic number, version, system, the objects, the keys of their memory; then that memory. */
const TORCH_PICKLES = 5;
/** One after another in one file. */
const MAX_PICKLES = 1000;

/** The mark of protocols 2 to 5 at `at`. Protocols 0 and 1 have none. */
export function hasPickleMark(source: ByteSource, at = 0): boolean {
  if (source.size - at < 2) return false;
  const [first, version] = source.read(at, 2);
  return first === 0x80 && version <= 5;
}

/**
 * Whether bytes without the mark of protocol 2 and later are a pickle, and no text that begins like one. What was called by then is called
 * whatever comes after it, so that one call of something that could be imported tells. Behind one that only gives a value another may stand.
 */
function isBarePickle(walk: PickleWalk, source: ByteSource, more: number): boolean {
  if (walk.opcodes < 2) return false;
  const likely = walk.imports.filter(({ module, name }) => looksImportable(module, name));
  if (walk.limited || walk.blind || walk.torchMagic || likely.some((i) => i.called)) return true;
  if (walk.ended !== 'stop' || likely.length < walk.imports.length) return false;
  if (likely.length > 0 || walk.end === source.size) return true;
  if (more === 0 || walk.end > source.size) return false;
  return hasPickleMark(source, walk.end) || isBarePickle(walkPickle(new Forward(source, walk.end)), source, more - 1);
}

/** Walks that told that a source is a pickle, so that it need not be walked over again. */
const walked = new WeakMap<ByteSource, PickleWalk>();

/** Whether a pickle begins at `at`, by its mark or because its first opcodes do what only a pickle does. */
export function beginsPickle(source: ByteSource, at = 0): boolean {
  if (at >= source.size) return false;
  return hasPickleMark(source, at) || beginsBarePickle(source, at);
}

/** The same without regard to the mark, whose two bytes may be the beginning of something else. */
export function beginsBarePickle(source: ByteSource, at = 0): boolean {
  const walk = walkPickle(new Forward(source, at));
  const bare = isBarePickle(walk, source, TORCH_PICKLES);
  if (bare && at === 0) walked.set(source, walk);
  return bare;
}

export interface PickleFound {
  /** An old PyTorch checkpoint of several pickles. */
  readonly torch: boolean;
  readonly storages: readonly StorageReference[];
  /** Some import or call was done, or would be. */
  readonly active: boolean;
}

/** Lints the pickles that a file or an entry of an archive consists of. */
export function lintPickle(source: ByteSource, findings: Findings): PickleFound {
  const storages: StorageReference[] = [];
  let active = false;
  let torch = false;
  let wanted = 1;
  let at = 0;
  for (let i = 0; i < MAX_PICKLES; i++) {
    const walk = (i === 0 ? walked.get(source) : undefined) ?? walkPickle(new Forward(source, at));
    if (i === 0 && walk.torchMagic) [torch, wanted] = [true, TORCH_PICKLES];
    active ||= walk.acted;
    storages.push(...walk.storages);
    reportWalk(walk, findings, i >= wanted ? `pickle ${i + 1} in it ` : '');
    if (walk.ended !== 'stop') return { torch, storages, active };
    at = walk.end;
    if (i + 1 < wanted) continue;
    if (at >= source.size || torch) return { torch, storages, active };
    if (!beginsPickle(source, at)) {
      const rest = source.size - at;
      if (!isBlank(source, at))
        findings.flag('pickle-trailing', `${rest} bytes stand behind the end of the pickle, which loading it does not read`);
      return { torch, storages, active };
    }
    findings.refuse(
      'pickle-stacked',
      'another pickle stands behind the first: programs that load twice run it, scanners that stop at the first do not see it',
    );
  }
  findings.refuse('pickle-stacked', `more than ${MAX_PICKLES} pickles one behind the other`);
  return { torch, storages, active };
}

function isBlank(source: ByteSource, at: number): boolean {
  return source.size - at <= 16 && source.read(at, source.size - at).every((b) => b === 0x0a || b === 0x0d || b === 0x20);
}

function reportWalk(walk: PickleWalk, findings: Findings, which: string): void {
  for (const { allowed, called, module, name } of walk.imports) {
    if (allowed) continue;
    const does = called ? 'imports and calls' : 'imports';
    findings.refuse('pickle-global', `${which}${does} ${quoted(`${module}.${name}`)}, which is not on the list of what data need`);
  }
  for (const [rule, says] of walk.problems) findings.refuse(rule, `${which}${says}`);
  if (walk.ended === 'stop') return;
  const after = walk.acted ? '; Python has imported and called what stands before that by then' : '';
  findings.refuse(
    'pickle-broken',
    `${which}${walk.ended === 'cut' ? 'is cut off' : 'is no whole pickle'} at byte ${walk.end}: ${walk.why}${after}`,
  );
}
