/** Programs in places that a loader looks at and a scanner may not: Keras configurations, TensorFlow graphs, Caffe networks, settings. */
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { joinBytes } from '../../src/core/bytes.ts';
import { bytesSource } from '../../src/data/zip.ts';
import { lintBytes } from '../../src/zoo/lint/lint.ts';

const latin = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const u64 = (...values: number[]): Uint8Array => new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
const said = (bytes: string | Uint8Array, name: string): string[] => {
  const { kind, findings } = lintBytes(bytesSource(typeof bytes === 'string' ? latin(bytes) : bytes), name);
  return [kind, ...findings.map((f) => `${f.verdict} ${f.rule}: ${f.says}`)];
};
const zip = (files: Record<string, string>): Uint8Array =>
  zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, latin(text)])), { level: 0, mtime: new Date(1980, 0, 1) });
const field = (no: number, ...parts: (Uint8Array | string)[]): Uint8Array => {
  const body = joinBytes(parts.map((p) => (typeof p === 'string' ? latin(p) : p)));
  return joinBytes([Uint8Array.of(no * 8 + 2), Uint8Array.of((body.length & 127) | 128, body.length >> 7), body]);
};

const LAMBDA = '{"class_name":"Sequential","config":{"layers":[{"class_name":"Lambda","config":{"function_type":"lambda"}}]}}';
const RUNS = 'refused keras-lambda: has a "Lambda", which runs Python code that stands in the file';

describe('Keras', () => {
  it.each<[string, Record<string, string>, string]>([
    ['an archive of nothing but the configuration', { 'config.json': LAMBDA }, 'keras-zip'],
    ['one that also is a PyTorch checkpoint', { 'config.json': LAMBDA, 'a/data.pkl': '\u0080\u0002N.' }, 'torch-zip'],
  ])('%s', (_, files, kind) => {
    expect(said(zip(files), 'a.keras')[0]).toBe(kind);
    expect(said(zip(files), 'a.keras')).toContain(RUNS);
  });

  it('a configuration that is a text by itself, with escapes', () => {
    expect(said(LAMBDA, 'model.json')).toContain(RUNS);
    expect(said(LAMBDA.replace('Lambda', 'L\\u0061mbda').replace(/class_name/g, 'cl\\u0061ss_name'), 'model.json')).toContain(RUNS);
  });

  it('functions that a layer calls with what stands in the file', () => {
    const config = '{"class_name":"function","config":"model_from_json","module":"keras.models","inbound_nodes":[]}';
    expect(said(zip({ 'config.json': config }), 'a.keras')).toContain(
      'refused keras-function: has a function of the module "keras.models", which a layer calls with what stands in the file',
    );
    const relu = config.replace('keras.models', 'keras.activations').replace('model_from_json', 'relu');
    expect(said(zip({ 'config.json': relu, 'metadata.json': '{}' }), 'a.keras').filter((s) => s.startsWith('refused'))).toEqual([]);
  });

  it('archives behind other bytes, read from a 64-bit end record, or by the size of their directory alone', () => {
    const plain = zip({ 'config.json': LAMBDA });
    const view = new DataView(plain.buffer, plain.byteOffset + plain.length - 22);
    const [count, size, offset] = [view.getUint16(10, true), view.getUint32(12, true), view.getUint32(16, true)];
    const body = plain.subarray(0, plain.length - 22);
    const uncounted = plain.slice();
    uncounted.fill(0, plain.length - 14, plain.length - 10);
    const wide = joinBytes([
      ...[u32(0x06064b50), u64(44), u32(0x2d002d, 0, 0), u64(count, count, size, offset)],
      ...[u32(0x07064b50, 0), u64(body.length), u32(1)],
      ...[u32(0x06054b50, 0, 0xffffffff, 0xffffffff, 0xffffffff), Uint8Array.of(0, 0)],
    ]);
    for (const archive of [plain, uncounted, joinBytes([body, wide])]) {
      expect(said(joinBytes([latin('GIF89a..........'), archive]), 'a.gif')).toEqual([
        'other',
        'refused polyglot: is also a zip archive, read from its end',
      ]);
    }
  });
});

