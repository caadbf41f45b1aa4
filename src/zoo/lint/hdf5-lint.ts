/** HDF5 files: Keras models among them, which have their layers in an attribute of the root. */
import type { ByteSource } from '../../data/zip.ts';
import type { FormatKind } from '../types.ts';
import { type Findings, quoted } from './findings.ts';
import { rootTexts } from './hdf5.ts';
import { hdf5Start } from './hdf5-start.ts';
import { lintKerasConfig } from './keras.ts';

/** Attributes of the root from which Keras makes objects. */
const CONFIGS = ['model_config', 'training_config'];

export function lintHdf5(source: ByteSource, findings: Findings): FormatKind {
  const start = hdf5Start(source) ?? 0;
  const texts = findings.attempt('hdf5', () => rootTexts(source, start, CONFIGS));
  if (texts === undefined) return 'hdf5';
  for (const name of CONFIGS) {
    if (!texts.has(name)) continue;
    const text = texts.get(name);
    if (text === undefined) findings.refuse('keras-config', `has an attribute ${quoted(name)} that is no text`);
    else lintKerasConfig(text, name, findings);
  }
  return texts.has('model_config') ? 'keras-h5' : 'hdf5';
}
