/**
 * Follows a pickle opcode by opcode as Python's unpickler would, with marks where it would have objects. Nothing is imported and nothing
 * called; what comes out is what the file would import, call and fill, and whether it ends as it should. Wherever the walk cannot tell
 * which import would be called, it says so instead of guessing.
 *
 * Rules of the virtual machine: CPython Modules/_pickle.c, which is what nearly everybody runs. Time is linear in the bytes; memory is
 * bounded by the limits below, whatever the file says.
 */
import type { Forward } from './forward.ts';
import { isAllowedImport, isMapping, looksImportable } from './pickle-globals.ts';
import { HIGHEST_PROTOCOL, OP, OPCODES } from './pickle-opcodes.ts';

/** Values and marks on the stack at one time. Python's own pickler keeps lists and dictionaries below 1,000 a batch; tuples may be longer. */
const MAX_STACK = 1 << 20;
/** Memorised texts that may become names of imports. */
const MAX_TEXTS = 200_000;
/** Memorised imports, and objects made by calls. */
const MAX_OBJECTS = 500_000;
/** Memo numbers that leave gaps. */
const MAX_SPARSE = 200_000;
const MAX_NAME = 512;
const MAX_NUMERAL = 4096;
/** Imports and tensors that are listed. */
const MAX_LISTED = 100_000;

/** Something that the pickle imports. */
export class Imported {
  readonly module: string;
  readonly name: string;
  readonly allowed: boolean;
  /** What calling it gives. */
  readonly result: Made;
  /** Whether it is called, or an object made of it. */
  called = false;

  constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
    this.allowed = isAllowedImport(module, name);
    this.result = new Made(this);
  }

  get full(): string {
    return `${this.module}.${this.name}`;
  }
}

/** An object that a call made. */
class Made {
  readonly by: Imported;
  constructor(by: Imported) {
    this.by = by;
  }
}

/** A short tuple; longer ones are only {@link OTHER}. */
class Tuple {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

const OTHER = Symbol('a value without interest');
const DICT = Symbol('a dictionary');
/** What an escape, a buffer beside the file or a call of something unknown gives, or a memo entry that could not be kept: anything. */
const UNKNOWN = Symbol('unknown');
type Value = number | string | symbol | Imported | Made | Tuple;

/** A piece of memory that a PyTorch pickle refers to. */
export interface StorageReference {
  readonly type: string;
  readonly key: string;
  readonly elements: number;
}

export interface PickleWalk {
  readonly imports: readonly Imported[];
  /** Rule -> what was seen first. */
  readonly problems: ReadonlyMap<string, string>;
  /** Only PyTorch's; the first {@link MAX_LISTED}. */
  readonly storages: readonly StorageReference[];
  /** `stop`: as it should. `cut`: the bytes end first. `broken`: Python would give up here, after having done all before it. */
  readonly ended: 'stop' | 'cut' | 'broken';
  /** Why it did not end as it should. */
  readonly why: string;
  /** Offset behind the last opcode that was done. */
  readonly end: number;
  readonly opcodes: number;
  /** A call, or attributes set, before the end. */
  readonly acted: boolean;
  /** The pickle is PyTorch's magic number: an old checkpoint of several pickles begins. */
  readonly torchMagic: boolean;
}

/** What ends a walk early. */
class Stop extends Error {
  readonly ended: 'cut' | 'broken';
  constructor(ended: 'cut' | 'broken', why: string) {
    super(why);
    this.ended = ended;
  }
}

const cut = (): never => {
  throw new Stop('cut', 'the file ends within it');
};
const broken = (why: string): never => {
  throw new Stop('broken', why);
};

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** int.from_bytes(little) of this is 0x1950a86a20f9469cfc6c. */
const TORCH_MAGIC = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/** Walks over one pickle from where `bytes` stands to its STOP. */
export function walkPickle(bytes: Forward): PickleWalk {
  return new Walk(bytes).run();
}

class Walk {
  readonly #bytes: Forward;
  readonly #stack: Value[] = [];
  /** Positions of marks in the stack. */
  readonly #marks: number[] = [];
  /** Only texts, imports, and what those made; an entry without note is a value without interest. */
  readonly #memo = new Map<number, Value>();
  /** Memo numbers 0..dense-1 are all taken; others that are taken stand in `sparse`. */
  #dense = 0;
  readonly #sparse = new Set<number>();
  #texts = 0;
  #forgetful = false;
  readonly #imports = new Map<string, Imported>();
  readonly #problems = new Map<string, string>();
  readonly #storages: StorageReference[] = [];
  #opcodes = 0;
  #acted = false;
  #magic = false;

