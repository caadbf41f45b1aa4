/** Caffe's `.caffemodel`: NetParameter of caffe.proto in protobuf's binary form, with new layers (100) or those of before 2014 (2). */
import type { ByteSource } from '../../data/zip.ts';
import { CaffeLayers } from './caffe-layers.ts';
import type { Findings } from './findings.ts';
import { type ProtoBudget, ProtoEnd, type ProtoField, protoFields, protoText } from './proto-fields.ts';

const MAX_FIELDS = 2_000_000;
/** LayerParameter.python_param, and its `module`. */
const PYTHON_PARAM = 130;
/** V1LayerParameter.type of layers that touch files. */
const OLD_FILES: ReadonlyMap<number, string> = new Map([
  [5, 'DATA'],
  [9, 'HDF5_DATA'],
  [10, 'HDF5_OUTPUT'],
  [12, 'IMAGE_DATA'],
  [24, 'WINDOW_DATA'],
]);

export function lintCaffemodel(source: ByteSource, findings: Findings): void {
  const layers = new CaffeLayers();
  const budget: ProtoBudget = { fields: MAX_FIELDS };
  try {
    for (const field of protoFields(source, 0, source.size, budget)) {
      if (field.wire === 2 && field.no === 100) layer(source, field, budget, layers);
      if (field.wire === 2 && field.no === 2) oldLayer(source, field, budget, layers);
    }
  } catch (error) {
    if (!(error instanceof ProtoEnd)) throw error;
    findings.refuse('caffemodel', `is damaged or cut off: ${error.message}`);
  }
  layers.report(findings);
}

function layer(source: ByteSource, { from, to }: ProtoField, budget: ProtoBudget, layers: CaffeLayers): void {
  for (const field of protoFields(source, from, to, budget)) {
    if (field.wire !== 2) continue;
    if (field.no === 2) layers.field('type', protoText(source, field));
    if (field.no !== PYTHON_PARAM) continue;
    for (const inner of protoFields(source, field.from, field.to, budget)) {
      if (inner.no === 1 && inner.wire === 2) layers.field('module', protoText(source, inner));
    }
  }
}

function oldLayer(source: ByteSource, { from, to }: ProtoField, budget: ProtoBudget, layers: CaffeLayers): void {
  for (const field of protoFields(source, from, to, budget)) {
    const files = field.no === 5 && field.wire === 0 ? OLD_FILES.get(field.value) : undefined;
    if (files !== undefined) layers.field('type', files);
  }
}
