/** Formats of a model that is in the lock, looked at again: the words "onnx" and "ok" in a lock are only text. */
import { lintFolder } from '../lint/lint.node.ts';
import type { LintReport, LockedModel } from '../types.ts';

export interface LintedAgain {
  /** The lock's entry with what the files are now, by the rules of this program. */
  readonly entry: LockedModel;
  /** By path, of all files. */
  readonly lint: ReadonlyMap<string, LintReport>;
  /** Files of which the lock says something else. */
  readonly differing: readonly FormatChange[];
}

export interface FormatChange {
  readonly path: string;
  /** After the path: `is pickle (refused), models.lock says onnx (ok)`. */
  readonly says: string;
  /** Refused, which the lock does not say: nobody has taken it knowingly. */
  readonly refused: boolean;
}

/** @param folder with all files of the model, whose bytes have been compared with the lock */
export async function lintAgain(folder: string, entry: LockedModel): Promise<LintedAgain> {
  const paths = entry.files.map((f) => f.path);
  const lint = new Map((await lintFolder(folder, paths)).map(({ path, report }) => [path, report]));
  const differing: FormatChange[] = [];
  const files = entry.files.map((file) => {
    const { kind, verdict } = lint.get(file.path)!;
    if (kind === file.format && verdict === file.lint) return file;
    const says = `is ${kind} (${verdict}), models.lock says ${file.format} (${file.lint})`;
    differing.push({ path: file.path, says, refused: verdict === 'refused' && file.lint !== 'refused' });
    return { ...file, format: kind, lint: verdict };
  });
  return { entry: { ...entry, files }, lint, differing };
}
