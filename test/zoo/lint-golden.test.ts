/** Files that PyTorch, NumPy, h5py and Python's own pickler wrote, and what is said of each. */
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/data/zip.ts';
import { lintBytes } from '../../src/zoo/lint/lint.ts';
import { lintGolden } from './lint-golden.ts';

const CODE = '"posix.system", which is not on the list of what data need';
const KERAS = 'flagged keras-config: a Keras model: its loader makes objects by the names in the file';
const LAMBDA = 'refused keras-lambda: has a "Lambda", which runs Python code that stands in the file';
const LAMBDA_FUNCTION = 'refused keras-lambda: has a "__lambda__", which runs Python code that stands in the file';
const GRAPH =
  "flagged saved-model: a TensorFlow graph, which is a program; TensorFlow itself says to run strangers' ones in a sandbox only";
const evil = [`refused pickle-global: imports and calls ${CODE}`];
const MODULES = ['container.Sequential', 'conv.Conv2d', 'batchnorm.BatchNorm2d', 'flatten.Flatten', 'linear.Linear'];

/** Name -> kind and all that is said. */
const EXPECTED: Record<string, readonly [kind: string, findings: readonly string[]]> = {
  'a.npy': ['npy', []],
  'a.npz': ['npz', []],
  'packed.npz': ['npz', []],
  'record.npy': ['npy', []],
  'evil.npy': [
    'npy',
    ['refused npy-objects: an array of objects, which are a pickle behind the header and run code when they are read', ...evil],
  ],
  'evil.npz': [
    'npz',
    [
      'refused npy-objects: "y.npy": an array of objects, which are a pickle behind the header and run code when they are read',
      `refused pickle-global: "y.npy": imports and calls ${CODE}`,
    ],
  ],
  'plain.pkl': ['pickle', []],
  ...Object.fromEntries([0, 1, 2, 3, 4, 5].map((p): [string, [string, string[]]] => [`data${p}.pkl`, ['pickle', []]])),
  ...Object.fromEntries([0, 1, 2, 3, 4, 5].map((p): [string, [string, string[]]] => [`evil${p}.pkl`, ['pickle', evil]])),
  'state.pt': ['torch-zip', []],
  'state-old.pt': ['pickle', []],
  'checkpoint.pth': ['torch-zip', []],
  'evil.pt': ['torch-zip', [`refused pickle-global: "evil/data.pkl": imports and calls ${CODE}`]],
  'whole.pt': [
    'torch-zip',
    MODULES.map(
      (m) =>
        `refused pickle-global: "whole/data.pkl": imports and calls "torch.nn.modules.${m}", which is not on the list of what data need`,
    ),
  ],
  'whole-old.pt': [
    'pickle',
    [
      ...MODULES.map((m) => `refused pickle-global: imports "torch.nn.modules.${m}", which is not on the list of what data need`),
      'refused pickle-unresolved: calls something that is not an import by name: what that is cannot be told from the file',
    ],
  ],
  'keras.h5': ['keras-h5', [KERAS]],
  'keras-fixed.h5': ['keras-h5', [KERAS]],
  'keras-new.h5': ['keras-h5', [KERAS]],
  'lambda.h5': ['keras-h5', [LAMBDA, LAMBDA_FUNCTION, KERAS]],
  'lambda-nested.h5': ['keras-h5', [LAMBDA, LAMBDA_FUNCTION, KERAS]],
  'lambda-new.h5': ['keras-h5', [LAMBDA, LAMBDA_FUNCTION, KERAS]],
  'custom.h5': [
    'keras-h5',
    [
      'refused keras-module: makes a "MyLayer" of the module "my_package.layers", which is none of the parts of Keras that only compute',
      'refused keras-custom: makes "my_package>MyLayer", a class of somebody else\'s program',
      KERAS,
    ],
  ],
  'dense-attributes.h5': ['hdf5', ['refused hdf5: its attributes are stored in a form that is not looked into (a fractal heap)']],
  'weights.h5': ['hdf5', []],
  'userblock.h5': ['hdf5', []],
  'model.keras': ['keras-zip', [KERAS]],
  'lambda.keras': ['keras-zip', [LAMBDA, LAMBDA_FUNCTION, KERAS]],
  'module.keras': [
    'keras-zip',
    ['refused keras-module: makes a "system" of the module "os", which is none of the parts of Keras that only compute', KERAS],
  ],
  'get-file.keras': [
    'keras-zip',
    ['refused keras-module: makes a "get_file" of the module "keras.utils", which is none of the parts of Keras that only compute', KERAS],
  ],
  'two.safetensors': ['safetensors', []],
  'none.safetensors': ['safetensors', []],
  'tar.pt': [
    'unknown',
    [
      'refused extension: named .pt, which is compressed; its loader unpacks it and runs the pickle inside',
      'flagged packed: compressed as a whole, and not looked into',
    ],
  ],
  'net.caffemodel': ['caffemodel', []],
  'python.caffemodel': [
    'caffemodel',
    ['flagged caffe-python: has a layer of type "Python", which imports a module by name and runs it: "my_layer"'],
  ],
  'old.caffemodel': ['caffemodel', ['flagged caffe-files: has layers that read or write files: HDF5_OUTPUT']],
  'saved_model.pb': ['saved-model', [GRAPH]],
  'evil-saved_model.pb': [
    'saved-model',
    ['refused saved-model-operator: runs the operator "WriteFile", which reaches files, Python or the network', GRAPH],
  ],
  'plain.gguf': ['gguf', []],
  'chat.gguf': [
    'gguf',
    ['flagged chat-template: carries a chat template ("tokenizer.chat_template"), a program in Jinja that the reading program runs'],
  ],
};

describe('files of real programs', () => {
  const golden = lintGolden();
  it.each(Object.keys(EXPECTED))('%s', (name) => {
    const { kind, verdict, findings } = lintBytes(bytesSource(golden.get(name) as Uint8Array), name);
    const [expected, says] = EXPECTED[name];
    expect(kind).toBe(expected);
    expect(findings.map((f) => `${f.verdict} ${f.rule}: ${f.says}`)).toEqual(says);
    expect(verdict).toBe(says.some((s) => s.startsWith('refused')) ? 'refused' : says.length > 0 ? 'flagged' : 'ok');
  });

  it('script.pt: code, and each class of it', () => {
    const { kind, verdict, findings } = lintBytes(bytesSource(golden.get('script.pt') as Uint8Array), 'script.pt');
    expect([kind, verdict]).toEqual(['torchscript', 'refused']);
    expect(findings.map((f) => f.says)).toContain('holds code (TorchScript), which runs when the model is loaded or called');
  });

  it('all of them are listed here', () => {
    expect([...golden.keys()].sort()).toEqual([...Object.keys(EXPECTED), 'script.pt'].sort());
  });

  it('the same content under every other name is told by the content', () => {
    for (const [name, bytes] of golden) {
      const { kind } = lintBytes(bytesSource(bytes), 'file');
      expect([name, kind]).toEqual([name, EXPECTED[name]?.[0] ?? 'torchscript']);
    }
  });
});
