/** Sources that only this machine has: whoever checks the project out cannot install from them. */
import { isLocal, type SourceSpec } from '../sources/spec.ts';
import type { Manifest } from '../types.ts';

/** Why other machines lack the source, a sentence without full stop; undefined where they have it, as far as can be told. */
export function onlyHere(spec: SourceSpec, { folder }: Pick<Manifest, 'folder'>): string | undefined {
  if (!isLocal(spec)) return undefined;
  const path = spec.kind === 'path' ? spec.path : spec.kind === 'caffe' ? spec.readme : 'url' in spec ? spec.url : '';
  const says = (where: string): string => `the source is on this machine only, ${where} (${path}): another machine cannot install it`;
  if (spec.kind === 'file' || path.startsWith('/') || path === '..' || path.startsWith('../')) return says('outside of the project');
  const inside = path === folder || path.startsWith(`${folder}/`);
  return inside ? says('where models are installed, which is not committed') : undefined;
}
