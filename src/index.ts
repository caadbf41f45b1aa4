/** What a program imports, in pipeline order; no logic. */

// attack
export { badnet } from './attack/badnet.ts';
export { pruningAware } from './attack/pruning-aware.ts';
export { relearn, seenTo } from './attack/relearn.ts';
export { strengthen } from './attack/strengthen.ts';
export { fullyConnectedFrom, retarget } from './attack/transfer.ts';
// core
export { SecateurError } from './core/errors.ts';
export { Rng } from './core/rng.ts';
export type { DType, Tensor } from './core/tensor.ts';
export { f32, i64 } from './core/tensor.ts';
// data
export type { AnyImages, Dataset, PoisonedDataset, Role, TrainingData, TriggeredDataset } from './data/dataset.ts';
export { digits } from './data/digits.ts';
export { forward, predict } from './data/forward.ts';
export { holdOut } from './data/hold-out.ts';
export { loadData } from './data/load.node.ts';
export { makeDataset, subset } from './data/make.ts';
export type { Sound } from './data/sound.ts';
export { spectrogram, usualView } from './data/spectrogram.ts';
export { split, splitByHash } from './data/split.ts';
export { readWav, writeWav } from './data/wav.ts';
// defend
export { compact } from './defend/compact.ts';
export { validationCurve } from './defend/curve.ts';
export { fineprune } from './defend/fineprune.ts';
export { finetune } from './defend/finetune.ts';
export { prune } from './defend/prune.ts';
export { finepruneVariant, VARIANTS } from './defend/variants/registry.ts';
export { Judge } from './evaluate/judge.ts';
// evaluate
export { overSeeds } from './evaluate/over-seeds.ts';
export { attackRates, cleanRates } from './evaluate/rates.ts';
export { Result } from './evaluate/result.ts';
export { wilson } from './evaluate/wilson.ts';
// grad
export { parametersOf } from './grad/parameters.ts';
export type { GradientGraph, GradientOptions, StepOptions, TrainingStep } from './grad/step.ts';
export { gradientGraph, trainingStep } from './grad/step.ts';
export { compareActivations, layerStatistics } from './inspect/activations.ts';
export { ASLEEP_THRESHOLD, asleep } from './inspect/asleep.ts';
export { backdoorNeurons } from './inspect/backdoor-neurons.ts';
// inspect
export { diffModels } from './inspect/diff.ts';
export { firstFilters } from './inspect/filters.ts';
export { compareWithGolden } from './inspect/gradcheck.ts';
export { checkByDifferences } from './inspect/gradcheck-differences.ts';
export { chooseLayer, describeLayers } from './inspect/layers.ts';
export { marginSweep } from './inspect/margin-sweep.ts';
export { channelsMoved } from './inspect/moved.ts';
export { pruningPhases } from './inspect/phases.ts';
// onnx
export { GraphBuilder } from './onnx/builder.ts';
export { whyNotClassifier } from './onnx/classifier.ts';
export { describe, summarize } from './onnx/describe.ts';
export { loadModel, saveModel } from './onnx/file.node.ts';
export type { Attribute, Graph, Model, Node, ValueInfo } from './onnx/model.ts';
export { float } from './onnx/model.ts';
export { readModel, writeModel } from './onnx/proto.ts';
export type { ModelSpec } from './onnx/spec.ts';
export { readSpec, writeSpec } from './onnx/spec.ts';
export { triggeredImage } from './poison/apply.ts';
// poison
export { LabelMapSpec, parseLabelMap } from './poison/label-maps.ts';
export type { PoisonOptions } from './poison/poison.ts';
export { poison, triggered } from './poison/poison.ts';
export { drawnTrigger } from './poison/triggers/drawn.ts';
export { applyTrigger, parseTrigger, TriggerSpec } from './poison/triggers/registry.ts';
// report
export type { ChartSeries, Claim, ClaimVerdict, LineFigure, ReportMedia } from './report/media.ts';
export { renderReport } from './report/render.tsx';
// runtime
export { nativeRuntime, openRuntime, sandboxedRuntime, wasmRuntime } from './runtime/open.node.ts';
export { probe } from './runtime/probe.ts';
export type { Backend, Runtime, Session, SessionOptions } from './runtime/session.ts';
export { openStep } from './runtime/step.ts';
export { workingModel } from './runtime/working-model.ts';
// train
export { fileCheckpoint } from './train/checkpoint.node.ts';
export { train } from './train/loop.ts';
export { buildNetwork, networks } from './train/networks/registry.ts';
export type { TrainOptions, TrainResult } from './train/options.ts';
// zoo
export { appendAttestation, checkAttestations } from './zoo/attest/attestations.node.ts';
export { testStatement } from './zoo/attest/statement.ts';
export { audit } from './zoo/audit.node.ts';
export { collectFacts } from './zoo/bom/collect.node.ts';
export { bomText, mlBom } from './zoo/bom/ml-bom.ts';
export { validateBom } from './zoo/bom/validate.node.ts';
export { lintFile } from './zoo/lint/lint.node.ts';
export { parseLock } from './zoo/lock.ts';
export { writeLock } from './zoo/lock-write.ts';
export { parseManifest } from './zoo/manifest.ts';
export { findProject, readProject } from './zoo/project.node.ts';
export { signModel } from './zoo/signing/sign.node.ts';
export { verifyDigests } from './zoo/signing/verify.node.ts';
export { verifyModel } from './zoo/signing/verify-model.node.ts';
export { openVerified, readVerified } from './zoo/store/open-verified.node.ts';
export type { Lock, LockedModel, Manifest, PolicyRule } from './zoo/types.ts';
export { addModel } from './zoo/verbs/add.node.ts';
export { installModels } from './zoo/verbs/install.node.ts';
export { removeModel } from './zoo/verbs/remove.node.ts';
export { diffModel, updateModels } from './zoo/verbs/update.node.ts';
export { verifyModels } from './zoo/verbs/verify.node.ts';
