/**
 * A bill of materials of the models in a lock: CycloneDX 1.6 JSON (ECMA-424), a component `machine-learning-model` for each with its files
 * nested. The library knows the envelope, the order and the licences; it has no class for `modelCard` and `pedigree`, which are put into
 * what it makes (cyclonedx-library 10.3, schema bom-1.6).
 */
import { Enums, Models, Serialize, SPDX, Spec } from '@cyclonedx/cyclonedx-library';
import { printable } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import type { Measured } from '../attest/covers.ts';
import { compareNames, hexOf } from '../digest.ts';
import type { LockedFile, LockedModel } from '../types.ts';
import { type ModelFacts, NO_FACTS, plainText, type StatedFacts } from './facts.ts';

const { Bom, Component, ExternalReference, Property } = Models;

/** What the bill is about. */
export interface BomSubject {
  readonly name: string;
  readonly version?: string;
}

export interface BomOptions {
  /** Version of this program. */
  readonly tool: string;
  /** What uses the models: the project, where it has a name. */
  readonly subject?: BomSubject;
  /** Seconds since 1970, of SOURCE_DATE_EPOCH; without it the bill has no time. */
  readonly epoch?: number;
  /** By model name; a model without an entry is described from the lock alone. */
  readonly facts?: ReadonlyMap<string, ModelFacts>;
}

/** Said once in every bill, because the levels below it are easily taken for more. */
const LIMITS =
  'A hash or a signature says that these are the same bytes and who says so. It does not say that a model has no backdoor, and nothing was measured for this bill.';

const LEVELS: Readonly<Record<LockedModel['integrity'], string>> = {
  'pinned-on-first-use': 'nobody vouched for these bytes: they are the same as at the first download',
  'matched-published-claim': 'they have a hash that somebody published and nobody signed',
  signed: 'a key or identity that the project names signed them',
};

/** The schema's own shape is checked by the validator; here it is plain JSON. */
type Json = Record<string, unknown>;

/**
 * The bill of the given models as an object, the same for the same input. Its serial number is made from all that it says but its time.
 * @param models in any order
 */
export function mlBom(models: ReadonlyMap<string, LockedModel>, o: BomOptions): Json {
  const bom = new Bom();
  const program = new Component(Enums.ComponentType.Application, 'secateur', { version: o.tool, bomRef: 'tool/secateur' });
  bom.metadata.tools.components.add(program);
  bom.metadata.properties.add(new Property('secateur:limits', LIMITS));
  const components = [...models].sort(([a], [b]) => compareNames(a, b)).map(([name, model]) => component(name, model, factsOf(o, name)));
  for (const made of components) bom.components.add(made);
  if (o.subject !== undefined) {
    const { name, version } = o.subject;
    const subject = new Component(Enums.ComponentType.Application, name, { version, bomRef: 'subject' });
    for (const made of components) subject.dependencies.add(made.bomRef);
    bom.metadata.component = subject;
  }
  const json = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6).makeForBom().normalize(bom, { sortLists: true }) as unknown as Json;
  for (const made of (json.components ?? []) as Json[]) {
    const name = String(made['bom-ref']).slice(REF.length);
    const model = models.get(name);
    if (model === undefined) continue;
    made.modelCard = modelCard(factsOf(o, name));
    const pedigree = pedigreeOf(factsOf(o, name).stated);
    if (pedigree !== undefined) made.pedigree = pedigree;
  }
  const { $schema, bomFormat, specVersion, serialNumber: _, version, metadata, ...rest } = json;
  const head = { $schema, bomFormat, specVersion };
  const serialNumber = serialOf({ ...head, metadata, ...rest });
  const timestamp = o.epoch === undefined ? {} : { timestamp: new Date(o.epoch * 1000).toISOString() };
  return { ...head, serialNumber, version, metadata: { ...(metadata as Json), ...timestamp }, ...rest };
}

/** The text of a bill: 2 spaces, newline at the end. What could command a terminal is written as JSON's own escapes. */
export const bomText = (bom: Json): string => printable(`${JSON.stringify(bom, null, 2)}\n`, Number.POSITIVE_INFINITY);

const factsOf = (o: BomOptions, name: string): ModelFacts => o.facts?.get(name) ?? NO_FACTS;