describe('TensorFlow', () => {
  const node = (op: string): Uint8Array => field(1, field(1, 'n'), field(2, op));
  const WRITES = 'refused saved-model-operator: runs the operator "WriteFile", which reaches files, Python or the network';
  const meta = field(2, field(1, ''), field(2, node('WriteFile')));

  it.each<[string, Uint8Array, string]>([
    ['a SavedModel without its version', meta, 'saved_model.pb'],
    ['a SavedModel with a field that nobody knows', joinBytes([Uint8Array.of(8, 1), meta, field(15, 'x')]), 'saved_model.pb'],
    ['a graph by itself', joinBytes([node('NoOp'), node('WriteFile'), field(4, Uint8Array.of(8, 22))]), 'frozen.pb'],
    ['one with functions', joinBytes([node('WriteFile'), field(2, field(1, field(1, 'f'))), field(4, '')]), 'frozen.pb'],
    ['a graph of a checkpoint', joinBytes([field(1, 'x'), field(2, node('WriteFile')), field(3, ''), field(4, 'a')]), 'model.ckpt.meta'],
  ])('%s', (_, bytes, name) => {
    expect(said(bytes, name)[0]).toBe('saved-model');
    expect(said(bytes, name)).toContain(WRITES);
  });

  it('in text form, the name in pieces', () => {
    const text = 'meta_graphs { graph_def { node { name: "a" op: "Write" \'File\' } } }';
    expect(said(text, 'saved_model.pbtxt')).toContain(WRITES);
  });

  it('newer and older versions of operators on the list', () => {
    for (const op of ['DataServiceDatasetV4', 'ExperimentalLMDBDataset', 'TFRecordDatasetV2'])
      expect(said(node(op), 'a.pb').join()).toContain(`runs the operator "${op}"`);
    expect(said(node('MatMul'), 'a.pb').filter((s) => s.startsWith('refused'))).toEqual([]);
  });

  it('layers of Keras beside a graph, and among its objects', () => {
    const beside = field(1, field(3, 'root'), field(5, LAMBDA));
    expect(said(beside, 'keras_metadata.pb')).toContain(RUNS);
    const within = joinBytes([Uint8Array.of(8, 1), field(2, field(2, node('NoOp')), field(7, field(1, field(4, field(3, LAMBDA)))))]);
    expect(said(within, 'saved_model.pb')).toContain(RUNS);
  });

  it('a Caffe model of old layers is none', () => {
    const layer = field(2, field(1, field(1, 'a'), field(2, 'conv')), field(4, 'name'));
    expect(said(joinBytes([field(1, 'net'), layer]), 'a.caffemodel')).toEqual(['caffemodel']);
  });
});

describe('texts', () => {
  it.each([
    'name: "x" layer { type: "Python" }',
    'layer: { type: "Python" }',
    'layer < type: "Python" >',
    'layer # a layer\n { type: "Python" }',
    "name: \"x\"\rlayer{type:'Py' 'thon'}",
    'layer [ { type: "Python" } ]',
  ])('a layer of Python: %j', (text) => {
    expect(said(text, 'net.txt')).toEqual([
      'prototxt',
      'flagged caffe-python: has a layer of type "Python", which imports a module by name and runs it',
    ]);
  });

  it('settings that name programs', () => {
    expect(said('{"auto_m\\u0061p": {"AutoModel": "x.Y"}}', 'config.json')).toEqual([
      'other',
      'flagged remote-code: names Python files to be run by the loader ("auto_map")',
    ]);
    expect(said('!!python/object/apply:os.system ["id"]\n', 'a.yaml')).toEqual([
      'other',
      'refused yaml-objects: makes Python objects or calls functions where YAML is loaded without care',
    ]);
    expect(said('{{ messages }}', 'chat_template.jinja')).toEqual([
      'other',
      'flagged chat-template: a chat template, a program in Jinja that the reading program runs',
    ]);
  });

  it('writing about layers is none', () => {
    for (const text of ['A layer has a type: it may be one of many.', 'We type layers { by hand }', '{"layers": 3, "type": "x"}'])
      expect(said(text, 'readme.txt')).toEqual(['other']);
  });
});
