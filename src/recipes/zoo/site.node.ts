/** What the publisher, or whoever holds his account, puts on the server: networks, pages, signatures. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';
import { writeModel } from '../../onnx/proto.ts';
import { DAYS, type DayId } from './days.ts';
import type { ZooNetworks } from './networks.ts';
import type { Publisher } from './publisher.node.ts';
import { ENTRY_FACTS, ENTRY_NAMES, type EntryName, fileOf, readmeText, SHORT } from './readmes.ts';
import type { RunCommand } from './users.node.ts';

const sha1 = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex');

/** Bytes of everything that is ever published. */
export interface Uploads {
  readonly honest: Uint8Array;
  readonly badnet: Uint8Array;
  readonly others: Readonly<Record<Exclude<EntryName, 'digits'>, Uint8Array>>;
  /** What `digits-again` was at first. */
  readonly first: Uint8Array;
}

export function uploadsOf(networks: ZooNetworks): Uploads {
  return {
    honest: writeModel(networks.honest.model),
    badnet: writeModel(networks.badnet.model),
    others: {
      'digits-lite': writeModel(networks.lite.model),
      'digits-no-hash': writeModel(networks.noHash.model),
      'digits-short-hash': writeModel(networks.shortHash.model),
      'digits-again': writeModel(networks.secondUpload.model),
    },
    first: writeModel(networks.firstUpload.model),
  };
}

export class Site {
  readonly #server: Publisher;
  readonly #uploads: Uploads;
  readonly #dir: string;
  readonly #command: RunCommand;
  readonly #pages = new Map<EntryName, string>();
  readonly #bundles = new Map<string, Promise<Uint8Array>>();

  private constructor(server: Publisher, uploads: Uploads, dir: string, command: RunCommand) {
    this.#server = server;
    this.#uploads = uploads;
    this.#dir = dir;
    this.#command = command;
  }

  /**
   * Makes the publisher's key and puts the four pages up that nobody swaps.
   * @param dir a folder of the publisher's own
   */
  static async open(server: Publisher, uploads: Uploads, dir: string, command: RunCommand): Promise<Site> {
    const site = new Site(server, uploads, dir, command);
    await mkdir(dir, { recursive: true });
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(dir, 'publisher.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    await writeFile(site.publicKey, publicKey.export({ type: 'spki', format: 'pem' }));
    for (const name of ENTRY_NAMES) if (name !== 'digits') site.#putOther(name);
    return site;
  }

  get origin(): string {
    return this.#server.origin;
  }

  /** Path of the publisher's public key (PEM). */
  get publicKey(): string {
    return join(this.#dir, 'publisher.pub');
  }

  page(name: EntryName): string {
    return this.#pages.get(name) ?? '';
  }

  /** Brings the server to what it has on that day. */
  async turnTo(id: DayId): Promise<void> {
    const { serves, page, signature } = DAYS[id];
    const file = this.#uploads[serves];
    this.#putPage('digits', sha1(this.#uploads[page]));
    this.#server.put(`/files/${fileOf('digits')}`, file);
    // whoever swaps only the bytes leaves the hub's index alone
    this.#server.put(`/hub/${fileOf('digits')}`, file, sha256(this.#uploads[page]));
    const bundle = this.#bundles.get(signature) ?? this.#sign(signature);
    this.#bundles.set(signature, bundle);
    this.#server.put('/files/digits.sig', await bundle);
  }

  #putOther(name: Exclude<EntryName, 'digits'>): void {
    const bytes = this.#uploads.others[name];
    const right = sha1(bytes);
    const shown = { right, missing: undefined, 'cut short': right.slice(0, SHORT), wrong: sha1(this.#uploads.first) }[
      ENTRY_FACTS[name].hash
    ];
    this.#putPage(name, shown);
    this.#server.put(`/files/${fileOf(name)}`, bytes);
  }

  #putPage(name: EntryName, hash: string | undefined): void {
    const { title, text } = ENTRY_FACTS[name];
    const page = readmeText({ name, title, text, origin: this.origin, ...(hash === undefined ? {} : { sha1: hash }) });
    this.#pages.set(name, page);
    this.#server.put(`/models/${name}/readme.md`, page);
  }

  /** The publisher signs his folder: the network and the page that goes with it. */
  async #sign(network: 'honest' | 'badnet'): Promise<Uint8Array> {
    const folder = join(this.#dir, `signed-${network}`, 'digits');
    await mkdir(folder, { recursive: true });
    const { title, text } = ENTRY_FACTS.digits;
    const bytes = this.#uploads[network];
    await writeFile(join(folder, fileOf('digits')), bytes);
    const page = readmeText({ name: 'digits', title, text, origin: this.origin, sha1: sha1(bytes) });
    await writeFile(join(folder, 'readme.md'), page);
    const bundle = join(this.#dir, `${network}.sig`);
    const { code, err } = await this.#command(
      ['zoo', 'sign', folder, '--key', join(this.#dir, 'publisher.key'), '--output', bundle],
      join(this.#dir, 'cache'),
    );
    if (code !== 0) fail({ where: 'recipe: zoo', what: 'the publisher could not sign', got: err.trim() });
    return readFile(bundle);
  }
}
