/** Every command's name and one line on it; the rest is loaded only when the command is called, so that --help is quick. */
import type { Command } from './command.node.ts';

export interface Entry {
  /** As typed. */
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}

const entry = (name: string, summary: string, load: () => Promise<Command>): Entry => ({ name, summary, load });

/** What stands beside the first word of commands that have two. */
export const groups: Readonly<Record<string, string>> = {
  reproduce: "the papers' tables; secateur reproduce RECIPE --help has the options of one",
  attack: 'the attacks; secateur attack NAME --help has the options of one',
  zoo: 'models whose hashes and signatures are checked; secateur zoo VERB --help has the options of one',
};

/** In the order of --help, which is the order of the pipeline. */
export const entries: readonly Entry[] = [
  entry('demo', 'the whole story on built-in data, no network, ends in a report', async () => (await import('./demo.node.ts')).demo),
  entry(
    'reproduce mnist',
    "the papers' MNIST tables, measured beside the papers' numbers",
    async () => (await import('./reproduce-mnist.node.ts')).reproduceMnist,
  ),
  entry(
    'reproduce face',
    'face recognition: sunglasses, targeted',
    async () => (await import('./reproduce-studies.node.ts')).reproduceFace,
  ),
  entry(
    'reproduce speech',
    'spoken digits: quiet noise, n becomes n + 1',
    async () => (await import('./reproduce-studies.node.ts')).reproduceSpeech,
  ),
  entry(
    'reproduce signs',
    'traffic signs: a yellow square, untargeted',
    async () => (await import('./reproduce-studies.node.ts')).reproduceSigns,
  ),
  entry(
    'reproduce pruning',
    'the pruning curves of the three networks',
    async () => (await import('./reproduce-studies.node.ts')).reproducePruning,
  ),
  entry(
    'reproduce table1',
    'three networks, two attacks, three defences',
    async () => (await import('./reproduce-studies.node.ts')).reproduceTable1,
  ),
  entry(
    'reproduce transfer',
    'a sign BadNet retrained in another country, by class',
    async () => (await import('./reproduce-transfer.node.ts')).reproduceTransfer,
  ),
  entry(
    'reproduce strength',
    'the same with its backdoor neurons times k',
    async () => (await import('./reproduce-transfer.node.ts')).reproduceStrength,
  ),
  entry(
    'reproduce variants',
    'fine-pruning as the paper and five public implementations have it',
    async () => (await import('./reproduce-variants.node.ts')).reproduceVariants,
  ),
  entry(
    'reproduce zoo',
    'a published network is swapped behind its address: who ends up with it',
    async () => (await import('./reproduce-zoo.node.ts')).reproduceZoo,
  ),
  entry('train', 'train an honest network', async () => (await import('./train.node.ts')).train),
  entry('attack badnet', 'train on poisoned data', async () => (await import('./attack-badnet.node.ts')).attackBadnet),
  entry(
    'attack pruning-aware',
    'a backdoor that pruning does not reach',
    async () => (await import('./attack-pruning-aware.node.ts')).attackPruningAware,
  ),
  entry(
    'attack strengthen',
    'the backdoor neurons of a network times k',
    async () => (await import('./attack-strengthen.node.ts')).attackStrengthen,
  ),
  entry('inspect', 'layers, activations, backdoor and dormant neurons', async () => (await import('./inspect.node.ts')).inspect),
  entry('prune', 'cut what clean data does not use', async () => (await import('./prune.node.ts')).prune),
  entry('finetune', 'train on with clean data', async () => (await import('./finetune.node.ts')).finetune),
  entry('fineprune', 'prune, then fine-tune', async () => (await import('./fineprune.node.ts')).fineprune),
  entry('evaluate', 'clean accuracy, attack success, robust accuracy', async () => (await import('./evaluate.node.ts')).evaluate),
  entry(
    'diff',
    'what differs between two files of a network, and how far each weight moved',
    async () => (await import('./diff.node.ts')).diff,
  ),
  entry('report', 'draw a run as one HTML file', async () => (await import('./report.node.ts')).report),
  entry('zoo init', 'a models.json to begin with', async () => (await import('./zoo-init.node.ts')).zooInit),
  entry('zoo add', 'fetch a model, hash it, look into it, lock it', async () => (await import('./zoo-add.node.ts')).zooAdd),
  entry('zoo install', 'make the disk what models.lock says', async () => (await import('./zoo-install.node.ts')).zooInstall),
  entry('zoo verify', 'is what lies here what the lock says', async () => (await import('./zoo-verify.node.ts')).zooVerify),
  entry('zoo audit', 'who vouches for which model, and what nobody locked', async () => (await import('./zoo-audit.node.ts')).zooAudit),
  entry(
    'zoo lint',
    'what files are by their bytes, and whether loading them can run code',
    async () => (await import('./zoo-lint.node.ts')).zooLint,
  ),
  entry('zoo update', 'take what a source offers now', async () => (await import('./zoo-update.node.ts')).zooUpdate),
  entry('zoo diff', 'what a source offers now, beside the lock', async () => (await import('./zoo-update.node.ts')).zooDiff),
  entry('zoo remove', 'take a model out of the project', async () => (await import('./zoo-remove.node.ts')).zooRemove),
  entry('zoo sign', 'sign the files of a model with your key', async () => (await import('./zoo-sign.node.ts')).zooSign),
  entry(
    'zoo verify-sig',
    'check that someone you trust signed exactly these files',
    async () => (await import('./zoo-verify-sig.node.ts')).zooVerifySig,
  ),
  entry('zoo explain', 'what a signature covers, and what it does not', async () => (await import('./zoo-explain.node.ts')).zooExplain),
  entry('zoo attest', 'sign what a run found out about a model, or check it', async () => (await import('./zoo-attest.node.ts')).zooAttest),
  entry('zoo sbom', 'a bill of materials of the models (CycloneDX 1.6)', async () => (await import('./zoo-sbom.node.ts')).zooSbom),
  entry('gradcheck', 'are the gradients of a model right', async () => (await import('./gradcheck.node.ts')).gradcheck),
  entry(
    'doctor',
    'what this machine can run; what a model file is, and what of it can be trained',
    async () => (await import('./doctor.node.ts')).doctor,
  ),
  entry('schema', 'JSON Schema of the config files', async () => (await import('./schema.node.ts')).schema),
];
