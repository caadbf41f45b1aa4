/** Einsum: the gradient of an operand is an Einsum of the output's gradient and the other operands. */
import type { Context } from '../context.ts';
import type { Rule } from '../table.ts';

const LETTERS = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'];

export function einsum(c: Context): ReturnType<Rule> {
  const { operands, output } = labels(c);
  const repeated = [...operands, output].find((axes) => new Set(axes).size < axes.length);
  if (repeated !== undefined) c.refuse(`the index "${repeated.find((a, i) => repeated.indexOf(a) < i)}" twice in one operand`);
  return operands.map((_, i) => () => gradientOf(c, operands, output, i));
}

/** One letter per axis, of every operand and of the output; axes under an ellipsis get letters that nobody uses. */
function labels(c: Context): { operands: string[][]; output: string[] } {
  const equation = c.string('equation', '').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  const terms = left.split(',');
  const free = LETTERS.filter((letter) => !equation.includes(letter));
  const hidden = (term: string, rank: number): number => (term.includes('...') ? rank - (term.length - 3) : 0);
  const longest = Math.max(0, ...terms.map((term, i) => hidden(term, c.shape(i).length)));
  const ellipsis = free.slice(0, longest);
  const spell = (term: string, rank: number): string[] => {
    // Axes under an ellipsis are broadcast: they match from the last one on.
    const under = ellipsis.slice(longest - hidden(term, rank));
    const at = term.indexOf('...');
    return at < 0 ? [...term] : [...term.slice(0, at), ...under, ...term.slice(at + 3)];
  };
  const operands = terms.map((term, i) => spell(term, c.shape(i).length));
  // Without an arrow the output has the letters that occur once, in alphabetical order, after the ellipsis.
  const written = operands.flat().filter((letter) => !ellipsis.includes(letter));
  const once = [...new Set(written)].filter((letter) => written.indexOf(letter) === written.lastIndexOf(letter)).sort();
  const output = right === undefined ? [...ellipsis, ...once] : spell(right, c.outShape().length);
  return { operands, output };
}

function gradientOf(c: Context, operands: readonly string[][], output: readonly string[], i: number): string {
  const { e } = c;
  const dims = c.shape(i);
  const own = operands[i];
  const others = operands.filter((_, k) => k !== i);
  const otherNames = c.node.inputs.filter((_, k) => k !== i);
  const sizes = new Map<string, number>();
  for (const [k, axes] of operands.entries()) {
    for (const [j, letter] of axes.entries()) sizes.set(letter, Math.max(sizes.get(letter) ?? 1, c.shape(k)[j]));
  }
  // An axis of the operand that occurs nowhere else was summed away: every element along it has the same gradient.
  const known = new Set([...output, ...others.flat()]);
  const left = own.filter((letter) => known.has(letter));
  const equation = `${[output, ...others].map((axes) => axes.join('')).join(',')}->${left.join('')}`;
  const product = e.with('Einsum', [c.dy, ...otherNames], { equation });
  const found = left.map((letter) => sizes.get(letter)!);
  const kept = left.map((letter) => dims[own.indexOf(letter)]);
  const fitted = e.sumTo(product, found, kept);
  if (left.length === own.length) return fitted;
  const lined = own.map((letter, k) => (known.has(letter) ? dims[k] : 1));
  return e.spread(e.reshape(fitted, lined), lined, dims);
}
