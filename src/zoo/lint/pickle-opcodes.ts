/**
 * The opcodes of Python's pickle, protocols 0 to 5 (CPython Lib/pickletools.py), by what a walk over them must do: how the argument is
 * passed over, and what happens to the stack.
 */

/** How an argument stands behind its opcode. */
export type Argument =
  /** So many bytes. */
  | number
  /** A line. */
  | 'line'
  /** Two lines. */
  | 'lines'
  /** A length in so many little-endian bytes, and so much. */
  | 'sized1'
  | 'sized4'
  | 'sized8';

export interface Opcode {
  readonly code: number;
  readonly name: string;
  readonly argument: Argument;
}

/** `letter-or-byte NAME argument` */
const TABLE = `
  I INT line | J BININT 4 | K BININT1 1 | M BININT2 2 | L LONG line | 8a LONG1 sized1 | 8b LONG4 sized4
  S STRING line | T BINSTRING sized4 | U SHORT_BINSTRING sized1 | B BINBYTES sized4 | C SHORT_BINBYTES sized1 | 8e BINBYTES8 sized8
  96 BYTEARRAY8 sized8 | 97 NEXT_BUFFER 0 | 98 READONLY_BUFFER 0 | N NONE 0 | 88 NEWTRUE 0 | 89 NEWFALSE 0
  V UNICODE line | 8c SHORT_BINUNICODE sized1 | X BINUNICODE sized4 | 8d BINUNICODE8 sized8 | F FLOAT line | G BINFLOAT 8
  ] EMPTY_LIST 0 | a APPEND 0 | e APPENDS 0 | l LIST 0 | ) EMPTY_TUPLE 0 | t TUPLE 0 | 85 TUPLE1 0 | 86 TUPLE2 0 | 87 TUPLE3 0
  } EMPTY_DICT 0 | d DICT 0 | s SETITEM 0 | u SETITEMS 0 | 8f EMPTY_SET 0 | 90 ADDITEMS 0 | 91 FROZENSET 0
  0 POP 0 | 2 DUP 0 | ( MARK 0 | 1 POP_MARK 0 | g GET line | h BINGET 1 | j LONG_BINGET 4 | p PUT line | q BINPUT 1 | r LONG_BINPUT 4
  94 MEMOIZE 0 | 82 EXT1 1 | 83 EXT2 2 | 84 EXT4 4 | c GLOBAL lines | 93 STACK_GLOBAL 0 | R REDUCE 0 | b BUILD 0 | i INST lines
  o OBJ 0 | 81 NEWOBJ 0 | 92 NEWOBJ_EX 0 | 80 PROTO 1 | . STOP 0 | 95 FRAME 8 | P PERSID line | Q BINPERSID 0
`;

/** By byte; undefined where no opcode has it. */
export const OPCODES: readonly (Opcode | undefined)[] = (() => {
  const table: (Opcode | undefined)[] = new Array(256).fill(undefined);
  for (const text of TABLE.trim().split(/\s*[|\n]\s*/)) {
    const [key, name, argument] = text.split(' ');
    const code = key.length === 1 ? key.charCodeAt(0) : Number.parseInt(key, 16);
    table[code] = { code, name, argument: /^\d$/.test(argument) ? Number(argument) : (argument as Argument) };
  }
  return table;
})();

/** The newest protocol there is. */
export const HIGHEST_PROTOCOL = 5;
