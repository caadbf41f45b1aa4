/** Plays the story on a server of this machine: five pages, then every user on every day. */
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import type { Judge, Judgement } from '../../evaluate/judge.ts';
import { loadModel } from '../../onnx/file.node.ts';
import type { Ending, ReadmeEntry, SupplyEvent } from '../../report/supply-chain-media.ts';
import { parseLock } from '../../zoo/lock.ts';
import { DAY_IDS, DAYS, type DayId } from './days.ts';
import { caffeScript, type Printed } from './downloaders.node.ts';
import type { Publisher } from './publisher.node.ts';
import { ENTRY_FACTS, ENTRY_NAMES, type EntryName, fileOf, pageUrl } from './readmes.ts';
import { Site, type Uploads } from './site.node.ts';
import type { Published, UserEnd, ZooStory } from './story.ts';
import { addFresh, type Locked, type RunCommand, USERS, type User, type World } from './users.node.ts';

export interface Stage {
  readonly server: Publisher;
  readonly uploads: Uploads;
  /** A folder that nobody else uses. */
  readonly dir: string;
  readonly command: RunCommand;
  readonly judge: Judge;
  /** Each part of the story, for the progress line. */
  part<T>(name: string, work: () => Promise<T>): Promise<T>;
  readonly signal?: AbortSignal;
}

/** Parts that {@link tell} asks for: the networks judged, the pages, every day. */
export const STORY_PARTS = 2 + DAY_IDS.length;

/** How the server is called on the page. */
const SHOWN_ORIGIN = 'http://zoo.example';

/**
 * The whole story.
 * @throws what the signal was aborted with; SecateurError where the publisher cannot sign or the first lock cannot be made
 */
export async function tell(given: Stage): Promise<ZooStory> {
  const { server, uploads, dir, part } = given;
  // a command that was interrupted has an exit code too, and would be taken for a user who was stopped
  const command: RunCommand = async (argv, cache) => {
    const printed = await given.command(argv, cache);
    given.signal?.throwIfAborted();
    return printed;
  };
  const stage = { ...given, command };
  const judged = new Judged(stage.judge);
  const published = await part('networks judged', () => publishedOf(uploads, dir, judged));
  const [honest, badnet] = published;
  const site = await Site.open(server, uploads, join(dir, 'publisher'), command);
  const readmes = await part('five pages', () => tryPages(stage, site));
  const ends: UserEnd[] = [];
  const locks = new Map<DayId, Locked>();
  let lockBytes = 0;
  for (const id of DAY_IDS) {
    await part(DAYS[id].name, async () => {
      await site.turnTo(id);
      const { lockedOn } = DAYS[id];
      if (id === lockedOn) {
        locks.set(id, await makeLock(stage, site, id));
        lockBytes ||= (await stat(join(locks.get(id)!.project, 'models.lock'))).size;
      }
      const locked = locks.get(lockedOn)!;
      for (const user of USERS) {
        const world = { ...worldOf(stage, site, join(id, slug(user.name))), locked };
        await mkdir(world.dir, { recursive: true });
        ends.push(await endOf(user, id, world, await user.run(world), { honest, badnet, judged }));
      }
    });
  }
  const users = USERS.map(({ run: _, installed: __, failure: ___, ...words }) => words);
  return { published, honest, badnet, ends, users, readmes, timeline: timeline(honest, badnet, ends), lockBytes };
}

const slug = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

function worldOf({ dir, command, signal }: Stage, site: Site, place: string): Omit<World, 'locked'> {
  return { origin: site.origin, dir: join(dir, 'users', place), publicKey: site.publicKey, command, ...(signal ? { signal } : {}) };
}

/** Files judged once for each content. */
class Judged {
  readonly #judge: Judge;
  readonly #known = new Map<string, Promise<Judgement>>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  /** The network in a file; undefined where there is no file. */
  async file(path: string): Promise<{ digest: string; judgement: Judgement } | undefined> {
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes === undefined) return undefined;
    const digest = sha256(bytes);
    const known = this.#known.get(digest) ?? loadModel(path).then((model) => this.#judge.judge(model));
    this.#known.set(digest, known);
    return { digest, judgement: await known };
  }
}

