/** What stands on the stack of the walk over a pickle in place of objects. */
import { isAllowedImport } from './pickle-globals.ts';

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
export class Made {
  readonly by: Imported;
  constructor(by: Imported) {
    this.by = by;
  }
}

/** A short tuple; longer ones are only {@link OTHER}. */
export class Tuple {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

export const OTHER = Symbol('a value without interest');
export const DICT = Symbol('a dictionary');
/** What an escape, a buffer beside the file or a call of something unknown gives, or a memo entry that could not be kept: anything. */
export const UNKNOWN = Symbol('unknown');
export type Value = number | string | symbol | Imported | Made | Tuple;
