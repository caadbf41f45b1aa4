/** Reads what the installed files of a model say of themselves, every byte of it compared with the lock. */
import { existsSync } from 'node:fs';
import { SecateurError } from '../../core/errors.ts';
import { type LockedPlace, outlineLockedOnnx } from '../locked-onnx.node.ts';
import { readLockedFile } from '../read-locked.node.ts';
import type { LockedFile } from '../types.ts';
import { type ModelFacts, NO_FACTS, type OnnxFacts, type OnnxRefused, onnxFacts, plainText, type StatedFacts } from './facts.ts';
import { statedFacts } from './stated.ts';

/** A readme is text for people. */
const MAX_README_BYTES = 2 ** 20;

/** What was found, and what a user should be told about files that could not be used. */
export interface Collected {
  readonly facts: ModelFacts;
  readonly notes: readonly string[];
}

/**
 * The facts of one locked model. A model that is not installed has none, which is said; a file that the ONNX reader refuses is named with its
 * reason.
 * @throws SecateurError E_INTEGRITY (exit code 3) where an installed file has other bytes than the lock
 */
export function collectFacts(place: LockedPlace): Collected {
  const { name, folder, model } = place;
  if (!existsSync(folder)) {
    const notes = [`${name} is not installed, so the bill has what models.lock says of it: secateur zoo install for the rest`];
    return { facts: { ...NO_FACTS, unread: 'not installed' }, notes };
  }
  const onnx: OnnxFacts[] = [];
  const refused: OnnxRefused[] = [];
  const notes: string[] = [];
  for (const file of model.files) {
    if (file.format !== 'onnx') continue;
    try {
      onnx.push(onnxFacts(file.path, outlineLockedOnnx(place, file)));
    } catch (error) {
      if (!(error instanceof SecateurError) || error.parts.code === 'E_INTEGRITY') throw error;
      refused.push({ path: file.path, why: error.parts.what });
      notes.push(`${name}: ${file.path} is not described: ${error.parts.what}`);
    }
  }
  const readme = readmeOf(model.files);
  const stated = readme && readStated(place, readme);
  if (stated !== undefined && 'why' in stated) {
    if (stated.why !== 'no front matter') notes.push(`${name}: ${readme?.path} states nothing: ${plainText(stated.why)}`);
    return { facts: { onnx, refused }, notes };
  }
  return { facts: { onnx, refused, ...(stated && { stated }) }, notes };
}

/** The readme at the top of the model, in any case. */
const readmeOf = (files: readonly LockedFile[]): LockedFile | undefined => files.find((f) => /^readme\.md$/i.test(f.path));

function readStated(place: LockedPlace, readme: LockedFile): StatedFacts | { readonly why: string } {
  if (readme.size > MAX_README_BYTES) return { why: `it has ${readme.size} bytes, at most ${MAX_README_BYTES} are read` };
  return statedFacts(readme.path, new TextDecoder().decode(readLockedFile(place.name, place.folder, readme)));
}
