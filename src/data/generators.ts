/** The built-in data sets: made by a function from a seed instead of read from files. A new one is one file and one line here. */
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import type { Dataset, Role } from './dataset.ts';
import { digits } from './digits.ts';
import { faces } from './faces.ts';
import { signs, signsAbroad } from './sign-pictures.ts';
import { ABROAD, HOME } from './sign-pictures-designs.ts';
import { spoken } from './spoken.ts';

export interface GeneratorOptions<R extends Role> {
  readonly count: number;
  readonly seed: number;
  readonly role: R;
}

export interface Generator {
  /** After `builtin:`. */
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  /** How many images where nobody says. */
  readonly counts: { readonly train: number; readonly test: number };
  /** Same options, same bytes; different roles share no image. */
  readonly generate: <R extends Role>(options: GeneratorOptions<R>) => Dataset<R>;
}

const GENERATORS = new Map<string, Generator>();

/** Makes `builtin:NAME` known. Fails where the name is taken. */
export function registerGenerator(generator: Generator): void {
  if (GENERATORS.has(generator.name)) fail({ where: 'data', what: `two generators are called "${generator.name}"` });
  GENERATORS.set(generator.name, generator);
}

registerGenerator({
  name: 'digits',
  summary: 'handwritten-looking digits, 28x28 grey, 10 classes',
  counts: { train: 6000, test: 2000 },
  generate: digits,
});

registerGenerator({
  name: 'faces',
  summary: 'made-up faces under many lights, 96x84 grey, 20 people',
  counts: { train: 800, test: 300 },
  generate: faces,
});

registerGenerator({
  name: 'signs',
  summary: `made-up traffic signs, 32x32 RGB, ${HOME.length} kinds`,
  counts: { train: 1320, test: 440 },
  generate: signs,
});

registerGenerator({
  name: 'signs-abroad',
  summary: `traffic signs of another made-up country, 32x32 RGB, ${ABROAD.length} kinds`,
  counts: { train: 800, test: 400 },
  generate: signsAbroad,
});

registerGenerator({
  name: 'spoken',
  summary: 'spectrograms of digits said by made-up voices, 64x64 grey, 6 speakers',
  counts: { train: 1200, test: 400 },
  generate: spoken,
});

export function generators(): Generator[] {
  return [...GENERATORS.values()];
}

export interface BuiltinOptions {
  readonly seed?: number;
  /** Training images to make. */
  readonly train?: number;
  /** Test images to make. */
  readonly test?: number;
}

const PREFIX = 'builtin:';
const SETTINGS = ['train', 'test', 'seed'] as const;

export function isBuiltin(uri: string): boolean {
  return uri.startsWith(PREFIX);
}

/**
 * Training and test data of `builtin:NAME`, `builtin:NAME?train=6000&test=2000&seed=1`; what the address says goes before `options`,
 * and those before the generator's own counts and seed 1. Fails for unknown names and settings, and for counts that are none.
 */
export function loadBuiltin(uri: string, options: BuiltinOptions = {}): { train: Dataset<'train'>; test: Dataset<'test'> } {
  const [name, query = ''] = uri.slice(PREFIX.length).split('?', 2);
  const generator = GENERATORS.get(name);
  const where = `data: ${uri}`;
  if (generator === undefined) {
    const near = nearest(name, GENERATORS.keys());
    const expected = [...GENERATORS.keys()].map((known) => PREFIX + known).join(', ');
    return fail({ where, what: 'no such built-in data', expected, hint: near && PREFIX + near, exitCode: 2 });
  }
  const settings: BuiltinOptions = { ...options, ...parseSettings(query, where) };
  const seed = settings.seed ?? 1;
  const count = (part: 'train' | 'test'): number => {
    const n = settings[part] ?? generator.counts[part];
    if (Number.isInteger(n) && n > 0) return n;
    return fail({ where, what: `number of ${part} images`, expected: 'a whole number above 0', got: `${n}`, exitCode: 2 });
  };
  const [train, test] = [count('train'), count('test')];
  return {
    train: generator.generate({ count: train, seed, role: 'train' }),
    test: generator.generate({ count: test, seed, role: 'test' }),
  };
}

function parseSettings(query: string, where: string): BuiltinOptions {
  const settings: Record<string, number> = {};
  for (const [key, text] of new URLSearchParams(query)) {
    const known = SETTINGS.some((name) => name === key);
    if (!known) fail({ where, what: `unknown setting "${key}"`, expected: SETTINGS.join(', '), exitCode: 2 });
    if (!/^\d+$/.test(text)) fail({ where, what: key, expected: 'a whole number', got: text || 'nothing', exitCode: 2 });
    settings[key] = Number(text);
  }
  return settings;
}
