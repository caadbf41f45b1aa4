/**
 * Follows a pickle opcode by opcode as Python's unpickler would, with marks where it would have objects. Nothing is imported and nothing
 * called; what comes out is what the file would import, call and fill, and whether it ends as it should. Wherever the walk cannot tell
 * which import would be called, it says so instead of guessing.
 *
 * Rules of the virtual machine: CPython Modules/_pickle.c, which is what nearly everybody runs. Time is linear in the bytes; memory is
 * bounded by the limits below, whatever the file says.
 */
import type { Forward } from './forward.ts';
import { isListedWord, isMapping } from './pickle-globals.ts';
import { looksFloat, looksWhole, memoNumber, TORCH_MAGIC, TORCH_MAGIC_TEXT } from './pickle-numbers.ts';
import { NumpyTypes } from './pickle-numpy.ts';
import { HIGHEST_PROTOCOL, OPCODES } from './pickle-opcodes.ts';
import { broken, cut, limit, Stop } from './pickle-stop.ts';
import { DICT, Imported, Made, OTHER, Tuple, UNKNOWN, type Value } from './pickle-values.ts';

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
/** A memo number with zeros before it. */
const LONG_NUMERAL = 1 << 16;
/** Imports and tensors that are listed. */
const MAX_LISTED = 100_000;

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
  /** It was given up at a bound of this walk: what comes then is not known. */
  readonly limited: boolean;
  /** Something was imported whose name stands in the file in a form that cannot be told. */
  readonly blind: boolean;
  /** The pickle is PyTorch's magic number: an old checkpoint of several pickles begins. */
  readonly torchMagic: boolean;
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** Most texts are short and of ASCII, for which the decoder is slow. */
function decoded(bytes: Uint8Array): string {
  if (bytes.length > 32) return utf8.decode(bytes);
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] > 127) return utf8.decode(bytes);
    text += String.fromCharCode(bytes[i]);
  }
  return text;
}
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
  readonly #types = new NumpyTypes();
  #opcodes = 0;
  #acted = false;
  #blind = false;
  #magic = false;

  constructor(bytes: Forward) {
    this.#bytes = bytes;
  }

  run(): PickleWalk {
    let ended: PickleWalk['ended'] = 'stop';
    let [why, limited] = ['', false];
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
      [ended, why, limited] = [error.ended, error.message, error.limited];
    }
    if (this.#types.problem !== undefined) this.#problem('pickle-numpy', this.#types.problem);
    return {
      imports: [...this.#imports.values()],
      problems: this.#problems,
      storages: this.#storages,
      ...{ ended, why, limited, blind: this.#blind, end, opcodes: this.#opcodes, acted: this.#acted, torchMagic: this.#magic },
    };
  }

  #problem(rule: string, says: string): void {
    if (!this.#problems.has(rule)) this.#problems.set(rule, says);
  }

  // ------------------------------------------------------------------------------------------------------------- stack

  #push(value: Value): void {
    if (this.#stack.length >= MAX_STACK) limit(`more than ${MAX_STACK} values on the stack at once`);
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

  /** Setting an array's length has it moved, which takes long where it is done for every opcode. */
  #drop(count: number): void {
    if (count > 8) this.#stack.length -= count;
    else for (let i = 0; i < count; i++) this.#stack.pop();
  }

  /** Replaces the topmost `count` values by one. */
  #replace(count: number, value: Value): void {
    this.#drop(count);
    this.#push(value);
  }

  #tuple(count: number): void {
    const items = count <= 8 ? this.#stack.slice(this.#stack.length - count) : undefined;
    if (items !== undefined && items[0] instanceof Made) this.#types.field(items[0]);
    // Without what is in a tuple within, or a file of ten megabytes could hold ten million of them in each other.
    this.#replace(count, items === undefined ? OTHER : new Tuple(items.map((item) => (item instanceof Tuple ? OTHER : item))));
  }

  // -------------------------------------------------------------------------------------------------------------- memo

  #remember(index: number, value: Value): void {
    const taken = index < this.#dense || (this.#sparse.size > 0 && this.#sparse.has(index));
    if (typeof value === 'string' || value === UNKNOWN) {
      // words of the list of imports always: vocabularies of any size go before arrays
      const listed = typeof value === 'string' && isListedWord(value) && this.#memo.size < MAX_OBJECTS;
      if (this.#texts < MAX_TEXTS || listed) this.#memo.set(index, value);
      // From here on an entry without note may be anything.
      else [this.#forgetful] = [true, this.#memo.delete(index)];
      this.#texts++;
    } else if (value instanceof Imported || value instanceof Made) {
      if (this.#memo.size >= MAX_OBJECTS) limit(`more than ${MAX_OBJECTS} objects in the memo`);
      this.#memo.set(index, value);
    } else if (taken) this.#memo.delete(index);
    if (taken) return;
    if (index === this.#dense) {
      this.#dense++;
      if (this.#sparse.size > 0) while (this.#sparse.delete(this.#dense)) this.#dense++;
    } else {
      if (this.#sparse.size >= MAX_SPARSE) limit('too many gaps in the memo');
      this.#sparse.add(index);
    }
  }

  #recall(index: number): void {
    if (index >= this.#dense && !this.#sparse.has(index)) broken(`memo entry ${index} was never set`);
    this.#push(this.#memo.get(index) ?? (this.#forgetful ? UNKNOWN : OTHER));
  }

  // --------------------------------------------------------------------------------------------------------- arguments

  #number(width: number): number {
    let value = 0;
    for (let i = 0, unit = 1; i < width; i++, unit *= 256) {
      const byte = this.#bytes.byte();
      if (byte < 0) cut();
      value += byte * unit;
    }
    return value;
  }

  #line(longest: number): string | null {
    const line = this.#bytes.line(longest);
    if (line === undefined) return cut();
    return line === null ? null : decoded(line);
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
    return decoded(this.#bytes.take(length) ?? cut());
  }

  #memoIndex(): number {
    const line = this.#line(LONG_NUMERAL);
    const index = line === null ? undefined : memoNumber(line);
    if (index === undefined) return broken('a memo number that is none');
    return index < Number.POSITIVE_INFINITY ? index : limit('a memo number that is too large');
  }

  // ------------------------------------------------------------------------------------------------- imports and calls

  #import(module: Value | null, name: Value | null): Imported | typeof UNKNOWN {
    this.#acted ||= true;
    if (typeof module !== 'string' || typeof name !== 'string') {
      this.#blind ||= module === UNKNOWN || name === UNKNOWN;
      this.#problem('pickle-unresolved', 'imports something whose name cannot be told from the file');
      return UNKNOWN;
    }
    const key = `${module}\n${name}`;
    let found = this.#imports.get(key);
    if (found === undefined) {
      found = new Imported(module, name);
      if (this.#imports.size >= MAX_LISTED) limit(`more than ${MAX_LISTED} imports`);
      this.#imports.set(key, found);
    }
    return found;
  }

  /** What calling `target` gives. */
  #call(target: Value, args?: Value): Value {
    this.#acted = true;
    if (target instanceof Imported) {
      target.called = true;
      return this.#types.made(target, args) ?? target.result;
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

  #build(state: Value, target: Value): void {
    this.#acted = true;
    this.#types.state(target, state);
    this.#fill(target, 'attributes');
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
      case 0x2e: // STOP
        this.#pop();
        return true;
      case 0x80: {
        // PROTO
        const version = this.#number(1);
        if (version > HIGHEST_PROTOCOL) broken(`protocol ${version}`);
        return false;
      }
      case 0x95: // FRAME
        // Python reads the whole frame ahead, and gives up where it is not there.
        if (this.#number(8) > this.#bytes.left) cut();
        return false;
      case 0x28: // MARK
        if (this.#marks.length >= MAX_STACK) limit(`more than ${MAX_STACK} marks on the stack at once`);
        this.#marks.push(stack.length);
        return false;
      case 0x30: // POP
        if (this.#marks.length > 0 && this.#fence() === stack.length) this.#marks.pop();
        else this.#pop();
        return false;
      case 0x31: // POP_MARK
        this.#drop(this.#unmark());
        return false;
      case 0x32: // DUP
        this.#push(this.#top());
        return false;
      case 0x4e: // NONE
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
      case 0x5d: // EMPTY_LIST
      case 0x8f: // EMPTY_SET
        this.#push(OTHER);
        return false;
      case 0x97: // NEXT_BUFFER
        // A buffer is handed over beside the file: bytes, never a callable, yet nothing that is known.
        this.#push(UNKNOWN);
        return false;
      case 0x98: // READONLY_BUFFER
        this.#need(1);
        return false;
      case 0x7d: // EMPTY_DICT
        this.#push(DICT);
        return false;
      case 0x29: // EMPTY_TUPLE
        this.#tuple(0);
        return false;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: {
        // TUPLE3
        const count = code - 0x85 + 1;
        this.#need(count);
        this.#tuple(count);
        return false;
      }
      case 0x74: // TUPLE
        this.#tuple(this.#unmark());
        return false;
      case 0x6c: // LIST
      case 0x91: // FROZENSET
        this.#replace(this.#unmark(), OTHER);
        return false;
      case 0x64: {
        // DICT
        const count = this.#unmark();
        if (count % 2 === 1) broken('a dictionary of an odd number of values');
        this.#replace(count, DICT);
        return false;
      }
      case 0x61: // APPEND
        this.#need(2);
        stack.pop();
        this.#fill(this.#top(), 'items');
        return false;
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        this.#drop(this.#unmark());
        this.#fill(this.#top(), 'items');
        return false;
      case 0x73: // SETITEM
        this.#need(3);
        this.#drop(2);
        this.#fill(this.#top(), 'entries');
        return false;
      case 0x75: {
        // SETITEMS
        const count = this.#unmark();
        if (count % 2 === 1) broken('an odd number of keys and values');
        this.#drop(count);
        this.#fill(this.#top(), 'entries');
        return false;
      }
      case 0x4a: // BININT
        this.#push(this.#number(4) | 0);
        return false;
      case 0x4b: // BININT1
      case 0x4d: // BININT2
        this.#push(this.#number(code === 0x4b ? 1 : 2));
        return false;
      case 0x49: // INT
      case 0x4c: // LONG
        return this.#numeral(code === 0x4c);
      case 0x46: {
        // FLOAT
        const line = this.#line(MAX_NUMERAL);
        if (line !== null && !looksFloat(line)) broken('a number that is none');
        this.#push(OTHER);
        return false;
      }
      case 0x47: // BINFLOAT
        this.#skip(8);
        this.#push(OTHER);
        return false;
      case 0x8a: // LONG1
        return this.#long(this.#number(1));
      case 0x8b: {
        // LONG4
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
      case 0x53: {
        // STRING
        const line = this.#line(MAX_NAME);
        if (line === null) this.#push(OTHER);
        else {
          const inner = /^\s*(['"])(.*)\1\s*$/s.exec(line)?.[2] ?? broken('a text without quotes');
          // escapes could make any name
          this.#push(inner.includes('\\') ? UNKNOWN : inner);
        }
        return false;
      }
      case 0x56: {
        // UNICODE
        const line = this.#line(MAX_NAME);
        this.#push(line === null ? OTHER : line.includes('\\') ? UNKNOWN : line);
        return false;
      }
      case 0x54: {
        // BINSTRING
        const length = this.#number(4);
        if (length > 0x7fffffff) broken('a text of negative length');
        this.#push(this.#text(length));
        return false;
      }
      case 0x55: // SHORT_BINSTRING
      case 0x8c: // SHORT_BINUNICODE
        this.#push(this.#text(this.#number(1)));
        return false;
      case 0x58: // BINUNICODE
      case 0x8d: // BINUNICODE8
        this.#push(this.#text(this.#number(code === 0x58 ? 4 : 8)));
        return false;
      case 0x43: // SHORT_BINBYTES
        this.#skip(this.#number(1));
        this.#push(OTHER);
        return false;
      case 0x42: // BINBYTES
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        this.#skip(this.#number(code === 0x42 ? 4 : 8));
        this.#push(OTHER);
        return false;
      case 0x67: // GET
        this.#recall(this.#memoIndex());
        return false;
      case 0x68: // BINGET
      case 0x6a: // LONG_BINGET
        this.#recall(this.#number(code === 0x68 ? 1 : 4));
        return false;
      case 0x70: {
        // PUT
        const index = this.#memoIndex();
        this.#remember(index, this.#top());
        return false;
      }
      case 0x71: // BINPUT
      case 0x72: {
        // LONG_BINPUT
        const index = this.#number(code === 0x71 ? 1 : 4);
        this.#remember(index, this.#top());
        return false;
      }
      case 0x94: // MEMOIZE
        this.#remember(this.#dense + this.#sparse.size, this.#top());
        return false;
      case 0x63: // GLOBAL
        this.#push(this.#import(this.#line(MAX_NAME), this.#line(MAX_NAME)));
        return false;
      case 0x93: {
        // STACK_GLOBAL
        this.#need(2);
        const name = stack.pop() as Value;
        const module = stack.pop() as Value;
        this.#push(this.#import(module, name));
        return false;
      }
      case 0x69: {
        // INST
        const target = this.#import(this.#line(MAX_NAME), this.#line(MAX_NAME));
        this.#replace(this.#unmark(), this.#call(target));
        return false;
      }
      case 0x6f: {
        // OBJ
        const count = this.#unmark();
        if (count < 1) broken('a value is taken from an empty stack');
        this.#replace(count, this.#call(stack[stack.length - count]));
        return false;
      }
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        this.#need(2);
        this.#replace(2, this.#call(stack[stack.length - 2], stack[stack.length - 1]));
        return false;
      case 0x92: // NEWOBJ_EX
        this.#need(3);
        this.#replace(3, this.#call(stack[stack.length - 3], stack[stack.length - 2]));
        return false;
      case 0x62: // BUILD
        this.#need(2);
        this.#build(stack.pop() as Value, this.#top());
        return false;
      case 0x82: // EXT1
      case 0x83: // EXT2
      case 0x84: {
        // EXT4
        const number = this.#number(code === 0x82 ? 1 : code === 0x83 ? 2 : 4);
        this.#problem('pickle-extension', `imports number ${number} of a registry that only the reading program knows`);
        this.#acted = true;
        this.#push(UNKNOWN);
        return false;
      }
      case 0x50: // PERSID
        this.#line(MAX_NAME);
        this.#persistent(OTHER);
        return false;
      case 0x51: // BINPERSID
        this.#persistent(this.#pop());
        return false;
      default:
        return broken(`opcode 0x${code.toString(16)} that this walk does not know`);
    }
  }

  #numeral(long: boolean): boolean {
    const line = this.#line(MAX_NUMERAL);
    // nearly all are small
    if (line !== null && line.length <= 15 && /^\d+$/.test(line)) {
      this.#push(Number(line));
      return false;
    }
    if (line !== null && !looksWhole(line, long)) broken('a number that is none');
    if (line === TORCH_MAGIC_TEXT && this.#opcodes <= 3) this.#magic = true;
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
