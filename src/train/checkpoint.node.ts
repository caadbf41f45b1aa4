/** Checkpoints on disk. `saveModel` writes beside, flushes and renames, so whoever is killed in the middle leaves the last one whole. */
import { existsSync } from 'node:fs';
import { loadModel, saveModel } from '../onnx/file.node.ts';
import { TRUSTED } from '../onnx/limits.ts';
import { type CheckpointStore, fromModel, toModel } from './checkpoint.ts';

/** A store that keeps its one checkpoint at `path`. What it reads is what it wrote, so it may have as many parts as any network. */
export function fileCheckpoint(path: string): CheckpointStore {
  return {
    load: async () => (existsSync(path) ? fromModel(await loadModel(path, TRUSTED), path) : undefined),
    save: (checkpoint) => saveModel(path, toModel(checkpoint)),
  };
}
