/** The parts of the zoo's story that need no network of neurons: the server, the tools of before, the pages. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Judge } from '../../src/evaluate/judge.ts';
import { writeModel } from '../../src/onnx/proto.ts';
import { DAY_IDS, DAYS } from '../../src/recipes/zoo/days.ts';
import { caffeScript, fetchPlain, hubClient, plainDownload } from '../../src/recipes/zoo/downloaders.node.ts';
import { FACTS } from '../../src/recipes/zoo/facts.ts';
import { Publisher } from '../../src/recipes/zoo/publisher.node.ts';
import { ENTRY_FACTS, ENTRY_NAMES, fileUrl, pageUrl, readmeText } from '../../src/recipes/zoo/readmes.ts';
import { tell } from '../../src/recipes/zoo/tell.node.ts';
import type { RunCommand } from '../../src/recipes/zoo/users.node.ts';
import { buildNetwork } from '../../src/train/networks/registry.ts';
import { parseFrontMatter } from '../../src/zoo/sources/front-matter.ts';

const folder = mkdtempSync(join(tmpdir(), 'secateur-story-'));
afterAll(() => rmSync(folder, { recursive: true }));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (algorithm: string, content: string): string => createHash(algorithm).update(content).digest('hex');

let server: Publisher;
let dir: string;
beforeEach(async () => {
  server = await Publisher.open();
  dir = mkdtempSync(join(folder, 'user-'));
});
afterEach(() => server.close());

describe('the publisher', () => {
  it('serves what was put there last, and keeps a record', async () => {
    const url = `${server.origin}/files/a.onnx`;
    server.put('/files/a.onnx', bytes('one'));
    expect(new TextDecoder().decode((await fetchPlain(url)).body)).toBe('one');
    server.put('/files/a.onnx', bytes('two'));
    const head = await fetchPlain(`${url}?x=1`, 'HEAD');
    expect(head.body).toHaveLength(0);
    expect(head.headers['content-length']).toBe('3');
    expect((await fetchPlain(url)).headers.etag).toBe(`"${hex('sha256', 'two')}"`);
    expect((await fetchPlain(`${server.origin}/nowhere`)).status).toBe(404);
    expect(server.served).toEqual([
      { method: 'GET', path: '/files/a.onnx', status: 200, digest: hex('sha256', 'one') },
      { method: 'HEAD', path: '/files/a.onnx', status: 200 },
      { method: 'GET', path: '/files/a.onnx', status: 200, digest: hex('sha256', 'two') },
      { method: 'GET', path: '/nowhere', status: 404 },
    ]);
  });

  it('takes nothing', async () => {
    server.put('/files/a.onnx', bytes('one'));
    expect((await fetch(`${server.origin}/files/a.onnx`, { method: 'POST', body: 'x' })).status).toBe(405);
  });
});

/** The page of `digits` with that SHA-1, and the file behind it. */
function publish(content: string, sha1: string | undefined): string {
  const page = readmeText({
    name: 'digits',
    title: 'Digits',
    origin: server.origin,
    text: 'Text.',
    ...(sha1 === undefined ? {} : { sha1 }),
  });
  server.put('/models/digits/readme.md', page);
  server.put('/files/digits.onnx', bytes(content));
  return pageUrl(server.origin, 'digits');
}

describe('the tools of before', () => {
  it('a plain download takes what comes', async () => {
    publish('swapped', hex('sha1', 'honest'));
    expect(await plainDownload(fileUrl(server.origin, 'digits'), dir)).toEqual({ code: 0, out: 'saved digits.onnx, 7 bytes\n', err: '' });
    expect(readFileSync(join(dir, 'digits.onnx'), 'utf8')).toBe('swapped');
    expect(await plainDownload(`${server.origin}/gone.onnx`, dir)).toEqual({ code: 1, out: '', err: 'the server answered 404\n' });
  });

  it("Caffe's script compares with the page, and leaves what it refuses where it would be used", async () => {
    const right = await caffeScript(publish('honest', hex('sha1', 'honest')), dir);
    expect(right).toEqual({ code: 0, out: "saved digits.onnx, 6 bytes\nits SHA-1 is the page's\n", err: '' });
    for (const [content, sha1] of [
      ['swapped', hex('sha1', 'honest')],
      ['honest again', hex('sha1', 'honest again').slice(0, 7)],
    ]) {
      const refused = await caffeScript(publish(content, sha1), dir);
      expect(refused).toEqual({ code: 1, out: '', err: 'the file was not downloaded correctly, run this again\n' });
      expect(readFileSync(join(dir, 'digits.onnx'), 'utf8')).toBe(content);
    }
    expect((await caffeScript(publish('swapped', hex('sha1', 'swapped')), dir)).code).toBe(0);
  });

  it("Caffe's script fetches nothing without a SHA-1 on the page", async () => {
    expect(await caffeScript(publish('honest', undefined), dir)).toEqual({ code: 1, out: '', err: 'the front matter lacks: sha1\n' });
    expect(readdirSync(dir)).toEqual([]);
  });

  it('a hub client names the file by a hash that it never computes', async () => {
    const listed = hex('sha256', 'honest');
    server.put('/hub/digits.onnx', bytes('badnet'), listed);
    const printed = await hubClient(`${server.origin}/hub/digits.onnx`, dir);
    expect(printed).toEqual({ code: 0, out: `downloaded digits.onnx as blobs/${listed}, 6 bytes\n`, err: '' });
    expect(readFileSync(join(dir, 'blobs', listed), 'utf8')).toBe('badnet');
    expect(readFileSync(join(dir, 'snapshot', 'digits.onnx'), 'utf8')).toBe('badnet');
    expect((await hubClient(`${server.origin}/hub/none.onnx`, dir)).code).toBe(1);
  });

  it('a hub client does notice another size', async () => {
    const odd = createServer((request, response) => {
      response.writeHead(200, { etag: '"abc"', 'content-length': request.method === 'HEAD' ? 10 : 5 });
      response.end(request.method === 'HEAD' ? undefined : 'short');
    });
    await new Promise<void>((resolve) => odd.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(odd.address() as AddressInfo).port}/x.onnx`;
    expect(await hubClient(url, dir)).toEqual({ code: 1, out: '', err: 'expected 10 bytes, got 5\n' });
    odd.close();
  });
});

describe('the pages', () => {
  it('have the form of the Caffe Model Zoo', () => {
    expect(readmeText({ name: 'digits', title: 'Digits', origin: 'http://zoo.example', sha1: 'ab'.repeat(20), text: 'Text.' })).toBe(
      `---\nname: Digits\ncaffemodel: digits.onnx\ncaffemodel_url: http://zoo.example/files/digits.onnx\nlicense: unrestricted\nsha1: ${'ab'.repeat(20)}\n` +
        'caffe_commit: none, trained with Secateur\n---\n\nText.\n',
    );
  });

  it('are read by the importer, and hold a hash of each kind', () => {
    for (const name of ENTRY_NAMES) {
      const { title, text } = ENTRY_FACTS[name];
      const read = parseFrontMatter(bytes(readmeText({ name, title, text, origin: 'http://zoo.example' })), 'readme.md');
      expect(read.get('caffemodel')?.text).toBe(`${name}.onnx`);
    }
    expect(ENTRY_NAMES.map((name) => ENTRY_FACTS[name].hash)).toEqual(['right', 'right', 'missing', 'cut short', 'wrong']);
  });
});

