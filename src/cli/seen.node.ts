/** Whether a network was made with the images that it is about to be judged on, as far as the folder it lies in says. */
import { dirname, resolve } from 'node:path';
import type { Dataset } from '../data/dataset.ts';
import { readRunJson } from './run-folder.node.ts';

/**
 * What to say of a network that judges itself: its run folder names the same data as those that are to be test images, all of them, because
 * they have no test part. undefined where it lies in no run folder, or one that was made from other data.
 * @param model path of its file
 * @param uri where the images come from, as the user wrote it
 */
export async function madeFromThese(model: string, uri: string, images: Dataset): Promise<string | undefined> {
  // A folder that is none, or whose run.json is something else, says nothing.
  const run = await readRunJson(dirname(model)).catch(() => undefined);
  if (run === undefined) return undefined;
  const { inputs, options, command } = run;
  const source = options.data;
  const sameSource = typeof source === 'string' && (source === uri || resolve(source) === resolve(uri));
  if (inputs.validation !== undefined && (sameSource || inputs.validation === images.sha256)) {
    const which = inputs.validation === images.sha256 ? 'these images' : 'some of these images';
    return `Warning: the defence (${command}) saw ${which}: how well the network does on others, they do not say.`;
  }
  if (inputs.data === undefined || !sameSource) return undefined;
  return `Warning: the network was trained (${command}) on most of these images: how well it does on others, they do not say.`;
}
