/** Takes what belongs to the user from a model's old folder to its new one; what is left behind are files that the store put there itself. */
import { lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ifThere } from './disk.node.ts';

/**
 * Moves everything from `old` to `folder` but the files in `ours`. Links, pipes and folders are moved as they are. Where the new folder has
 * something of the same name (a link stood in a file's place, or the disk does not tell upper from lower case), `.kept-1` is put behind it.
 * @param ours paths with `/`, relative to the folder
 * @returns where things are now, a folder as one
 */
export async function carry(old: string, folder: string, ours: ReadonlySet<string>, onStep: (step: string) => void): Promise<string[]> {
  const holding = new Set([...ours].flatMap((path) => [...path.matchAll(/\//g)].map((slash) => path.slice(0, slash.index))));
  const moved: string[] = [];
  const walk = async (below: string, to: string): Promise<void> => {
    // Names as bytes: one that is no UTF-8 must arrive as it was.
    const entries = (await ifThere(readdir(join(old, below), { withFileTypes: true, encoding: 'buffer' }))) ?? [];
    for (const entry of entries) {
      const [path, dest] = [under(below, entry.name.toString()), under(to, entry.name.toString())];
      if (ours.has(path) && entry.isFile()) continue;
      const target = bytesOf(join(folder, to), entry.name);
      if (entry.isDirectory() && holding.has(path)) {
        // The new version may have a file where the old one had a folder.
        const taken = (await ifThere(lstat(target)))?.isDirectory() === false;
        await walk(path, taken ? dest + (await freeSuffix(target)) : dest);
        continue;
      }
      await mkdir(join(folder, to), { recursive: true });
      const suffix = await freeSuffix(target);
      await rename(bytesOf(join(old, below), entry.name), Buffer.concat([target, Buffer.from(suffix)]));
      moved.push(dest + suffix);
      onStep(`carried ${path}`);
    }
  };
  await mkdir(dirname(folder), { recursive: true });
  await walk('', '');
  return moved.sort();
}

const under = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);

const bytesOf = (folder: string, name: Buffer): Buffer => Buffer.concat([Buffer.from(`${folder}/`), name]);

/** What has to be put behind a path so that nothing is there. */
async function freeSuffix(path: Buffer): Promise<string> {
  for (let n = 0; ; n++) {
    const suffix = n === 0 ? '' : `.kept-${n}`;
    if ((await ifThere(lstat(Buffer.concat([path, Buffer.from(suffix)])))) === undefined) return suffix;
  }
}
