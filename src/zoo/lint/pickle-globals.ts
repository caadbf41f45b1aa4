/**
 * What a pickle may import. A list of what is bad can never be whole (three scanners were passed by in one week of 2026), so this is a
 * list of what data need: containers, numbers, arrays, tensors. Each name is compared as a whole; a dotted name reaches into a module's
 * insides and is never on it.
 */

const BUILTIN = 'set frozenset dict list tuple int float complex bool str bytes bytearray object slice';
const DTYPES = [
  'float16 float32 float64 half float double bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 short int long bool',
  'complex32 complex64 complex128 cfloat cdouble qint8 quint8 qint32 quint4x2 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz',
].join(' ');
const STORAGES = [
  'Float Double Half BFloat16 Long Int Short Char Byte Bool ComplexFloat ComplexDouble QInt8 QInt32 QUInt8 QUInt4x2 QUInt2x4 Untyped Typed',
]
  .join(' ')
  .split(' ')
  .map((name) => `${name}Storage`)
  .join(' ');
/** How numbers of few bits are to be read: values, not functions. */
const SCHEMES = 'per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric per_channel_affine_float_qparams';
const ARRAY = '_reconstruct scalar _frombuffer';

/** Module -> names. */
const ALLOWED: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    builtins: BUILTIN,
    // Python 2 and protocols up to 2
    __builtin__: `${BUILTIN} unicode long`,
    copyreg: '_reconstructor',
    copy_reg: '_reconstructor',
    // how protocols up to 2 write bytes
    _codecs: 'encode',
    collections: 'OrderedDict defaultdict Counter deque',
    datetime: 'datetime date time timedelta timezone',
    numpy: `dtype ndarray bool_ ${DTYPES.replace('bfloat16 ', '')} str_ bytes_ void`,
    'numpy.core.multiarray': ARRAY,
    'numpy._core.multiarray': ARRAY,
    'numpy.core.numeric': '_frombuffer',
    'numpy._core.numeric': '_frombuffer',
    'numpy.dtypes': 'Float32DType Float64DType Int64DType Int32DType BoolDType UInt8DType Float16DType Int8DType Int16DType',
    torch: `Size device Tensor ${DTYPES} ${STORAGES} strided sparse_coo ${SCHEMES}`,
    'torch.storage': 'UntypedStorage TypedStorage _UntypedStorage _TypedStorage',
    'torch.cuda': STORAGES,
    'torch._utils':
      '_rebuild_tensor _rebuild_tensor_v2 _rebuild_parameter _rebuild_parameter_v2 _rebuild_sparse_tensor _rebuild_qtensor _rebuild_meta_tensor_no_storage',
    'torch.nn.parameter': 'Parameter Buffer',
    'torch.serialization': '_get_layout',
  }).map(([module, names]) => [module, new Set(names.split(' '))]),
);

/** Whether a pickle may import this; both are the names that stand in the file. */
export const isAllowedImport = (module: string, name: string): boolean => ALLOWED.get(module)?.has(name) ?? false;

const WORDS = new Set([...ALLOWED].flatMap(([module, names]) => [module, ...names]));
/** Whether a text is a module or a name of the list. */
export const isListedWord = (text: string): boolean => WORDS.has(text);

/** Imported things that can be filled like a dictionary once they are made. */
const MAPPINGS = new Set([
  'collections OrderedDict',
  'collections defaultdict',
  'collections Counter',
  'builtins dict',
  '__builtin__ dict',
]);
export const isMapping = (module: string, name: string): boolean => MAPPINGS.has(`${module} ${name}`);

/** What a name may look like that Python would import; text that only looks like a pickle has others. */
export const looksImportable = (module: string, name: string): boolean => /^[\w.-]{1,200}$/u.test(module) && /^[\w.]{1,200}$/u.test(name);
