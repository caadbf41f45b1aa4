/** Layers of Caffe that do more than compute. */
import { type Findings, quoted } from './findings.ts';

/** Layer types that read or write files, or listen, by the name in their parameters. */
const FILES = new Set([
  'Data',
  'ImageData',
  'HDF5Data',
  'HDF5Output',
  'WindowData',
  'HDF5_DATA',
  'HDF5_OUTPUT',
  'IMAGE_DATA',
  'WINDOW_DATA',
  'DATA',
]);
const MODULE_KEYS = new Set(['module']);
/** Names that are listed. */
const LISTED = 100;

export class CaffeLayers {
  #python = false;
  readonly #modules = new Set<string>();
  readonly #files = new Set<string>();

  /** A field that a layer has, whatever layer it is. */
  field(key: string, value: string): void {
    if (key === 'type') {
      if (value === 'Python') this.#python = true;
      if (FILES.has(value)) this.#files.add(value);
    } else if (MODULE_KEYS.has(key) && this.#modules.size < LISTED) this.#modules.add(value);
  }

  report(findings: Findings): void {
    if (this.#python || this.#modules.size > 0) {
      const which = this.#modules.size === 0 ? '' : `: ${[...this.#modules].map(quoted).join(', ')}`;
      findings.flag('caffe-python', `has a layer of type "Python", which imports a module by name and runs it${which}`);
    }
    if (this.#files.size > 0) findings.flag('caffe-files', `has layers that read or write files: ${[...this.#files].join(', ')}`);
  }
}
