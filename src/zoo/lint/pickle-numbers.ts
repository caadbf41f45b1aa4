/** Numbers that stand in a pickle as text, as CPython reads them: as a C string, which ends at its first NUL. */

const upToNul = (line: string): string => {
  const end = line.indexOf('\0');
  return end < 0 ? line : line.slice(0, end);
};

/**
 * The number of a memo entry, as int() reads it: blanks around it, a plus sign, any number of zeros before it and single underscores between
 * digits all count.
 * @returns undefined where it is none or below 0; infinite beyond 2^53
 */
export function memoNumber(line: string): number | undefined {
  const digits = /^\s*\+?(\d+(?:_\d+)*)\s*$/.exec(upToNul(line))?.[1];
  if (digits === undefined) return undefined;
  const value = Number(digits.replaceAll('_', ''));
  return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
}

/** Whether Python may take a line for a whole number of any base. */
export const looksWhole = (line: string, long: boolean): boolean => (long ? /^\s*[-+]?\w+L?\s*$/ : /^\s*[-+]?\w+\s*$/).test(upToNul(line));

/** Whether Python may take a line for a number with a fraction. */
export const looksFloat = (line: string): boolean =>
  /^\s*[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*|inf|infinity|nan)([eE][-+]?[\d_]+)?\s*$/i.test(upToNul(line));

/** int.from_bytes(little) of this is 0x1950a86a20f9469cfc6c. */
export const TORCH_MAGIC = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/** The same as protocol 0 writes it. */
export const TORCH_MAGIC_TEXT = '119547037146038801333356L';
