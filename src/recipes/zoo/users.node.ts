/** The people of the story, each with what he does on a day. Those with Secateur run its real command lines. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Practice } from '../../report/supply-chain-media.ts';
import { caffeScript, hubClient, type Printed, plainDownload } from './downloaders.node.ts';
import { fileOf, fileUrl, pageUrl, signatureUrl } from './readmes.ts';

/** Runs one command line of Secateur, without the first word, with the cache of one machine; never throws for what a command refuses. */
export type RunCommand = (argv: readonly string[], cache: string) => Promise<Printed>;

/** A project that installs from a lock made earlier, and the cache of the machine where it was made. */
export interface Locked {
  readonly project: string;
  readonly cache: string;
}

export interface World {
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string;
  /** A folder of the user's own, empty. */
  readonly dir: string;
  readonly locked: Locked;
  /** The publisher's public key, which the user got some other way than from the site. */
  readonly publicKey: string;
  readonly command: RunCommand;
  readonly signal?: AbortSignal;
}

export interface Ran extends Printed {
  /** Where the network is looked for that the user runs from now on. */
  readonly file: string;
  /** As typed. */
  readonly typed: string;
}

export interface User extends Omit<Practice, 'outcomes' | 'command'> {
  /** Has the model installed already, and still has it where the command fails. */
  readonly installed?: true;
  /** What a failure comes to in a few words, for tools without error codes. */
  readonly failure?: string;
  run(world: World): Promise<Ran>;
}

const MODEL = 'digits';
const source = (origin: string): string => `caffe:${pageUrl(origin, MODEL)}`;
const installed = (project: string): string => join(project, 'models', MODEL, fileOf(MODEL));

async function secateur(world: World, project: string, cache: string, words: readonly string[]): Promise<Ran> {
  const printed = await world.command(['zoo', ...words, '--project', project], cache);
  return { ...printed, file: installed(project), typed: ['secateur', 'zoo', ...words].join(' ') };
}

/** An empty project, with a policy where one is given. */
async function newProject(project: string, policy?: readonly unknown[]): Promise<void> {
  await mkdir(project, { recursive: true });
  await writeFile(join(project, 'models.json'), `${JSON.stringify({ models: {}, ...(policy ? { policy } : {}) }, null, 2)}\n`);
}

/** `zoo add` of the story's model in a project of its own. */
export async function addFresh(world: World): Promise<Ran> {
  const project = join(world.dir, 'project');
  await newProject(project);
  return secateur(world, project, join(world.dir, 'cache'), ['add', source(world.origin), '--name', MODEL, '--allow-http']);
}

/** A copy of the project with its models, and of the cache: the machine where the lock was made. */
async function ownMachine(world: World): Promise<{ project: string; cache: string }> {
  const machine = { project: join(world.dir, 'project'), cache: join(world.dir, 'cache') };
  await cp(world.locked.project, machine.project, { recursive: true });
  await cp(world.locked.cache, machine.cache, { recursive: true });
  return machine;
}

/** A copy of the project as it is committed: without the models. */
async function checkout(world: World): Promise<string> {
  const project = join(world.dir, 'project');
  await mkdir(project, { recursive: true });
  for (const name of ['models.json', 'models.lock']) await cp(join(world.locked.project, name), join(project, name));
  return project;
}

