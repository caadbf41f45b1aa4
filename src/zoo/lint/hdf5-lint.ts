/** HDF5 files: Keras models among them. */
import type { ByteSource } from '../../data/zip.ts';
import type { FormatKind } from '../types.ts';
import type { Findings } from './findings.ts';

export function lintHdf5(source: ByteSource, findings: Findings): FormatKind {
  findings.refuse('hdf5', `an HDF5 file of ${source.size} bytes, whose attributes are not looked at`);
  return 'hdf5';
}
