/** ONNX files by the reader's own limits, and what it can read but nobody should load unseen. */

import { fail } from '../../core/errors.ts';
import type { ByteSource } from '../../data/zip.ts';
import { checkModel } from '../../onnx/check.ts';
import { describeNode } from '../../onnx/edit.ts';
import { badLocation } from '../../onnx/external-path.ts';
import { UNTRUSTED } from '../../onnx/limits.ts';
import type { Model, Node } from '../../onnx/model.ts';
import { acceptedDomains } from '../../onnx/operators.ts';
import { besideGraph, type ExternalReader, readModel } from '../../onnx/proto.ts';
import { vetModel } from '../../onnx/vet.ts';
import { type Findings, quoted } from './findings.ts';
import { outputSwitch } from './onnx-switch.ts';

/** Weights of this size decide about shapes and are read; larger ones are only known to be there. */
const SMALL = 1 << 16;

/** Whether a file of external data lies where its model says, and is long enough; reads the bytes only where `length` is small. */
export type ExternalCheck = ExternalReader;

/** @param external looks at files beside the model; without, only their paths are checked */
export function lintOnnx(source: ByteSource, findings: Findings, external?: ExternalCheck): void {
  const bytes = source.read(0, source.size);
  let outside = 0;
  const reader = zeros((at, where) => {
    outside++;
    if (external !== undefined) return external(at, where);
    const bad = badLocation(at.location);
    if (bad !== undefined) fail({ where, what: `external data ${quoted(at.location)} lies outside the folder of the model`, got: bad });
    return undefined;
  }, external !== undefined);
  const model = findings.attempt('onnx', () => {
    const read = readModel(bytes, 'model', reader, UNTRUSTED);
    checkModel(read, 'model');
    return read;
  });
  if (outside > 0 && external === undefined) {
    findings.flag('onnx-external', `keeps ${outside} tensors in files beside it, which were not looked at`);
  }
  if (model === undefined) return;
  vet(model, findings);
}

/** Answers with zeros for large weights, which share one piece of memory: whatever their sum, they take as much as the largest. */
function zeros(look: (at: Parameters<ExternalReader>[0], where: string) => Uint8Array | undefined, small: boolean): ExternalReader {
  let blank = new Uint8Array();
  return (at, where) => {
    const length = at.length ?? 0;
    if (small && length <= SMALL) return look(at, where) as Uint8Array;
    // Asking for nothing at its end checks path, file and size.
    look({ ...at, offset: at.offset + length, length: 0 }, where);
    if (blank.length < length) blank = new Uint8Array(Math.ceil(length / 64) * 64);
    return blank.subarray(0, length);
  };
}

function vet(model: Model, findings: Findings): void {
  const { functions, trainings } = besideGraph(model, 'model');
  const domains = new Map<string, Set<string>>();
  const others = new Set<string>();
  const unlisted = (node: Node): void => {
    if (node.opType === 'EPContext') {
      findings.refuse(
        'onnx-epcontext',
        `${describeNode(node)} hands bytes or a file of its author to a vendor library, which runs them as code`,
      );
    } else if (acceptedDomains.includes(node.domain)) others.add(node.opType);
    else {
      const seen = domains.get(node.domain) ?? new Set();
      domains.set(node.domain, seen.add(node.opType));
    }
  };
  findings.attempt('onnx', () => vetModel(model, 'model', unlisted));
  for (const [domain, ops] of domains) {
    findings.flag(
      'onnx-custom-domain',
      `runs ${listed(ops)} of the domain ${quoted(domain)}: whoever loads it needs a library for that, which is native code`,
    );
  }
  if (others.size > 0) findings.flag('onnx-operator', `has operators that Secateur does not run: ${listed(others)}`);
  if (functions.length > 0)
    findings.flag('onnx-functions', `defines ${functions.length} functions of its own: ${listed(new Set(functions.map((f) => f.name)))}`);
  if (trainings > 0) findings.flag('onnx-training', 'carries instructions for training on, which inference never needs');
  const decided = outputSwitch(model.graph);
  if (decided !== undefined) {
    findings.flag(
      'onnx-output-switch',
      `${describeNode(decided)} chooses what the network answers by a test on the input that no weights are part of, as backdoors in the graph do; secateur inspect shows it`,
    );
  }
}

const listed = (names: ReadonlySet<string>): string => {
  const all = [...names];
  return all.length > 5 ? `${all.slice(0, 5).map(quoted).join(', ')} and ${all.length - 5} more` : all.map(quoted).join(', ');
};
