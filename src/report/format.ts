/** Numbers as people read them. Rates are 0..1 in code and become percent here and nowhere else. */
import type { Cell, Table } from '../evaluate/result.ts';

export type Unit = Table['unit'];

/** A narrow space that does not break stands between thousands: `10 000`. */
const GROUP = '\u202f';
/** A space that does not break stands before a unit. */
const BEFORE_UNIT = '\u00a0';
const MINUS = '−';

/** A whole number with its thousands grouped: 281034 -> `281 034`. */
export function integer(value: number): string {
  const digits = Math.round(Math.abs(value))
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, GROUP);
  return value < 0 ? MINUS + digits : digits;
}

/** A number with a fixed count of decimals; a minus sign instead of a hyphen, and no `-0.00`. */
export function fixed(value: number, decimals: number): string {
  const text = Math.abs(value).toFixed(decimals);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

/** A rate 0..1 as percent without its sign: 0.00481 -> `0.48`. */
export function percent(rate: number, decimals: number): string {
  return fixed(rate * 100, decimals);
}

/** As {@link percent} with ` %`. */
export function percentSign(rate: number, decimals: number): string {
  return `${percent(rate, decimals)}${BEFORE_UNIT}%`;
}

/** Three significant digits without exponent for everyday magnitudes. */
export function significant(value: number, digits = 3): string {
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude < -4 || magnitude > 6) return value.toExponential(digits - 1).replace('-', MINUS);
  return fixed(value, Math.max(0, digits - 1 - magnitude));
}

/** Seconds as `10.5 ms`, `0.42 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`. */
export function duration(seconds: number): string {
  if (seconds > 0 && seconds < 0.1) return `${significant(seconds * 1000)}${BEFORE_UNIT}ms`;
  if (seconds < 10) return `${fixed(seconds, 2)}${BEFORE_UNIT}s`;
  if (seconds < 59.95) return `${fixed(seconds, 1)}${BEFORE_UNIT}s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (n: number): string => n.toString().padStart(2, '0');
  return hours > 0 ? `${hours}${BEFORE_UNIT}h ${two(minutes)}${BEFORE_UNIT}min` : `${minutes}${BEFORE_UNIT}min ${two(rest)}${BEFORE_UNIT}s`;
}

/** Bytes as `812 B`, `1.1 MiB`. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let n = value;
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : fixed(n, 1)}${BEFORE_UNIT}${units[unit]}`;
}

/** How the values of one table are written; all of a table's cells get the same number of decimals, so that they can be compared. */
export interface CellFormat {
  /** `%`, or nothing where the text of the value holds its unit. */
  readonly suffix: string;
  value(value: number): string;
}

/**
 * The format of a table. Rates: as many decimals as the largest n can resolve (10 000 inputs: 0.01 points), two at most, and
 * never fewer than the paper's numbers have.
 */
export function cellFormat(unit: Unit, cells: readonly Cell[]): CellFormat {
  switch (unit) {
    case 'rate': {
      const n = Math.max(0, ...cells.map((c) => c.n ?? 0));
      const byCount = n === 0 ? 2 : n >= 2000 ? 2 : n >= 200 ? 1 : 0;
      const byPaper = Math.max(0, ...cells.map((c) => (c.paper === undefined ? 0 : decimalsOf(c.paper * 100))));
      const decimals = Math.min(2, Math.max(byCount, byPaper));
      return { suffix: '%', value: (v) => percent(v, decimals) };
    }
    case 'count':
      return { suffix: '', value: (v) => (Number.isInteger(v) ? integer(v) : fixed(v, 1)) };
    case 'seconds':
      return { suffix: '', value: duration };
    case 'bytes':
      return { suffix: '', value: bytes };
    case 'activation':
      return { suffix: '', value: (v) => significant(v) };
  }
}

/** How many of at most four decimals a number needs: 2 for 0.48, 1 for 97.8. */
function decimalsOf(value: number): number {
  for (let d = 0; d < 4; d++) if (Math.abs(value - Number(value.toFixed(d))) < 1e-7) return d;
  return 4;
}

/** `one seed` or `3 seeds`. */
export function seedWords(seeds: number | undefined): string {
  return seeds === undefined || seeds === 1 ? 'one seed' : `${seeds} seeds`;
}

/** `a, b and c`. */
export function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** First letter upper case. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
