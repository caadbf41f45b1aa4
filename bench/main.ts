/** `npm run bench [step|profile|pruning|verify]`: ratios measured in one run, with the versions and the machine. */
import { availableParallelism, cpus } from 'node:os';
import { ortVersion } from '../src/runtime/ort.node.ts';
import { peak, profileStep, STEP_GFLOP } from './profile.ts';
import { benchCurve, CURVES } from './pruning-curve.ts';
import { benchStep, NETS } from './step.ts';
import { TorchPeer } from './torch.ts';
import { benchVerify, verifyLine } from './verify.ts';

const parts = process.argv.slice(2).filter((a) => !a.startsWith('-'));
const wants = (part: string): boolean => parts.length === 0 || parts.includes(part);
const only = process.argv.find((a) => a.startsWith('--net='))?.slice(6);
const nets = NETS.filter((net) => only === undefined || net.name === only);
const threads = Math.min(2, availableParallelism());
const print = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

print(`machine: ${cpus()[0]?.model} x${cpus().length}, ${threads} threads; Node ${process.version}, ONNX Runtime ${ortVersion('native')}`);

if (wants('step')) {
  const torch = await TorchPeer.start(threads);
  print(torch === undefined ? 'PyTorch: not here, so no ratios' : `PyTorch ${torch.version}`);
  print('\n(a) one SGD step (momentum, weight decay), PyTorch and this in turn; ratio = PyTorch / this, above 1 this is faster');
  for (const net of nets) {
    const r = await benchStep(net, threads, torch);
    const ms = (v: number | undefined): string => (v === undefined ? '-' : `${v.toFixed(1)} ms`);
    const ratio = r.ratio === undefined ? '' : `  ratio ${r.ratio[1].toFixed(2)} (${r.ratio[0].toFixed(2)} to ${r.ratio[2].toFixed(2)})`;
    print(`${r.net}: ${ms(r.ours)}, PyTorch ${ms(r.torch)}${ratio}; wanted ${net.atLeast}, goal ${net.goal}`);
  }
  torch?.stop();
}

if (wants('pruning')) {
  print('\n(b) the whole pruning curve over 10,000 images beside the naive loop (cut, run everything, again); wanted 20 times');
  for (const c of CURVES) {
    const r = await benchCurve(c, threads);
    const scaled = r.naiveSteps === r.channels + 1 ? '' : ` (scaled up from ${r.naiveSteps} of ${r.channels + 1} steps)`;
    print(
      `${r.network} ${r.layer}, ${r.channels} channels: ${r.curve.toFixed(2)} s (${r.method}), naive ${r.naive.toFixed(1)} s${scaled}  ` +
        `ratio ${r.ratio.toFixed(1)}; ${(100 * r.agree).toFixed(3)} % of predictions agree`,
    );
  }
}

if (wants('verify')) {
  print('\n(d) verifying a model beside sha256sum on the same file, in turn, from the page cache');
  print(verifyLine(await benchVerify(2048, 5)));
}

if (wants('profile')) {
  const best = await peak(threads);
  print(`\n(c) where the time of a step goes (ONNX Runtime's profile); a 1024x1024 matrix product reaches ${best.toFixed(0)} GFLOP/s here`);
  for (const net of nets) {
    const { operators, nodes } = await profileStep(net, threads);
    const total = operators.reduce((sum, row) => sum + row.ms, 0);
    const rate = (STEP_GFLOP[net.name] / total) * 1000;
    print(
      `${net.name}: ${total.toFixed(1)} ms in kernels, ${rate.toFixed(0)} GFLOP/s of convolutions and products = ${((100 * rate) / best).toFixed(0)} % of that`,
    );
    for (const row of operators.slice(0, 10))
      print(`  ${row.ms.toFixed(2).padStart(8)} ms ${(100 * row.share).toFixed(1).padStart(5)} %  ${row.operator}`);
    print('  longest nodes:');
    for (const row of nodes.slice(0, 12))
      print(`  ${row.ms.toFixed(2).padStart(8)} ms ${(100 * row.share).toFixed(1).padStart(5)} %  ${row.operator}`);
  }
}