  constructor(bytes: Forward) {
    this.#bytes = bytes;
  }

  run(): PickleWalk {
    let ended: PickleWalk['ended'] = 'stop';
    let why = '';
    let end = this.#bytes.at;
    try {
      for (;;) {
        const code = this.#bytes.byte();
        if (code < 0) cut();
        if (OPCODES[code] === undefined) broken(`no opcode has the byte 0x${code.toString(16).padStart(2, '0')}`);
        this.#opcodes++;
        const done = this.#step(code);
        end = this.#bytes.at;
        if (done) break;
      }
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      [ended, why] = [error.ended, error.message];
    }
    return {
      imports: [...this.#imports.values()],
      problems: this.#problems,
      storages: this.#storages,
      ...{ ended, why, end, opcodes: this.#opcodes, acted: this.#acted, torchMagic: this.#magic },
    };
  }

  #problem(rule: string, says: string): void {
    if (!this.#problems.has(rule)) this.#problems.set(rule, says);
  }

  // ------------------------------------------------------------------------------------------------------------- stack

  #push(value: Value): void {
    if (this.#stack.length >= MAX_STACK) broken(`more than ${MAX_STACK} values on the stack at once`);
    this.#stack.push(value);
  }

  /** First position that belongs to the innermost mark. */
  #fence(): number {
    return this.#marks.length === 0 ? 0 : this.#marks[this.#marks.length - 1];
  }

  #need(values: number): void {
    if (this.#stack.length - this.#fence() < values) broken('a value is taken from an empty stack');
  }

  #pop(): Value {
    this.#need(1);
    return this.#stack.pop() as Value;
  }

  #top(): Value {
    this.#need(1);
    return this.#stack[this.#stack.length - 1];
  }

