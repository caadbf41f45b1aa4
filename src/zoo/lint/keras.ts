/**
 * The configuration of a Keras model, from which the loader makes objects by name: layers, functions, optimisers. Safe mode was passed by
 * four times (CVE-2024-3660, CVE-2025-1550, -8747, -9906), each time through a name that the loader looked up. So names are compared with
 * a list here, wherever in the configuration they stand.
 */
import { type JsonNode, parseJson } from '../strict-json.ts';
import { type Findings, quoted } from './findings.ts';

/** Parts of Keras that only compute. Not among them: utils (downloads files), saving, config (turns safe mode off), backend, export. */
const PARTS = [
  'layers models initializers regularizers constraints activations losses metrics optimizers dtype_policies random quantizers',
  'mixed_precision applications engine ops feature_column',
]
  .join(' ')
  .split(' ');
const MODULE = new RegExp(`^(keras|tf_keras)(\\.src)?(\\.(${PARTS.join('|')})(\\.[\\w.]+)?)?$`);
/** Parts of which functions may be named as well: those of others load files, or models out of texts. */
const FUNCTIONS = /^(keras|tf_keras)(\.src)?\.(activations|initializers|regularizers|constraints|losses|metrics|ops|random)(\.[\w.]+)?$/;
/** Packages before `>` in registered names that are Keras's own. */
const PACKAGES = new Set(['keras', 'Keras', 'tf_keras', 'keras.metrics', 'keras.losses', 'keras.optimizers']);

/** Classes of Keras that run what stands in the file, or load something else. */
const PROGRAMS: Readonly<Record<string, string>> = {
  Lambda: 'runs Python code that stands in the file',
  __lambda__: 'runs Python code that stands in the file',
  TFSMLayer: 'loads a TensorFlow graph from another folder and runs it',
  TorchModuleWrapper: 'unpickles a PyTorch module that stands in the file',
  JaxLayer: 'runs a function that stands in the file',
  FlaxLayer: 'runs a function that stands in the file',
};
/** TensorFlow functions that Keras 2 writes as layers, by the beginning of their name; others may reach files. */
const TF_FUNCTIONS =
  /^(math|nn|linalg|image|signal|compat\.v1\.(transpose|shape|squeeze|gather)|keras\.(backend|activations))\.\w+$|^(__operators__\.\w+|[a-z][a-z_]*)$/;
const TF_REFUSED =
  /(^|\.)(py_function|numpy_function|load_library|load_op_library|eager_py_func|print|read_file|write_file)$|^(io|raw_ops|saved_model|data|debugging|summary|train)\./;

const DEPTH = 400;

/** Findings about a configuration in JSON; `where` names it in messages. */
export function lintKerasConfig(text: string, where: string, findings: Findings): void {
  const root = findings.attempt('keras-config', () => parseJson(text, where, { maxDepth: DEPTH, maxValues: 200_000 }));
  if (root === undefined) return;
  findings.flag('keras-config', 'a Keras model: its loader makes objects by the names in the file');
  const open: JsonNode[] = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const { value } = node;
    if (Array.isArray(value)) for (const item of value) open.push(item);
    else if (value instanceof Map) {
      checkObject(value, findings);
      for (const item of value.values()) open.push(item);
    }
  }
}

function checkObject(fields: ReadonlyMap<string, JsonNode>, findings: Findings): void {
  const text = (key: string): string | undefined => {
    const value = fields.get(key)?.value;
    return typeof value === 'string' ? value : undefined;
  };
  const [className, module, registered] = [text('class_name'), text('module'), text('registered_name')];
  if (text('function_type') === 'lambda' || text('output_shape_type') === 'lambda') {
    findings.refuse('keras-lambda', 'has a layer that runs Python code that stands in the file');
  }
  if (className === undefined) {
    // What has a class but no text for its name is nothing that Keras writes.
    if (fields.has('class_name') && fields.get('class_name')?.value !== null)
      findings.refuse('keras-config', 'has a class whose name is no text');
    return;
  }
  if (className === 'function' && module !== undefined && !FUNCTIONS.test(module))
    findings.refuse('keras-function', `has a function of the module ${quoted(module)}, which a layer calls with what stands in the file`);
  const plain = className.slice(className.lastIndexOf('>') + 1);
  if (Object.hasOwn(PROGRAMS, plain)) findings.refuse('keras-lambda', `has a ${quoted(plain)}, which ${PROGRAMS[plain]}`);
  if (plain === 'TFOpLambda' || plain === 'SlicingOpLambda') checkFunction(fields, findings);
  if (module !== undefined && !MODULE.test(module)) {
    findings.refuse(
      'keras-module',
      `makes a ${quoted(className)} of the module ${quoted(module)}, which is none of the parts of Keras that only compute`,
    );
  }
  for (const name of [className, registered]) {
    if (name?.includes('>') && !PACKAGES.has(name.slice(0, name.lastIndexOf('>')))) {
      findings.refuse('keras-custom', `makes ${quoted(name)}, a class of somebody else's program`);
    }
  }
  if (registered !== undefined && !registered.includes('>') && registered !== className) {
    findings.refuse('keras-custom', `makes ${quoted(registered)} under the name ${quoted(className)}`);
  }
}

function checkFunction(fields: ReadonlyMap<string, JsonNode>, findings: Findings): void {
  const config = fields.get('config')?.value;
  const found = config instanceof Map ? config.get('function')?.value : undefined;
  const name = typeof found === 'string' ? found : '';
  if (TF_REFUSED.test(name) || !TF_FUNCTIONS.test(name)) findings.refuse('keras-function', `calls TensorFlow's ${quoted(name)} as a layer`);
}