/** A UUID of version 8 (RFC 9562: made from data of one's own) out of the content; the tree digests are part of it. */
function serialOf(content: Json): string {
  const hex = sha256(JSON.stringify(content));
  const variant = ((Number.parseInt(hex[16], 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Before a model's name in references within the bill. */
const REF = 'model/';

function component(name: string, model: LockedModel, facts: ModelFacts): Models.Component {
  const at = name.lastIndexOf('/');
  const made = new Component(Enums.ComponentType.MachineLearningModel, name.slice(at + 1), {
    bomRef: REF + name,
    ...(at > 0 && { group: name.slice(0, at) }),
    version: versionOf(model),
    publisher: publisherOf(model),
    purl: purlOf(name, model),
  });
  if (model.files.length === 1) made.hashes.set(Enums.HashAlgorithm['SHA-256'], hexOf(model.files[0].digest));
  for (const [key, value] of propertiesOf(model, facts)) made.properties.add(new Property(`secateur:${key}`, value));
  for (const file of model.files) made.components.add(fileComponent(name, file, facts));
  for (const reference of referencesOf(model, facts)) made.externalReferences.add(reference);
  for (const licence of licencesOf(facts.stated)) made.licenses.add(licence);
  return made;
}

/** A commit where the source has such; else the digest over all files, which is what tells one version of it from another. */
const versionOf = (model: LockedModel): string => (commitOf(model) === undefined ? model.treeDigest : (commitOf(model) as string));

const commitOf = ({ resolved }: LockedModel): string | undefined => /^commit:([0-9a-f]{40})$/.exec(resolved)?.[1];

/** `owner/name` of a model on Hugging Face. */
const hubName = ({ source }: LockedModel): readonly [owner: string, name: string] | undefined => {
  const found = /^hf:([^/@]+)\/([^/@]+)$/.exec(source);
  return found === null ? undefined : [found[1], found[2]];
};

/** The account that a hub model is published under; for other sources nobody is known. */
const publisherOf = (model: LockedModel): string | undefined => hubName(model)?.[0];

/** Package URL (ECMA-427): type `huggingface` with the commit in lower case, or `generic` with the address of a single file. */
function purlOf(name: string, model: LockedModel): string | undefined {
  const hub = hubName(model);
  const commit = commitOf(model);
  if (hub !== undefined && commit !== undefined) return `pkg:huggingface/${hub.map(encodeURIComponent).join('/')}@${commit}`;
  const [file] = model.files;
  if (model.files.length !== 1 || file.url === undefined || !/^https?:/.test(file.url)) return undefined;
  const [path, version] = [name.split('/').map(encodeURIComponent).join('/'), encodeURIComponent(model.treeDigest)];
  return `pkg:generic/${path}@${version}?checksum=sha256:${hexOf(file.digest)}&download_url=${encodeURIComponent(file.url)}`;
}

function propertiesOf(model: LockedModel, facts: ModelFacts): (readonly [string, string])[] {
  const { signature } = model;
  const out: (readonly [string, string])[] = [
    ['integrity', model.integrity],
    ['integrity:means', LEVELS[model.integrity]],
    ['lint:rules', model.lintRules],
    ['oms-root', model.omsRoot],
    ['resolved', model.resolved],
    ['source', model.source],
    ['tree-digest', model.treeDigest],
  ];
  if (model.requested !== undefined) out.push(['requested', model.requested]);
  if (signature !== undefined) {
    out.push(['signature:bundle-digest', signature.bundleDigest], ['signature:method', signature.method], ['signer', signature.signer]);
  }
  for (const { result, signer, command } of facts.attested?.results ?? []) {
    out.push(['attested', plainText(`${result} by ${signer}${command === undefined ? '' : `: ${command}`}`)]);
  }
  if (facts.unread !== undefined) out.push(['files-not-read', facts.unread]);
  return out;
}

function fileComponent(name: string, file: LockedFile, facts: ModelFacts): Models.Component {
  const made = new Component(Enums.ComponentType.File, file.path, { bomRef: `${REF}${name}#${file.path}` });
  made.hashes.set(Enums.HashAlgorithm['SHA-256'], hexOf(file.digest));
  const add = (key: string, value: string): void => {
    made.properties.add(new Property(`secateur:${key}`, value));
  };
  add('format', file.format);
  add('lint', file.lint);
  add('size', String(file.size));
  for (const { from, algorithm, value, matched } of file.claims) {
    add('claim', `${from} ${algorithm}:${value} ${matched ? 'matched' : 'DID NOT MATCH, taken in spite of it'}`);
    // A hash that was computed here and agreed; `git-blob` is over more than the bytes and has no name in the schema.
    if (matched && algorithm === 'sha1') made.hashes.set(Enums.HashAlgorithm['SHA-1'], value);
    if (matched && algorithm === 'md5') made.hashes.set(Enums.HashAlgorithm.MD5, value);
  }
  const onnx = facts.onnx.find((f) => f.path === file.path);
  for (const [key, value] of Object.entries(onnx?.properties ?? {})) add(`onnx:${key}`, value);
  const refused = facts.refused.find((f) => f.path === file.path);
  if (refused !== undefined) add('onnx:not-read', plainText(refused.why));
  return made;
}

function referencesOf(model: LockedModel, facts: ModelFacts): Models.ExternalReference[] {
  const { Attestation, Distribution, DigitalSignature, ModelCard, Website, License } = Enums.ExternalReferenceType;
  const out: Models.ExternalReference[] = [];
  const add = (url: string, type: Enums.ExternalReferenceType, comment: string, hash?: string): void => {
    const made = new ExternalReference(url, type, { comment });
    if (hash !== undefined) made.hashes.set(Enums.HashAlgorithm['SHA-256'], hash);
    out.push(made);
  };
  for (const { path, url, digest } of model.files) {
    if (url !== undefined && !url.startsWith('file:')) add(url, Distribution, path, hexOf(digest));
  }
  const hub = hubName(model);
  if (hub !== undefined) add(`https://huggingface.co/${hub.map(encodeURIComponent).join('/')}`, Website, 'the model on Hugging Face');
  const { stated } = facts;
  const readme = stated && model.files.find((f) => f.path === stated.path);
  if (readme?.url !== undefined && !readme.url.startsWith('file:')) add(readme.url, ModelCard, readme.path, hexOf(readme.digest));
  if (stated?.licenceUrl !== undefined && /^https?:/.test(stated.licenceUrl)) {
    add(stated.licenceUrl, License, `licence, as ${stated.path} says`);
  }
  if (model.signature !== undefined) {
    add(
      model.signature.bundle,
      DigitalSignature,
      'OpenSSF Model Signing bundle, path within the project',
      hexOf(model.signature.bundleDigest),
    );
  }
  const { attested } = facts;
  if (attested !== undefined) add(attested.path, Attestation, 'in-toto statements, path within the project', hexOf(attested.digest));
  return out;
}

/** What the readme declares: as SPDX identifiers where they are such, else by the name it uses. */
function licencesOf(stated: StatedFacts | undefined): Models.License[] {
  return (stated?.licences ?? []).map((text) => {
    const id = SPDX.fixupSpdxId(text);
    const made = id === undefined ? new Models.NamedLicense(plainText(text)) : new Models.SpdxLicense(id);
    made.acknowledgement = Enums.LicenseAcknowledgement.Declared;
    return made;
  });
}

/** modelCard: what the ONNX files hold, and what the readme states, which is marked as such. */
function modelCard({ onnx, stated, attested }: ModelFacts): Json {
  const several = onnx.length > 1;
  const values = (key: 'inputs' | 'outputs') =>
    onnx.flatMap((file) => file[key].map((format) => ({ format: several ? `${file.path}: ${format}` : format })));
  const [inputs, outputs] = [values('inputs'), values('outputs')];
  const parameters: Json = {
    ...(stated?.task !== undefined && { task: plainText(stated.task) }),
    ...(stated && stated.datasets.length > 0 && { datasets: stated.datasets.map((name) => ({ type: 'dataset', name: plainText(name) })) }),
    ...(inputs.length > 0 && { inputs }),
    ...(outputs.length > 0 && { outputs }),
  };
  const metrics = (attested?.results ?? []).flatMap((result) => result.measured.map(metric)).slice(0, MOST_METRICS);
  const from = [
    ...(metrics.length > 0 ? [{ name: 'secateur:performance-metrics', value: 'as signed attestations on these bytes say' }] : []),
    ...(inputs.length + outputs.length > 0 ? [{ name: 'secateur:inputs-and-outputs', value: 'from the ONNX files' }] : []),
    ...(stated === undefined ? [] : [{ name: 'secateur:stated-by', value: stated.path }]),
  ];
  return {
    ...(Object.keys(parameters).length > 0 && { modelParameters: parameters }),
    ...(metrics.length > 0 && { quantitativeAnalysis: { performanceMetrics: metrics } }),
    properties: from.length > 0 ? from : [{ name: 'secateur:model-card', value: 'the files state nothing' }],
  };
}

/** Numbers of attestations that a card repeats. */
const MOST_METRICS = 500;

function metric({ table, row, column, unit, value, n, low, high }: Measured): Json {
  return {
    type: plainText(column),
    value: unit === 'rate' ? String(value) : `${value} ${plainText(unit)}`,
    slice: plainText(`${table}: ${row}${n === undefined ? '' : ` (n = ${n})`}`),
    ...(low !== undefined && high !== undefined && { confidenceInterval: { lowerBound: String(low), upperBound: String(high) } }),
  };
}

function pedigreeOf(stated: StatedFacts | undefined): Json | undefined {
  if (stated === undefined || stated.baseModels.length === 0) return undefined;
  const ancestors = stated.baseModels.map((name) => ({ type: 'machine-learning-model', name: plainText(name) }));
  return { ancestors, notes: `as ${plainText(stated.path)} says` };
}
