/** What a bill of materials says of a model beyond its lock entry: what its own files state. Nothing here is guessed. */
import { printable } from '../../core/errors.ts';
import { formatDims } from '../../core/shapes.ts';
import { summarize } from '../../onnx/describe.ts';
import type { Model, ValueInfo } from '../../onnx/model.ts';
import { trueInputs } from '../../onnx/spec.ts';
import type { Measured } from '../attest/covers.ts';
import type { Sha256 } from '../types.ts';

/** What an ONNX file says of itself. */
export interface OnnxFacts {
  /** Path of the file within the model. */
  readonly path: string;
  /** `input float32[N,3,224,224]` */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Short texts by name, as they become properties `secateur:onnx:NAME`. */
  readonly properties: Readonly<Record<string, string>>;
}

/** Why the ONNX file of a model was not described. */
export interface OnnxRefused {
  readonly path: string;
  readonly why: string;
}

/** What a readme states in its front matter: claims of its author. */
export interface StatedFacts {
  /** Path of the readme within the model. */
  readonly path: string;
  /** As written: an SPDX identifier in any case, or a name such as `unrestricted`. */
  readonly licences: readonly string[];
  readonly licenceUrl?: string;
  /** Hugging Face's `pipeline_tag`: `image-classification`. */
  readonly task?: string;
  readonly datasets: readonly string[];
  /** Names of the models that this one was made from. */
  readonly baseModels: readonly string[];
}

/** What signers whom the user named attest of the very files in the lock. */
export interface AttestedFacts {
  /** Of the file of attestations, relative to the project. */
  readonly path: string;
  readonly digest: Sha256;
  readonly results: readonly AttestedResult[];
}

export interface AttestedResult {
  readonly signer: string;
  /** `PASSED`, `WARNED`, `FAILED`. */
  readonly result: string;
  readonly command?: string;
  readonly measured: readonly Measured[];
}

/** All that was found out about one model's files, whose bytes were compared with the lock as they were read. */
export interface ModelFacts {
  readonly onnx: readonly OnnxFacts[];
  readonly refused: readonly OnnxRefused[];
  readonly stated?: StatedFacts;
  readonly attested?: AttestedFacts;
  /** Why nothing was read; absent where the files were. */
  readonly unread?: string;
}

export const NO_FACTS: ModelFacts = { onnx: [], refused: [] };

/** Names come out of files; more characters than this say nothing more. */
const LONGEST = 300;
/** Inputs, outputs and operators that are listed. */
const MOST = 64;

/** A text out of a file on one line, without control characters, at most 300 characters. */
export const plainText = (text: string): string => printable(text, LONGEST).replace(/[\n\t]/g, ' ');

/** Describes an ONNX graph for a bill of materials: shapes, producer, versions, operators, number of parameters. */
export function onnxFacts(path: string, model: Model): OnnxFacts {
  const s = summarize(model);
  const operators = Object.entries(s.operators);
  const listed = operators.slice(0, MOST).map(([name, count]) => `${name} ${count}`);
  if (operators.length > MOST) listed.push(`and ${operators.length - MOST} more`);
  return {
    path,
    inputs: trueInputs(model).slice(0, MOST).map(valueText),
    outputs: model.graph.outputs.slice(0, MOST).map(valueText),
    properties: {
      'ir-version': String(s.irVersion),
      nodes: String(s.nodes),
      operators: listed.map(plainText).join(', '),
      opsets: Object.entries(s.opsets)
        .map(([domain, version]) => plainText(`${domain} ${version}`))
        .join(', '),
      parameters: String(s.parameters),
      producer: plainText(s.producer),
      'weight-bytes': String(s.bytes),
    },
  };
}

const valueText = ({ name, dtype, dims }: ValueInfo): string =>
  plainText(`${name} ${dtype ?? 'of no tensor type'}${dims === undefined ? '' : formatDims(dims)}`);