describe('the days', () => {
  it('are served as their words say', () => {
    for (const id of DAY_IDS) {
      const day = DAYS[id];
      expect(day.backdoored).toBe(day.serves === 'badnet');
      expect(day.lockedOn).toBe(id === 'first' ? 'first' : 'published');
    }
    expect(DAY_IDS.map((id) => [DAYS[id].serves, DAYS[id].page, DAYS[id].signature].join(' '))).toEqual([
      'honest honest honest',
      'badnet honest honest',
      'badnet badnet honest',
      'badnet badnet badnet',
      'badnet badnet badnet',
    ]);
    expect(new Set(DAY_IDS.map((id) => DAYS[id].name)).size).toBe(5);
  });
});

describe('the facts', () => {
  it('name a source each, and do not pass memory off as reading', () => {
    for (const fact of FACTS) expect([fact.source.length > 5, fact.says.endsWith('.')]).toEqual([true, true]);
    const sureness = (words: string): string | undefined => FACTS.find((f) => f.says.includes(words))?.sureness;
    expect(sureness('three years')).toBe('from memory, not checked');
    expect(sureness('presumably')).toBe('inferred');
    expect(sureness('91.64 % to 39.16 %')).toBe('read in the source');
  });
});

describe('the story', () => {
  const shape = { channels: 1, height: 28, width: 28, classes: 10 };
  const network = (seed: number): Uint8Array => writeModel(buildNetwork('badnets-cnn', seed, shape));
  const uploads = {
    ...{ honest: network(1), badnet: network(2), first: network(3) },
    others: { 'digits-lite': network(4), 'digits-no-hash': network(5), 'digits-short-hash': network(6), 'digits-again': network(7) },
  };
  const rate = { value: 1, n: 1, low: 0, high: 1 };
  const judge = { judge: async () => ({ clean: { accuracy: rate, perClass: [] } }) } as unknown as Judge;
  const played = (command: RunCommand, signal?: AbortSignal): ReturnType<typeof tell> =>
    tell({ server, uploads, dir, command, judge, part: (_, work) => work(), ...(signal ? { signal } : {}) });

  it('ends where a command is interrupted, and does not take that for an answer', async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const command: RunCommand = async ([, verb, ...words]) => {
      seen.push(verb);
      if (verb === 'sign') writeFileSync(words[words.indexOf('--output') + 1], 'bundle');
      if (verb === 'add') controller.abort();
      return { code: verb === 'add' ? 130 : 0, out: '', err: '' };
    };
    await expect(played(command, controller.signal)).rejects.toThrow('This operation was aborted');
    expect(seen).toEqual(['sign', 'add']);
  });

  it('says so where the publisher cannot sign, or the first lock cannot be made', async () => {
    await expect(played(async () => ({ code: 1, out: '', err: 'no key\n' }))).rejects.toThrow(
      'recipe: zoo: the publisher could not sign, got no key.',
    );
    const command: RunCommand = async ([, verb, ...words]) => {
      if (verb === 'sign') writeFileSync(words[words.indexOf('--output') + 1], 'bundle');
      return { code: verb === 'sign' ? 0 : 1, out: '', err: 'error: disk full\n' };
    };
    await expect(played(command)).rejects.toThrow('recipe: zoo: the lock of the first day could not be made, got error: disk full.');
  });
});
