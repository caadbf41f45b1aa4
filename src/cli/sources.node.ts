/** The data of recipes that need several sets: one folder that holds them all, an address each, or the built-in generators. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, SecateurError } from '../core/errors.ts';
import { type Fit, PREPROCESS_HINT } from '../data/fit.ts';
import { isBuiltin } from '../data/generators.ts';
import { loadData } from '../data/load.node.ts';
import type { Source } from '../recipes/recipe.ts';

export type SourceName = 'face' | 'speech' | 'signs' | 'abroad';

interface Kind {
  /** After `builtin:`. */
  readonly builtin: string;
  /** Folders that are looked for below `--data`. */
  readonly folders: readonly string[];
  /** What belongs together, where the table has such columns. */
  readonly groupBy?: string;
  /** What pictures of any size are made into; images of that size stay as they are, byte by byte. */
  readonly fit?: Fit;
}

/** The originals of GTSRB and BelgiumTSC have every size there is. */
const SIGNS: Fit = {
  ...{ channels: 3, height: 32, width: 32 },
  preprocess: { resize: [32, 32], interpolation: 'bilinear', antialias: true },
};

export const KINDS: Readonly<Record<SourceName, Kind>> = {
  face: { builtin: 'faces', folders: ['face', 'faces', 'yaleb'], groupBy: 'light_azimuth_deg,light_elevation_deg' },
  speech: { builtin: 'spoken', folders: ['speech', 'spoken', 'fsdd'] },
  signs: { builtin: 'signs', folders: ['signs', 'gtsrb'], fit: SIGNS },
  abroad: { builtin: 'signs-abroad', folders: ['abroad', 'signs-abroad', 'btsc'], fit: SIGNS },
};

export interface SourceOptions {
  /** `builtin`, a folder with a folder for each, or the data itself where only one is needed. */
  readonly data: string;
  /** An address of its own, which goes before `data`. */
  readonly each?: Readonly<Partial<Record<SourceName, string>>>;
  readonly groupBy?: string;
  /** For another network than the usual one, which may want another size: images are taken as they are. */
  readonly ownSize?: boolean;
  readonly note?: (text: string) => void;
}

/** Reads what a recipe needs. Throws SecateurError where a set is missing, saying what was looked for. */
export async function loadSources(names: readonly SourceName[], o: SourceOptions): Promise<Record<string, Source>> {
  const sources: Record<string, Source> = {};
  for (const name of names) sources[name] = await loadSource(await addressOf(name, names.length === 1, o), KINDS[name], o);
  return sources;
}

async function addressOf(name: SourceName, alone: boolean, { data, each }: SourceOptions): Promise<string> {
  const own = each?.[name];
  if (own === 'builtin' || (own === undefined && data === 'builtin')) return `builtin:${KINDS[name].builtin}`;
  if (own !== undefined) return own;
  if (isBuiltin(data)) {
    if (alone) return data;
    return fail({
      where: '--data',
      what: `"${data}" is one set of data and this recipe needs several`,
      expected: 'builtin, or a folder',
      exitCode: 2,
    });
  }
  // a set with a folder of that name in it, as strips lie in, is not a folder of sets
  const inside = (await stat(join(data, 'index.csv')).catch(() => undefined)) !== undefined;
  for (const folder of inside ? [] : KINDS[name].folders) {
    const path = join(data, folder);
    if ((await stat(path).catch(() => undefined))?.isDirectory()) return path;
  }
  if (alone) return data;
  const flag = `--${name} URI`;
  return fail({
    where: `data: ${data}`,
    what: `no data for ${name}`,
    expected: `a folder ${KINDS[name].folders.join(' or ')} in it`,
    hint: flag,
    exitCode: 2,
  });
}

async function loadSource(uri: string, kind: Kind, { groupBy, ownSize, note }: SourceOptions): Promise<Source> {
  const fit = ownSize ? undefined : kind.fit;
  const load = (by: string | undefined): ReturnType<typeof loadData> =>
    loadData(uri, { ...(by === undefined ? {} : { groupBy: by }), ...(fit && { fit }), note });
  const { train, test } = await load(groupBy ?? kind.groupBy).catch((error: unknown) => {
    // the usual columns are tried; other data have others
    const notThere = error instanceof SecateurError && error.parts.where === '--group-by' && groupBy === undefined;
    if (notThere) return load(undefined);
    // recipes have no --preprocess
    if (!(error instanceof SecateurError) || error.parts.hint !== PREPROCESS_HINT) throw error;
    throw new SecateurError({
      ...error.parts,
      hint: ownSize && kind.fit ? 'the same without --network, or pictures of one size' : 'pictures of one size',
    });
  });
  if (train === undefined) return fail({ where: `data: ${uri}`, what: 'no training images', expected: 'a part to train on' });
  return { uri, synthetic: isBuiltin(uri), train, ...(test && { test }) };
}
