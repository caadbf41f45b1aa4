/** What an owner of a parser writes to have it fuzzed: a file beside this one that exports `target`. */
export interface FuzzTarget {
  /** As after `--target`. */
  readonly name: string;
  /** Valid inputs, and a few that are refused for an interesting reason; mutations start from them. */
  seeds(): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /**
   * Does with the bytes what the program does with a download. Returning counts as accepted (or as the word that is returned), a
   * SecateurError as refused, anything else thrown as a bug.
   */
  run(bytes: Uint8Array): undefined | string | Promise<undefined | string>;
  /** Words of the format that are put in and swapped for one another; characters up to U+00FF stand for bytes. */
  readonly words?: readonly string[];
}
