/** How a walk over a pickle ends before its STOP. */
export class Stop extends Error {
  readonly ended: 'cut' | 'broken';
  readonly limited: boolean;
  constructor(ended: 'cut' | 'broken', why: string, limited = false) {
    super(why);
    [this.ended, this.limited] = [ended, limited];
  }
}

/** The bytes end first. */
export const cut = (): never => {
  throw new Stop('cut', 'the file ends within it');
};
/** Python would give up here. */
export const broken = (why: string): never => {
  throw new Stop('broken', why);
};
/** A bound of the walk, where Python would go on. */
export const limit = (why: string): never => {
  throw new Stop('broken', why, true);
};
