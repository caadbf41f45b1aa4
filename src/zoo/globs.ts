/** Patterns over names with `/`: `*` within a part, `**` as a part of its own for any number of parts. */

/**
 * Whether a pattern matches a whole name. `*` stands for any characters of one part, `**` between slashes for any number of parts, none
 * included; every other character stands for itself. Steps are bounded by the product of the lengths, whatever the pattern: only the last
 * star is ever taken back.
 */
export function globMatches(glob: string, text: string): boolean {
  return matches(glob.split('/'), text.split('/'), (part) => part === '**', partMatches);
}

function partMatches(pattern: string, part: string): boolean {
  return matches(
    pattern,
    part,
    (c) => c === '*',
    (a, b) => a === b,
  );
}

/** Wildcard matching over a sequence; where a piece does not fit, the last star takes one more. */
function matches<T extends string | readonly string[]>(
  pattern: T,
  text: T,
  isStar: (piece: string) => boolean,
  fits: (piece: string, item: string) => boolean,
): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let taken = 0;
  while (t < text.length) {
    if (p < pattern.length && isStar(pattern[p])) {
      star = p++;
      taken = t;
    } else if (p < pattern.length && fits(pattern[p], text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++taken;
    } else return false;
  }
  while (p < pattern.length && isStar(pattern[p])) p++;
  return p === pattern.length;
}
