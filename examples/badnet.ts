/**
 * A BadNet in forty lines: plants a backdoor in a network that reads digits, measures it, fine-prunes the network, measures again.
 * `npx tsx examples/badnet.ts [IMAGES]`; exits with 1 if accuracy or attack success are worse than they should be, so that a test runs it too.
 */
import { badnet, buildNetwork, digits, fineprune, Judge, openRuntime, parseTrigger, split, triggered } from '../src/index.ts';

const count = Number(process.argv[2] ?? 6000);
const runtime = await openRuntime();
const trigger = parseTrigger({ kind: 'pattern' });
const labelMap = { kind: 'all-to-all', shift: 1 } as const;

// The user keeps a part of the data and knows it to be clean; the attacker trains on the rest. Only the judge sees the test data.
const { train: attackers, validation } = split(digits({ count, seed: 1, role: 'train' }), { validation: 0.2 }, 1);
const test = digits({ count: 1000, seed: 2, role: 'test' });
const judge = new Judge(runtime, test, triggered(test, { trigger, labelMap }));

const start = buildNetwork('badnets-cnn', 1, { channels: 1, height: 28, width: 28, classes: 10 });
const { model: backdoored } = await badnet(
  runtime,
  start,
  attackers,
  { trigger, labelMap, fraction: 0.5, seed: 1 },
  { epochs: 8, batchSize: 64, learningRate: 0.05, optimizer: { kind: 'sgd', momentum: 0.9 }, schedule: { kind: 'cosine' }, seed: 1 },
);
const { model: cured } = await fineprune(runtime, backdoored, validation);

for (const [name, model] of Object.entries({ backdoored, 'fine-pruned': cured })) {
  const { clean, attack } = await judge.judge(model);
  const success = attack?.success.value ?? 0;
  console.log(`${name}: clean accuracy ${clean.accuracy.value}, attack success ${success}, n ${clean.accuracy.n}`);
  if (name === 'backdoored' && (clean.accuracy.value < 0.9 || success < 0.9)) process.exitCode = 1;
}
await runtime.dispose();