async function publishedOf(uploads: Uploads, dir: string, judged: Judged): Promise<Published[]> {
  const files: [name: string, bytes: Uint8Array][] = [
    ['honest network', uploads.honest],
    ['BadNet', uploads.badnet],
    ...Object.entries(uploads.others).filter(([name]) => name !== 'digits-again'),
    ['digits-again, first upload', uploads.first],
    ['digits-again, second upload', uploads.others['digits-again']],
  ];
  await mkdir(join(dir, 'networks'), { recursive: true });
  const all: Published[] = [];
  for (const [name, bytes] of files) {
    const path = join(dir, 'networks', `${slug(name)}.onnx`);
    await writeFile(path, bytes);
    const { digest, judgement } = (await judged.file(path))!;
    all.push({ name, digest, bytes: bytes.length, judgement });
  }
  return all;
}

/** The project of the users who have a lock: made on that day, and committed. */
async function makeLock(stage: Stage, site: Site, day: DayId): Promise<Locked> {
  const world = worldOf(stage, site, join(day, 'made-the-lock'));
  await mkdir(world.dir, { recursive: true });
  const locked = { project: join(world.dir, 'project'), cache: join(world.dir, 'cache') };
  const { code, err } = await addFresh({ ...world, locked });
  if (code !== 0) fail({ where: 'recipe: zoo', what: 'the lock of the first day could not be made', got: err.trim() });
  return locked;
}

interface Known {
  readonly honest: Published;
  readonly badnet: Published;
  readonly judged: Judged;
}

async function endOf(
  { name: user, installed, failure }: User,
  day: DayId,
  world: World,
  ran: Printed & { file: string; typed: string },
  { honest, badnet, judged }: Known,
): Promise<UserEnd> {
  const found = await judged.file(ran.file);
  const which = nameOf(found?.digest, honest, badnet, user);
  // a tool that failed has told its user not to use what it left; who had a model before goes on with it
  const refused = ran.code !== 0 && installed !== true;
  const ending = refused ? 'nothing' : which;
  return {
    ...{ user, day, ending, exitCode: ran.code },
    typed: tidy(ran.typed, world),
    said: tidy(said(ran), world),
    ...(ran.code === 0 ? {} : { stoppedBy: reasonOf(ran, failure) }),
    ...(refused && which !== 'nothing' ? { leftBehind: which } : {}),
    ...(ending === 'nothing' || found === undefined ? {} : { judgement: found.judgement }),
  };
}

function nameOf(digest: string | undefined, honest: Published, badnet: Published, user: string): Ending {
  if (digest === undefined) return 'nothing';
  if (digest === honest.digest) return 'honest';
  if (digest === badnet.digest) return 'backdoored';
  return fail({ where: 'recipe: zoo', what: `${user} has a file that nobody published`, got: digest });
}

/** What was printed, but for lines of progress, which depend on how fast it went. */
const said = ({ out, err }: Printed): string => `${err}${out}`.replaceAll(/^ *\d+ % .*\n/gm, '').trim();

/** The code of an error of Secateur, else `words`, else what was said first. */
function reasonOf({ out, err }: Printed, words?: string): string {
  const [, error = err.trim() || out.trim()] = /^error: (.*)$/m.exec(err) ?? [];
  return /^E_[A-Z_]+/.exec(error)?.[0] ?? words ?? error.split('\n', 1)[0].slice(0, LONGEST_REASON);
}

const LONGEST_REASON = 80;

/** Without what differs from run to run: the port, the folder. */
function tidy(text: string, { origin, dir }: Pick<World, 'origin' | 'dir'>): string {
  return text
    .replaceAll(origin, SHOWN_ORIGIN)
    .replaceAll(origin.slice('http://'.length), 'zoo.example')
    .replaceAll(`${dir}/`, '')
    .replaceAll(dir, '.');
}

