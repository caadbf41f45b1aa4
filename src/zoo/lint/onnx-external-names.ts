/** Which files an ONNX file says its weights lie in; read from tags and short texts only, so that gigabytes of weights cost nothing. */
import type { ByteSource } from '../../data/zip.ts';
import { type ProtoBudget, ProtoEnd, type ProtoField, protoFields, protoText } from './proto-fields.ts';

const MAX_FIELDS = 2_000_000;
const MAX_NAMES = 5000;
const MAX_DEPTH = 40;

/** The locations of external data in initialisers and attributes, as they are written; of a damaged file those before the damage. */
export function onnxExternalNames(source: ByteSource): Set<string> {
  const names = new Set<string>();
  const budget: ProtoBudget = { fields: MAX_FIELDS };
  const walk = (field: ProtoField, visit: (inner: ProtoField) => void): void => {
    for (const inner of protoFields(source, field.from, field.to, budget)) if (inner.wire === 2) visit(inner);
  };
  const tensor = (field: ProtoField): void =>
    walk(field, (entry) => {
      if (entry.no !== 13) return;
      let key = '';
      let value = '';
      walk(entry, (part) => {
        if (part.no === 1) key = protoText(source, part);
        if (part.no === 2) value = protoText(source, part, 4096);
      });
      if (key === 'location' && names.size < MAX_NAMES) names.add(value);
    });
  const graph = (field: ProtoField, depth: number): void => {
    if (depth > MAX_DEPTH) return;
    walk(field, (part) => {
      if (part.no === 5) tensor(part);
      if (part.no !== 1) return;
      walk(part, (attribute) => {
        if (attribute.no !== 5) return;
        walk(attribute, (value) => {
          if (value.no === 5 || value.no === 10) tensor(value);
          if (value.no === 6 || value.no === 11) graph(value, depth + 1);
        });
      });
    });
  };
  try {
    walk({ no: 0, wire: 2, value: 0, from: 0, to: source.size }, (field) => {
      if (field.no === 7) graph(field, 0);
    });
  } catch (error) {
    if (!(error instanceof ProtoEnd)) throw error;
  }
  return names;
}
