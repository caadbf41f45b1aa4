/** Order of names as people count: `2` before `10`, the same on every machine whatever its locale. */

const PIECES = /\d+|\D+/g;
const isNumber = (text: string): boolean => text[0] >= '0' && text[0] <= '9';

/** For `sort`: runs of digits compare by value, everything else by code unit; `01` comes before `1`. */
export function naturalOrder(a: string, b: string): number {
  const [left, right] = [a.match(PIECES) ?? [], b.match(PIECES) ?? []];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i], right[i]];
    if (x === y) continue;
    if (isNumber(x) && isNumber(y)) {
      const [p, q] = [BigInt(x), BigInt(y)];
      if (p !== q) return p < q ? -1 : 1;
      continue;
    }
    return x < y ? -1 : 1;
  }
  return left.length - right.length || (a < b ? -1 : a > b ? 1 : 0);
}
