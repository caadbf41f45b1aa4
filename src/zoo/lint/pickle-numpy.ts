/**
 * What a pickle does with NumPy's element types. NumPy takes the flags of a type from the file as they are there: a type of Python objects
 * that says that it holds none has bytes of the file taken for addresses of objects, and whoever chooses these runs code. So types of
 * objects must be written as NumPy writes them, and no array is laid over bytes.
 */
import { type Imported, Made, Tuple, type Value } from './pickle-values.ts';

/** Types without objects, as NumPy's pickles name them; `V` is one of records. */
const PLAIN = /^[<>|=]?([biufcmMSUVa?])\d{0,9}(\[[\w/]{1,40}\])?$/;
/** What NumPy writes for objects: references, a list in pickles, initialised, a pointer, through getitem and setitem, with the interpreter. */
const OBJECT_FLAGS = 63;
const HELD = 3;

export class NumpyTypes {
  #object: Made | undefined;
  #record: Made | undefined;
  #forged = false;
  #plainRecords = false;
  #loose = false;
  #overlay = false;

  /** What a call gives where it makes a type other than of numbers or texts. */
  made(target: Imported, args: Value | undefined): Made | undefined {
    if (target.name === 'tuple' || target.name === '_reconstructor') this.#loose = true;
    // an array laid over bytes of the pickle's choice
    if (target.module === 'numpy' && target.name === 'ndarray') this.#overlay = true;
    if (target.module !== 'numpy' || target.name !== 'dtype') return undefined;
    const first = args instanceof Tuple ? args.items[0] : undefined;
    const kind = typeof first === 'string' ? PLAIN.exec(first)?.[1] : undefined;
    if (kind === undefined) this.#object ??= new Made(target);
    if (kind === 'V') this.#record ??= new Made(target);
    return kind === undefined ? this.#object : kind === 'V' ? this.#record : undefined;
  }

  /** A field of a record is a tuple of its type and its place; an array's state has its type in the middle. */
  field(type: Value | undefined): void {
    if (this.#object !== undefined && type === this.#object) this.#loose = true;
  }

  /** Looks at the state that a type gets. */
  state(target: Value, state: Value): void {
    const flags = state instanceof Tuple && state.items.length === 8 ? state.items[7] : undefined;
    if (this.#object !== undefined && target === this.#object && flags !== OBJECT_FLAGS) this.#forged = true;
    if (this.#record !== undefined && target === this.#record && (typeof flags !== 'number' || (flags & HELD) !== HELD)) {
      this.#plainRecords = true;
    }
  }

  /** What of it no program that writes arrays does. */
  get problem(): string | undefined {
    if (this.#overlay) return 'lays an array over bytes or memory, which NumPy itself never writes';
    // records that say that they hold no objects, and a type of objects that may be among their fields
    if (this.#forged || (this.#plainRecords && this.#loose && this.#object !== undefined))
      return 'gives a NumPy type a state by which bytes are taken for addresses of objects';
    return undefined;
  }
}