  /** How many values lie above the innermost mark, which is taken off. */
  #unmark(): number {
    const at = this.#marks.pop();
    return at === undefined ? broken('no mark on the stack') : this.#stack.length - at;
  }

  /** Replaces the topmost `count` values by one. */
  #replace(count: number, value: Value): void {
    this.#stack.length -= count;
    this.#push(value);
  }

  #tuple(count: number): void {
    const items = count <= 8 ? this.#stack.slice(this.#stack.length - count) : undefined;
    this.#replace(count, items === undefined ? OTHER : new Tuple(items));
  }

  // -------------------------------------------------------------------------------------------------------------- memo

  #remember(index: number, value: Value): void {
    if (typeof value === 'string' || value === UNKNOWN) {
      if (this.#texts < MAX_TEXTS) this.#memo.set(index, value);
      // From here on an entry without note may be anything.
      else [this.#forgetful] = [true, this.#memo.delete(index)];
      this.#texts++;
    } else if (value instanceof Imported || value instanceof Made) {
      if (this.#memo.size >= MAX_OBJECTS) broken(`more than ${MAX_OBJECTS} objects in the memo`);
      this.#memo.set(index, value);
    } else this.#memo.delete(index);
    if (index < this.#dense || this.#sparse.has(index)) return;
    if (index === this.#dense) {
      this.#dense++;
      while (this.#sparse.delete(this.#dense)) this.#dense++;
    } else {
      if (this.#sparse.size >= MAX_SPARSE) broken('too many gaps in the memo');
      this.#sparse.add(index);
    }
  }

  #recall(index: number): void {
    if (index >= this.#dense && !this.#sparse.has(index)) broken(`memo entry ${index} was never set`);
    this.#push(this.#memo.get(index) ?? (this.#forgetful ? UNKNOWN : OTHER));
  }

  // --------------------------------------------------------------------------------------------------------- arguments

  #number(width: number): number {
    const bytes = this.#bytes.take(width) ?? cut();
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[i];
    return value;
  }

  #line(longest: number): string | null {
    const line = this.#bytes.line(longest);
    if (line === undefined) return cut();
    return line === null ? null : utf8.decode(line);
  }

  #skip(length: number): void {
    if (!this.#bytes.skip(length)) cut();
  }

  /** A text of `length` bytes, which only matters where it is short enough for a name. */
  #text(length: number): Value {
    if (length > MAX_NAME) {
      this.#skip(length);
      return OTHER;
    }
    return utf8.decode(this.#bytes.take(length) ?? cut());
  }

  #memoIndex(): number {
    const line = this.#line(20);
    if (line === null || !/^\s*\d{1,15}\s*$/.test(line)) return broken('a memo number that is none');
    return Number(line);
  }

  // ------------------------------------------------------------------------------------------------- imports and calls

  #import(module: Value | null, name: Value | null): Imported | typeof UNKNOWN {
    this.#acted ||= true;
    if (typeof module !== 'string' || typeof name !== 'string') {
      this.#problem('pickle-unresolved', 'imports something whose name cannot be told from the file');
      return UNKNOWN;
    }
    const key = `${module}\n${name}`;
    let found = this.#imports.get(key);
    if (found === undefined) {
      found = new Imported(module, name);
      if (this.#imports.size >= MAX_LISTED) broken(`more than ${MAX_LISTED} imports`);
      this.#imports.set(key, found);
    }
    return found;
  }

  /** What calling `target` gives. */
  #call(target: Value): Value {
    this.#acted = true;
    if (target instanceof Imported) {
      target.called = true;
      return target.result;
    }
    this.#problem('pickle-unresolved', 'calls something that is not an import by name: what that is cannot be told from the file');
    return UNKNOWN;
  }

  /** Filling an imported class or function changes it for the whole program. */
  #fill(target: Value, how: 'attributes' | 'items' | 'entries'): void {
    if (target instanceof Imported) {
      this.#acted = true;
      this.#problem('pickle-fills-import', `sets ${how} of the import ${target.full} itself, which no program that writes pickles does`);
    } else if (how === 'entries' && target instanceof Made && !isMapping(target.by.module, target.by.name)) {
      this.#problem('pickle-entries', `sets entries of what ${target.by.full} gives, which is no dictionary`);
    }
  }

  #persistent(id: Value): void {
    if (id instanceof Tuple && id.items[0] === 'storage' && id.items.length >= 5) {
      const [, type, key, , elements] = id.items;
      if (type instanceof Imported && typeof key === 'string' && typeof elements === 'number' && this.#storages.length < MAX_LISTED) {
        this.#storages.push({ type: type.name, key, elements });
      }
    }
    this.#push(OTHER);
  }

  // ----------------------------------------------------------------------------------------------------------- opcodes

  /** Does one opcode; true at STOP. */
  #step(code: number): boolean {
    const stack = this.#stack;
    switch (code) {
      case OP.STOP:
        this.#pop();
        return true;
      case OP.PROTO: {
        const version = this.#number(1);
        if (version > HIGHEST_PROTOCOL) broken(`protocol ${version}`);
        return false;
      }
      case OP.FRAME:
        // Python reads the whole frame ahead, and gives up where it is not there.
        if (this.#number(8) > this.#bytes.left) cut();
        return false;
      case OP.MARK:
        if (this.#marks.length >= MAX_STACK) broken(`more than ${MAX_STACK} marks on the stack at once`);
        this.#marks.push(stack.length);
        return false;
      case OP.POP:
        if (this.#marks.length > 0 && this.#fence() === stack.length) this.#marks.pop();
        else this.#pop();
        return false;
      case OP.POP_MARK:
        stack.length -= this.#unmark();
        return false;
      case OP.DUP:
        this.#push(this.#top());
        return false;
      case OP.NONE:
      case OP.NEWTRUE:
      case OP.NEWFALSE:
      case OP.EMPTY_LIST:
      case OP.EMPTY_SET:
        this.#push(OTHER);
        return false;
      case OP.NEXT_BUFFER:
        // A buffer is handed over beside the file: bytes, never a callable, yet nothing that is known.
        this.#push(UNKNOWN);
        return false;
      case OP.READONLY_BUFFER:
        this.#need(1);
        return false;
      case OP.EMPTY_DICT:
        this.#push(DICT);
        return false;
      case OP.EMPTY_TUPLE:
        this.#tuple(0);
        return false;
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3: {
        const count = code - OP.TUPLE1 + 1;
        this.#need(count);
        this.#tuple(count);
        return false;
      }
      case OP.TUPLE:
        this.#tuple(this.#unmark());
        return false;
      case OP.LIST:
      case OP.FROZENSET:
        this.#replace(this.#unmark(), OTHER);
        return false;
      case OP.DICT: {
        const count = this.#unmark();
        if (count % 2 === 1) broken('a dictionary of an odd number of values');
        this.#replace(count, DICT);
        return false;
      }
      case OP.APPEND:
        this.#need(2);
        stack.pop();
        this.#fill(this.#top(), 'items');
        return false;
      case OP.APPENDS:
      case OP.ADDITEMS:
        stack.length -= this.#unmark();
        this.#fill(this.#top(), 'items');
        return false;
      case OP.SETITEM:
        this.#need(3);
        stack.length -= 2;
        this.#fill(this.#top(), 'entries');
        return false;
      case OP.SETITEMS: {
        const count = this.#unmark();
        if (count % 2 === 1) broken('an odd number of keys and values');
        stack.length -= count;
        this.#fill(this.#top(), 'entries');
        return false;
      }
      case OP.BININT:
        this.#push(this.#number(4) | 0);
        return false;
      case OP.BININT1:
      case OP.BININT2:
        this.#push(this.#number(code === OP.BININT1 ? 1 : 2));
        return false;
      case OP.INT:
      case OP.LONG:
        return this.#numeral(code === OP.LONG);
      case OP.FLOAT: {
        const line = this.#line(MAX_NUMERAL);
        if (line !== null && !/^\s*[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*|inf|infinity|nan)([eE][-+]?\d+)?\s*$/i.test(line))
          broken('a number that is none');
        this.#push(OTHER);
        return false;
      }
      case OP.BINFLOAT:
        this.#skip(8);
        this.#push(OTHER);
        return false;
      case OP.LONG1:
        return this.#long(this.#number(1));
      case OP.LONG4: {
        const length = this.#number(4);
        if (length > 0x7fffffff) broken('a number of negative length');
        return this.#long(length);
      }
      default:
        return this.#longer(code);
    }
  }

  /** The opcodes that are rare, or take long anyway. */
  #longer(code: number): boolean {
    const stack = this.#stack;
    switch (code) {
      case OP.STRING: {
        const line = this.#line(MAX_NAME);
        if (line === null) this.#push(OTHER);
        else {
          const inner = /^\s*(['"])(.*)\1\s*$/s.exec(line)?.[2] ?? broken('a text without quotes');
          // escapes could make any name
          this.#push(inner.includes('\\') ? UNKNOWN : inner);
        }
        return false;
      }
      case OP.UNICODE: {
        const line = this.#line(MAX_NAME);
        this.#push(line === null ? OTHER : line.includes('\\') ? UNKNOWN : line);
        return false;
      }
      case OP.BINSTRING: {
        const length = this.#number(4);
        if (length > 0x7fffffff) broken('a text of negative length');
        this.#push(this.#text(length));
        return false;
      }
      case OP.SHORT_BINSTRING:
      case OP.SHORT_BINUNICODE:
        this.#push(this.#text(this.#number(1)));
        return false;
      case OP.BINUNICODE:
      case OP.BINUNICODE8:
        this.#push(this.#text(this.#number(code === OP.BINUNICODE ? 4 : 8)));
        return false;
      case OP.SHORT_BINBYTES:
        this.#skip(this.#number(1));
        this.#push(OTHER);
        return false;
      case OP.BINBYTES:
      case OP.BINBYTES8:
      case OP.BYTEARRAY8:
        this.#skip(this.#number(code === OP.BINBYTES ? 4 : 8));
        this.#push(OTHER);
        return false;
      case OP.GET:
        this.#recall(this.#memoIndex());
        return false;
      case OP.BINGET:
      case OP.LONG_BINGET:
        this.#recall(this.#number(code === OP.BINGET ? 1 : 4));
        return false;
      case OP.PUT: {
        const index = this.#memoIndex();
        this.#remember(index, this.#top());
        return false;
      }
      case OP.BINPUT:
      case OP.LONG_BINPUT: {
        const index = this.#number(code === OP.BINPUT ? 1 : 4);
        this.#remember(index, this.#top());
        return false;
      }
      case OP.MEMOIZE:
        this.#remember(this.#dense + this.#sparse.size, this.#top());
        return false;
      case OP.GLOBAL:
        this.#push(this.#import(this.#line(MAX_NAME), this.#line(MAX_NAME)));
        return false;
      case OP.STACK_GLOBAL: {
        this.#need(2);
        const name = stack.pop() as Value;
        const module = stack.pop() as Value;
        this.#push(this.#import(module, name));
        return false;
      }
      case OP.INST: {
        const target = this.#import(this.#line(MAX_NAME), this.#line(MAX_NAME));
        this.#replace(this.#unmark(), this.#call(target));
        return false;
      }
      case OP.OBJ: {
        const count = this.#unmark();
        if (count < 1) broken('a value is taken from an empty stack');
        this.#replace(count, this.#call(stack[stack.length - count]));
        return false;
      }
      case OP.REDUCE:
      case OP.NEWOBJ:
        this.#need(2);
        this.#replace(2, this.#call(stack[stack.length - 2]));
        return false;
      case OP.NEWOBJ_EX:
        this.#need(3);
        this.#replace(3, this.#call(stack[stack.length - 3]));
        return false;
      case OP.BUILD:
        this.#need(2);
        stack.pop();
        this.#acted = true;
        this.#fill(this.#top(), 'attributes');
        return false;
      case OP.EXT1:
      case OP.EXT2:
      case OP.EXT4: {
        const number = this.#number(code === OP.EXT1 ? 1 : code === OP.EXT2 ? 2 : 4);
        this.#problem('pickle-extension', `imports number ${number} of a registry that only the reading program knows`);
        this.#acted = true;
        this.#push(UNKNOWN);
        return false;
      }
      case OP.PERSID:
        this.#line(MAX_NAME);
        this.#persistent(OTHER);
        return false;
      case OP.BINPERSID:
        this.#persistent(this.#pop());
        return false;
      default:
        return broken(`opcode 0x${code.toString(16)} that this walk does not know`);
    }
  }

  #numeral(long: boolean): boolean {
    const line = this.#line(MAX_NUMERAL);
    if (line !== null && !(long ? /^\s*[-+]?\w+L?\s*$/ : /^\s*[-+]?\w+\s*$/).test(line)) broken('a number that is none');
    const value = line === null ? Number.NaN : Number.parseInt(line, 10);
    this.#push(Number.isSafeInteger(value) && /^\d+L?$/.test(line as string) ? value : OTHER);
    return false;
  }

  #long(length: number): boolean {
    if (length > 10) {
      this.#skip(length);
      this.#push(OTHER);
      return false;
    }
    const bytes = this.#bytes.take(length) ?? cut();
    if (length === 10 && this.#opcodes <= 3 && TORCH_MAGIC.every((b, i) => bytes[i] === b)) this.#magic = true;
    let value = 0;
    for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes[i];
    this.#push(length > 0 && bytes[length - 1] > 127 ? OTHER : Number.isSafeInteger(value) ? value : OTHER);
    return false;
  }
}

/** Whether bytes without the mark of protocol 2 and later are a pickle, and no text that begins like one. */
export function isBarePickle(walk: PickleWalk, size: number): boolean {
  const plausible = walk.imports.every(({ module, name }) => looksImportable(module, name));
  if (!plausible || walk.opcodes < 2) return false;
  return walk.imports.length > 0
    ? walk.acted && (walk.ended === 'stop' || walk.imports.some((i) => i.called))
    : walk.ended === 'stop' && walk.end === size;
}
