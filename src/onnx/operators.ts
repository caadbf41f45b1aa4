/**
 * The operators that a model may ask for. A file from a stranger is refused for any other before ONNX Runtime sees a byte of it: some
 * run code or open files of the author's choice (EPContext), the rest would fail later with a message that helps nobody.
 */

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/**
 * Operators of the ONNX standard up to opset 26, those of the years before 2018 that ONNX Runtime still knows, and one of ONNX Runtime's
 * own that it files under the standard domain.
 */
const STANDARD = words(`
  Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool
  BatchNormalization Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow
  Cast CastLike Ceil Celu CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape Conv ConvInteger
  ConvTranspose Cos Cosh CumProd CumSum
  DFT DeformConv DepthToSpace DequantizeLinear Det Div Dropout DynamicQuantizeLinear
  Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor
  GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
  GroupNormalization
  HammingWindow HannWindow HardSigmoid HardSwish Hardmax
  Identity If InstanceNormalization IsInf IsNaN
  LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool
  MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Multinomial
  Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not
  OneHot Optional OptionalGetElement OptionalHasElement Or
  PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear
  RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
  ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize
  ReverseSequence RoiAlign RotaryEmbedding Round
  STFT Scan Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
  SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign
  SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat StringNormalizer StringSplit Sub Sum Swish
  Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Upsample Where Xor
  Affine Crop DynamicSlice ImageScaler ParametricSoftplus Scale ScaledTanh
  SimplifiedLayerNormalization
`);

/** Classical models, and the label lookups that exporters put behind a network. */
const CLASSICAL = words(`
  ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder LinearClassifier
  LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier
  TreeEnsembleRegressor ZipMap
`);

/** What ONNX Runtime's own optimiser and quantiser write into vision models. Nothing here reads files or takes native code. */
const MICROSOFT = words(`
  Attention BiasGelu CropAndResize DequantizeLinear DynamicQuantizeMatMul FastGelu FusedConv FusedGemm FusedMatMul Gelu GridSample
  Inverse MatMulIntegerToFloat MatMulNBits MultiHeadAttention NhwcMaxPool Pad QAttention QGemm QLinearAdd QLinearAveragePool
  QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax
  QLinearWhere QuantizeLinear QuickGelu SkipLayerNormalization TransposeMatMul Trilu
`);

const ACCEPTED: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['', STANDARD],
  ['ai.onnx.ml', CLASSICAL],
  ['com.microsoft', MICROSOFT],
]);

/** Domains of which operators are accepted; '' is the standard one, which files may call `ai.onnx` too. */
export const acceptedDomains: readonly string[] = [...ACCEPTED.keys()];

/** The accepted operators of a domain in alphabetical order; none for a domain that is not accepted. */
export function acceptedOperators(domain: string): readonly string[] {
  return [...(ACCEPTED.get(standardName(domain)) ?? [])].sort();
}

/** Whether a model from a stranger may contain this operator. */
export function isAccepted(domain: string, opType: string): boolean {
  return ACCEPTED.get(standardName(domain))?.has(opType) ?? false;
}

/** Why the operator is not accepted, as a clause without full stop; undefined where it is. */
export function whyRefused(domain: string, opType: string): string | undefined {
  if (isAccepted(domain, opType)) return undefined;
  if (opType === 'EPContext') return 'it hands bytes or a file of its author to a vendor library, which runs them as code';
  if (domain.startsWith('ai.onnx.preview')) return `operators of the domain "${domain}" are drafts that ONNX Runtime does not run`;
  if (!ACCEPTED.has(standardName(domain)))
    return `the domain "${domain}" is not one of ${acceptedDomains.map((d) => d || 'ai.onnx').join(', ')}`;
  const name = standardName(domain) === '' ? 'the ONNX standard' : `"${domain}"`;
  return `it is not among the ${ACCEPTED.get(standardName(domain))!.size} accepted operators of ${name}`;
}

const standardName = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);