export const USERS: readonly User[] = [
  {
    name: 'plain download',
    does: 'Fetches the address, as wget or a browser does.',
    has: 'nothing',
    costs: 'Nothing.',
    misses: 'Everything.',
    run: async ({ origin, dir, signal }) => {
      const url = fileUrl(origin, MODEL);
      return { ...(await plainDownload(url, dir, signal)), file: join(dir, fileOf(MODEL)), typed: `wget ${url}` };
    },
  },
  {
    name: "Caffe's script",
    does: 'Reads the page, fetches the file, compares its SHA-1 with the one on the page.',
    has: 'nothing',
    costs:
      'Nothing; but it stops at honest files whose page has no SHA-1 or a wrong one, calls every mismatch a failed download, and leaves the refused file in its place.',
    misses: 'Whoever can edit the page too. And itself: a user who was stopped for nothing before fetches by hand.',
    failure: 'takes it for a failed download',
    run: async ({ origin, dir, signal }) => {
      const page = pageUrl(origin, MODEL);
      return { ...(await caffeScript(page, dir, signal)), file: join(dir, fileOf(MODEL)), typed: `download-model ${page}` };
    },
  },
  {
    name: 'hub client',
    does: "Asks the site for the file's hash and uses it as a name; compares sizes; hashes nothing.",
    has: 'nothing',
    costs: 'Nothing.',
    misses: 'Everything but a cut download: the BadNet has the same size.',
    run: async ({ origin, dir, signal }) => {
      const url = `${origin}/hub/${fileOf(MODEL)}`;
      return { ...(await hubClient(url, dir, signal)), file: join(dir, 'snapshot', fileOf(MODEL)), typed: `hub download ${url}` };
    },
  },
  {
    name: 'zoo add, first time',
    does: 'Adds the model to a project that never had it; what comes is hashed, compared with the page and pinned from now on.',
    has: 'nothing',
    costs: 'Two small files to commit.',
    misses: 'Whatever was wrong before the first download and has a hash to match: trust on first use.',
    run: addFresh,
  },
  {
    name: 'zoo install --frozen, new machine',
    does: 'Installs what the lock of day 1 names, with an empty cache, as a build server does.',
    has: 'a lock of day 1',
    costs: 'Every real new version needs a person to take it (zoo update).',
    misses: 'What was wrong already when the lock was made.',
    run: async (world) => secateur(world, await checkout(world), join(world.dir, 'cache'), ['install', '--frozen', '--allow-http']),
  },
  {
    name: 'zoo install --frozen, own machine',
    does: 'The same on the machine where the lock was made: the cache still has the file under its hash.',
    has: 'a lock and a cache of day 1',
    costs: 'Disk for the cache.',
    misses: 'As above. It is not told that the site serves something else now: it does not ask.',
    run: async (world) => {
      const cache = join(world.dir, 'cache');
      await cp(world.locked.cache, cache, { recursive: true });
      return secateur(world, await checkout(world), cache, ['install', '--frozen', '--allow-http']);
    },
  },
  {
    name: 'zoo diff',
    does: 'Has a lock of day 1 and asks every night whether the address still gives the same.',
    has: 'a lock and the model of day 1',
    costs: 'A download a night, where the address has no version.',
    misses: 'What was wrong already when the lock was made. And it only tells: somebody has to listen.',
    installed: true,
    failure: 'is told that it changed',
    run: async (world) => {
      const { project, cache } = await ownMachine(world);
      return secateur(world, project, cache, ['diff', MODEL, '--fail-on-change', '--allow-http']);
    },
  },
  {
    name: 'zoo update',
    does: 'Has a lock of day 1 and takes what the publisher has now.',
    has: 'a lock and the model of day 1',
    costs: 'Reading the lines that say what changed.',
    misses: 'A swap with a matching hash, for whoever takes every update that he is shown.',
    installed: true,
    run: async (world) => {
      const { project, cache } = await ownMachine(world);
      return secateur(world, project, cache, ['update', MODEL, '--allow-http']);
    },
  },
  {
    name: 'zoo add, signature wanted',
    does: "Adds the model where the policy of the project wants the publisher's signature; his key came by another way than the site.",
    has: "the publisher's public key",
    costs: 'Getting the key from him, and a publisher who signs.',
    misses: 'What the holder of the key signs, whatever it is.',
    run: async (world) => {
      const project = join(world.dir, 'project');
      await newProject(project, [{ match: '**', require: 'signature', keys: ['keys/publisher.pub'] }]);
      await mkdir(join(project, 'keys'), { recursive: true });
      await cp(world.publicKey, join(project, 'keys', 'publisher.pub'));
      const words = ['add', source(world.origin), '--name', MODEL, '--allow-http', '--signature', signatureUrl(world.origin, MODEL)];
      return secateur(world, project, join(world.dir, 'cache'), words);
    },
  },
];
