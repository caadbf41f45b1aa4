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
  const walk = async (below: string): Promise<void> => {
    // Names as bytes: one that is no UTF-8 must arrive as it was.
    const entries = (await ifThere(readdir(join(old, below), { withFileTypes: true, encoding: 'buffer' }))) ?? [];
    for (const entry of entries) {
      const path = below === '' ? entry.name.toString() : `${below}/${entry.name.toString()}`;
      if (ours.has(path) && entry.isFile()) continue;
      if (entry.isDirectory() && holding.has(path)) {
        await walk(path);
        continue;
      }
      const [target, suffix] = await free(bytesOf(join(folder, below), entry.name));
      await mkdir(join(folder, below), { recursive: true });
      await rename(bytesOf(join(old, below), entry.name), target);
      moved.push(path + suffix);
      onStep(`carried ${path}`);
    }
  };
  await mkdir(dirname(folder), { recursive: true });
  await walk('');
  return moved.sort();
}

const bytesOf = (folder: string, name: Buffer): Buffer => Buffer.concat([Buffer.from(`${folder}/`), name]);

async function free(path: Buffer): Promise<readonly [Buffer, string]> {
  for (let n = 0; ; n++) {
    const suffix = n === 0 ? '' : `.kept-${n}`;
    const name = Buffer.concat([path, Buffer.from(suffix)]);
    if ((await ifThere(lstat(name))) === undefined) return [name, suffix];
  }
}
