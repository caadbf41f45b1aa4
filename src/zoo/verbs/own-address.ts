/** Whether a locked file is fetched from where its model's source is: an address in a lock that nobody reads closely is a way in. */
import { fail } from '../../core/errors.ts';
import { hubFileAddress } from '../sources/hub-listing.ts';
import { parseSource } from '../sources/spec.ts';
import type { LockedFile, LockedModel } from '../types.ts';

/**
 * Compares addresses with what source and revision give. Those of weights that a Caffe readme names can be anywhere.
 * @throws SecateurError E_LOCK (exit code 3)
 */
export function requireOwnAddresses(name: string, model: LockedModel): void {
  for (const { path, url } of model.files) {
    const wanted = addressOf(model, path);
    if (wanted === 'any' || url === wanted) continue;
    fail({
      code: 'E_LOCK',
      where: `models.lock: ${name}: ${path}`,
      what: `the address is not one of its source, ${model.source}; the file was edited or damaged`,
      expected: wanted ?? 'none: the source is a path',
      got: url ?? 'none',
      hint: 'models.lock as it was committed',
      exitCode: 3,
    });
  }
}

function addressOf({ source, resolved }: LockedModel, path: LockedFile['path']): string | undefined {
  const spec = parseSource(source, 'models.lock');
  if (spec.kind === 'path') return undefined;
  if (spec.kind === 'url') return spec.url;
  return spec.kind === 'hf' ? hubFileAddress(spec.repo, resolved.replace(/^commit:/, ''), path) : 'any';
}