/** Each page through Caffe's script and through `zoo add`. */
async function tryPages(stage: Stage, site: Site): Promise<ReadmeEntry[]> {
  await site.turnTo('published');
  const entries: ReadmeEntry[] = [];
  for (const name of ENTRY_NAMES) {
    const { hash, says } = ENTRY_FACTS[name];
    const attempts: ReadmeEntry['attempts'] = [];
    const caffe = worldOf(stage, site, join('pages', name, 'caffe'));
    const printed = await caffeScript(pageUrl(site.origin, name), caffe.dir, stage.signal);
    attempts.push(attempt("Caffe's script", printed, caffe));
    attempts.push(await addPage(stage, site, name, 'zoo add', []));
    attempts.push(await addPage(stage, site, name, 'zoo add --allow-http', ['--allow-http']));
    if (hash === 'wrong') {
      const words = ['--allow-http', '--accept-claim-mismatch'];
      attempts.push(await addPage(stage, site, name, `zoo add ${words.join(' ')}`, words));
    }
    const readme = tidy(site.page(name), { origin: site.origin, dir: stage.dir }).split('\n\n', 1)[0];
    entries.push({ name, readme, hash, says, attempts });
  }
  return entries;
}

function attempt(by: string, printed: Printed, world: Pick<World, 'origin' | 'dir'>): ReadmeEntry['attempts'][number] {
  const taken = printed.code === 0;
  return { by, taken, exitCode: printed.code, ...(taken ? {} : { stoppedBy: reasonOf(printed) }), said: tidy(said(printed), world) };
}

async function addPage(
  stage: Stage,
  site: Site,
  name: EntryName,
  by: string,
  flags: readonly string[],
): Promise<ReadmeEntry['attempts'][number]> {
  const world = worldOf(stage, site, join('pages', name, slug(by)));
  const project = join(world.dir, 'project');
  await mkdir(project, { recursive: true });
  await cp(await emptyManifest(stage.dir), join(project, 'models.json'));
  const words = ['zoo', 'add', `caffe:${pageUrl(site.origin, name)}`, '--name', name, ...flags];
  const printed = await stage.command([...words, '--project', project], join(world.dir, 'cache'));
  const made = attempt(by, printed, world);
  if (!made.taken) return made;
  const path = join(project, 'models.lock');
  const entry = parseLock(await readFile(path, 'utf8'), path).models.get(name);
  return { ...made, ...(entry === undefined ? {} : { integrity: entry.integrity }) };
}

async function emptyManifest(dir: string): Promise<string> {
  const path = join(dir, 'empty-models.json');
  await writeFile(path, '{\n  "models": {}\n}\n');
  return path;
}

function timeline(honest: Published, badnet: Published, ends: readonly UserEnd[]): SupplyEvent[] {
  const runs = (day: DayId): string => {
    const names = ends.filter((e) => e.day === day && e.ending === 'backdoored').map((e) => e.user);
    return names.length === 0 ? 'Nobody runs the BadNet.' : `The BadNet is run by: ${names.join('; ')}.`;
  };
  const digest = ({ name, digest: value }: Published): { name: string; value: string } => ({ name, value: `sha256:${value}` });
  const swap = (when: string, who: string, what: string, day: DayId): SupplyEvent[] => [
    { when, who, what, kind: 'harm', digests: [digest(badnet)] },
    { when, who: 'users', what: runs(day), kind: 'user' },
  ];
  return [
    {
      when: '1',
      who: 'publisher',
      what: `Uploads ${fileOf('digits')}, writes its SHA-1 on the page, signs both with his key.`,
      kind: 'honest',
      digests: [digest(honest)],
    },
    { when: '1', who: 'users', what: 'Some download it, some lock it: models.lock has the SHA-256 from now on.', kind: 'user' },
    ...swap('2 a', 'holder of the account', 'Puts the BadNet behind the same address. The page stays.', 'file'),
    ...swap('2 b', 'holder of the account', "Also writes the BadNet's SHA-1 on the page.", 'hash'),
    ...swap('2 c', 'holder of the key', 'Also signs it.', 'signed'),
    ...swap('1 d', 'publisher', 'In another world the BadNet was what he uploaded and signed on day 1, and what was locked.', 'first'),
  ];
}
