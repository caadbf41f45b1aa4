import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { fetchFile } from '../../src/zoo/fetch/download.node.ts';
import { nextPage } from '../../src/zoo/sources/hub-listing.ts';
import { sourceFileOf } from '../../src/zoo/sources/locate.node.ts';
import { type ResolveOptions, resolveSource } from '../../src/zoo/sources/resolve.node.ts';
import { parseSource } from '../../src/zoo/sources/spec.ts';
import { openCache } from '../../src/zoo/store/cache.node.ts';
import type { LockedFile, LockedModel } from '../../src/zoo/types.ts';
import { gitBlob, putGist, putHub } from './hub.ts';
import { startServer, type TestServer } from './server.ts';
import { told } from './told.ts';

const COMMIT = 'c0ffee'.padEnd(40, '0');
const GIST = 'e56253735ef32c3c296d';
const sha = (body: string, algorithm = 'sha256'): string => createHash(algorithm).update(body).digest('hex');

let server: TestServer;
let folder: string;
let project: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'secateur-resolve-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  server = await startServer();
  project = mkdtempSync(join(folder, 'project-'));
  vi.stubEnv('HF_ENDPOINT', server.url);
  vi.stubEnv('GITHUB_API_URL', server.url);
  vi.stubEnv('HF_TOKEN', undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server.close();
});

const resolve = (text: string, o: Partial<ResolveOptions> = {}) =>
  resolveSource(parseSource(text), { base: project, allowHttp: true, retries: 0, backoffMs: 1, ...o });
const mirror = (): string => `files and their published hashes come from ${server.url} (HF_ENDPOINT), not from https://huggingface.co`;
const host = (): string => new URL(server.url).host;
const write = (path: string, content: string): string => {
  const at = join(project, path);
  mkdirSync(join(at, '..'), { recursive: true });
  writeFileSync(at, content);
  return at;
};

describe('a model of the hub', () => {
  const large = 'x'.repeat(200);
  const files = { 'config.json': '{}', 'onnx/model.onnx': large, 'onnx/odd #?%.txt': 'odd', '.gitattributes': 'lfs' };

  it('is listed at the commit that its branch is, with the hashes that are published', async () => {
    putHub(server, { repo: 'o/n', commit: COMMIT, files });
    const found = await resolve('hf:o/n');
    const url = `https://huggingface.co/o/n/resolve/${COMMIT}`;
    expect(found).toEqual({
      source: 'hf:o/n',
      resolved: `commit:${COMMIT}`,
      notes: [mirror()],
      files: [
        {
          path: 'config.json',
          size: 2,
          url: `${url}/config.json`,
          claims: [{ from: 'hf-git-oid', algorithm: 'git-blob', value: gitBlob(Buffer.from('{}')) }],
        },
        {
          path: 'onnx/model.onnx',
          size: 200,
          url: `${url}/onnx/model.onnx`,
          claims: [{ from: 'hf-lfs-oid', algorithm: 'sha256', value: sha(large) }],
        },
        {
          path: 'onnx/odd #?%.txt',
          size: 3,
          url: `${url}/onnx/odd%20%23%3F%25.txt`,
          claims: [expect.objectContaining({ from: 'hf-git-oid' })],
        },
      ],
    });
    const cache = await openCache(join(folder, 'cache'));
    for (const file of found.files) {
      const got = await fetchFile(file, cache, { allowHttp: true });
      expect(got.claims.map((claim) => got.hashes[claim.algorithm])).toEqual(got.claims.map((claim) => claim.value));
    }
  });

  it('keeps the revision that was asked for beside the commit', async () => {
    putHub(server, { repo: 'o/n', commit: COMMIT, files, revisions: ['refs/pr/1'] });
    expect(await resolve('hf:o/n@refs/pr/1')).toMatchObject({ source: 'hf:o/n', requested: 'refs/pr/1', resolved: `commit:${COMMIT}` });
    expect(await resolve(`hf:o/n@main`, { revision: COMMIT })).toMatchObject({ requested: COMMIT, resolved: `commit:${COMMIT}` });
    expect(server.requests[0].path).toBe('/api/models/o/n/revision/refs%2Fpr%2F1');
  });

  it('is read page by page, and only of this host', async () => {
    putHub(server, { repo: 'o/n', commit: COMMIT, files, page: 2 });
    expect((await resolve('hf:o/n')).files.length).toBe(3);
    expect(server.asked(`/api/models/o/n/tree/${COMMIT}`).length).toBe(3);
    const other = await startServer();
    server.on(`/api/models/o/n/tree/${COMMIT}`, (request, response) => {
      response.writeHead(200, (request.url ?? '').includes('elsewhere') ? {} : { link: `<${other.url}/elsewhere?elsewhere>; rel="next"` });
      response.end(JSON.stringify([{ type: 'file', path: 'a', size: 1, oid: '0'.repeat(40) }]));
    });
    server.put('/elsewhere', '[]');
    expect((await resolve('hf:o/n')).files.map((file) => file.path)).toEqual(['a']);
    expect(other.requests).toEqual([]);
    await other.close();
  });

  it('is followed to a next page on its own host, whatever the link says', () => {
    const from = new URL('https://hub.example/api/models/o/n/tree/x');
    const next = (target: string): string | undefined => nextPage(`<${target}>; rel="next"`, from);
    expect(next('https://evil.example/a?b=c')).toBe('https://hub.example/a?b=c');
    expect(next('?cursor=2')).toBe('https://hub.example/api/models/o/n/tree/x?cursor=2');
    expect(new URL(next('https://evil.example//evil.example/a')!).host).toBe('hub.example');
    for (const target of ['x:.evil.example/a', 'data:@evil.example', 'file:///etc', 'https://[']) expect(next(target)).toBeUndefined();
    expect(nextPage('<https://hub.example/a>; rel="prev"', from)).toBeUndefined();
  });

  it('whose listing has no end is refused', async () => {
    putHub(server, { repo: 'o/n', commit: COMMIT, files });
    server.on(`/api/models/o/n/tree/${COMMIT}`, (request, response) =>
      response.writeHead(200, { link: `<${request.url}>; rel="next"` }).end('[]'),
    );
    expect(await told(() => resolve('hf:o/n'))).toBe(
      `1 E_ANSWER ${host()}: the listing does not end, expected at most 200 pages, none twice.`,
    );
  });

  it('of more files than a lock can hold is refused before anything is fetched', async () => {
    const many = Array.from({ length: 50_001 }, (_, i) => ({ type: 'file', path: `f${i}`, size: 1, oid: '0'.repeat(40) }));
    putHub(server, { repo: 'o/n', commit: COMMIT, files });
    server.on(`/api/models/o/n/tree/${COMMIT}`, (_, response) => response.end(JSON.stringify(many)));
    expect(await told(() => resolve('hf:o/n'))).toBe(
      '1 E_SOURCE hf:o/n: more files than a lock can hold, expected at most 50000, got 50001. Try --include for those that are used.',
    );
    expect((await resolve('hf:o/n', { include: ['f1'] })).files.length).toBe(1);
  });

  it('is chosen from by globs', async () => {
    putHub(server, { repo: 'o/n', commit: COMMIT, files });
    expect((await resolve('hf:o/n', { include: ['onnx/*.onnx', 'config.json'] })).files.map((f) => f.path)).toEqual([
      'config.json',
      'onnx/model.onnx',
    ]);
    expect(await told(() => resolve('hf:o/n', { include: ['*.onnx'] }))).toBe(
      '1 E_SOURCE hf:o/n: no file matches *.onnx, got config.json, onnx/model.onnx, onnx/odd #?%.txt.',
    );
  });

  it('that has moved is told', async () => {
    putHub(server, { repo: 'o/n', commit: COMMIT, files, id: 'new/n' });
    expect((await resolve('hf:o/n')).notes).toEqual(['the hub calls o/n by the name new/n now', mirror()]);
  });

  const at = (position: string) => `127.0.0.1:PORT/api/models/o/n/${position}`;
  const answers: [string, { revision?: string; tree?: string }, string][] = [
    ['a web page', { revision: '<html>login</html>' }, `E_ANSWER ${at('revision/main')}:1:1: `],
    [
      'no commit',
      { revision: '{"sha": "main"}' },
      `E_ANSWER ${at('revision/main')}:1:9: "sha" is not right, expected a commit of 40 hex digits, got "main".`,
    ],
    [
      'a file of no size',
      { tree: '[{"type": "file", "path": "a", "oid": "0"}]' },
      `E_ANSWER ${at(`tree/${COMMIT}`)}:1:2: entry 1 of the whole file lacks a field, expected "size"`,
    ],
    ['a size below 0', { tree: '[{"type":"file","path":"a","size":-1}]' }, `E_ANSWER ${at(`tree/${COMMIT}`)}:1:35: "size"`],
    ['a size that no file has', { tree: '[{"type":"file","path":"a","size":1e21}]' }, `E_ANSWER ${at(`tree/${COMMIT}`)}:1:35: "size"`],
    ['a path up', { tree: `[{"type":"file","path":"../a","size":1,"oid":"${'0'.repeat(40)}"}]` }, 'E_PATH hf:o/n: '],
    ['a path of Windows', { tree: `[{"type":"file","path":"a/C:x","size":1,"oid":"${'0'.repeat(40)}"}]` }, 'E_PATH hf:o/n: '],
    [
      'a path twice',
      {
        tree: `[${Array(2)
          .fill(`{"type":"file","path":"a","size":1,"oid":"${'0'.repeat(40)}"}`)
          .join()}]`,
      },
      'E_PATH hf:o/n: ',
    ],
    [
      'twins',
      { tree: `[${['a', 'A'].map((path) => `{"type":"file","path":"${path}","size":1,"oid":"${'0'.repeat(40)}"}`).join()}]` },
      'E_PATH hf:o/n: ',
    ],
    ['no file', { tree: '[]' }, 'E_SOURCE hf:o/n: the source has no files, got no file at all.'],
    ['nothing', { revision: '' }, `E_ANSWER ${at('revision/main')}:1:1: `],
  ];
  it.each(answers)('with %s in its answer is refused', async (_, answer, says) => {
    putHub(server, { repo: 'o/n', commit: COMMIT, files });
    if (answer.revision !== undefined) server.put('/api/models/o/n/revision/main', answer.revision);
    if (answer.tree !== undefined) {
      server.remove(`/api/models/o/n/tree/${COMMIT}`);
      server.put(`/api/models/o/n/tree/${COMMIT}`, answer.tree);
    }
    expect((await told(() => resolve('hf:o/n'))).replaceAll(host(), '127.0.0.1:PORT')).toContain(`1 ${says}`);
  });

  it('is not there, or not for everybody', async () => {
    expect(await told(() => resolve('hf:o/n'))).toBe(
      `1 E_NOT_FOUND ${host()}: there is no such file or model, got 404 from ${server.url}/api/models/o/n/revision/main. Try the address in a browser.`,
    );
    server.always('/api/models/o/n/revision/main', { status: 401 });
    expect(await told(() => resolve('hf:o/n'))).toContain('HF_TOKEN=... of an account that may read it');
  });

  it('answers for the commit that was asked for', async () => {
    putHub(server, { repo: 'o/n', commit: COMMIT, files });
    const other = 'd'.repeat(40);
    server.put(`/api/models/o/n/revision/${other}`, JSON.stringify({ sha: COMMIT }));
    expect(await told(() => resolve(`hf:o/n@${other}`))).toBe(
      `1 E_ANSWER ${host()}/api/models/o/n/revision/${other}:1:8: the hub answers for another commit, expected ${other}, got ${COMMIT}.`,
    );
  });
});

describe('a Caffe entry', () => {
  const readme = (url: string, sha1 = `sha1: ${'a'.repeat(40)}\n`): string =>
    `---\nname: Digits\ncaffemodel: digits.caffemodel\ncaffemodel_url: ${url}\n${sha1}---\ntext\n`;
  const claims = [{ from: 'caffe-readme', algorithm: 'sha1', value: 'a'.repeat(40) }];

  it('on this machine is its readme, the prototxt files beside it and the weights at their address', async () => {
    const at = write('zoo/digits/README.md', readme('http://h.example/d.caffemodel'));
    write('zoo/digits/deploy.prototxt', 'name: "x"');
    write('zoo/digits/notes.txt', 'x');
    expect(await resolve('caffe:zoo/digits/README.md')).toEqual({
      source: 'caffe:zoo/digits/README.md',
      resolved: 'unversioned',
      notes: [],
      files: [
        { path: 'README.md', size: expect.any(Number), url: pathToFileURL(at).href, claims: [] },
        { path: 'deploy.prototxt', size: 9, url: pathToFileURL(join(project, 'zoo/digits/deploy.prototxt')).href, claims: [] },
        { path: 'digits.caffemodel', url: 'http://h.example/d.caffemodel', claims },
      ],
    });
  });

  it('without an address has its weights beside it, or is refused', async () => {
    const text = `---\ncaffemodel: digits.caffemodel\nsha1: ${'a'.repeat(40)}\n---\n`;
    write('readme.md', text);
    expect(await told(() => resolve('caffe:readme.md'))).toBe(
      '1 E_METADATA readme.md:1: the readme does not say where digits.caffemodel is, expected caffemodel_url, or the file beside the readme.',
    );
    const at = write('digits.caffemodel', 'weights');
    expect((await resolve('caffe:readme.md')).files[0]).toEqual({
      path: 'digits.caffemodel',
      size: 7,
      url: pathToFileURL(at).href,
      claims,
    });
  });

  it('that names its weights like its network is refused', async () => {
    write('readme.md', readme('http://h.example/d').replace('digits.caffemodel', 'deploy.prototxt'));
    write('deploy.prototxt', 'x');
    expect(await told(() => resolve('caffe:readme.md'))).toBe(
      '1 E_METADATA readme.md:1: caffemodel has the name of another file of the entry, got deploy.prototxt.',
    );
  });

  it('at an address is fetched to be read', async () => {
    server.put('/zoo/readme.md', readme(`${server.url}/d.caffemodel`, ''));
    const found = await resolve(`caffe:${server.url}/zoo/readme.md`);
    expect(found.files.map((file) => [file.path, file.url])).toEqual([
      ['digits.caffemodel', `${server.url}/d.caffemodel`],
      ['readme.md', `${server.url}/zoo/readme.md`],
    ]);
    expect(found).toMatchObject({
      resolved: 'unversioned',
      notes: [
        'readme.md gives no sha1: there is nothing to compare the weights with',
        'the address of the readme names no commit, so the readme can change',
      ],
    });
  });

  it('in a gist is read at a revision, and is as unversioned as its weights', async () => {
    putGist(server, GIST, COMMIT, { 'readme.md': readme('http://h.example/d'), 'deploy.prototxt': 'x', 'solve.py': 'import os' });
    const raw = `${server.url}/someone/${GIST}/raw/${COMMIT}`;
    const found = await resolve(`caffe:gist/${GIST}`);
    expect(found).toMatchObject({ source: `caffe:gist/${GIST}`, resolved: 'unversioned' });
    expect(found.notes).toEqual([`the readme is that of commit ${COMMIT}; the weights lie elsewhere, at an address without versions`]);
    expect(found.files).toEqual([
      { path: 'deploy.prototxt', size: 1, url: `${raw}/deploy.prototxt`, claims: [] },
      { path: 'digits.caffemodel', url: 'http://h.example/d', claims },
      { path: 'readme.md', size: expect.any(Number), url: `${raw}/readme.md`, claims: [] },
    ]);
    expect(await resolve(`caffe:gist/${GIST}@${COMMIT}`)).toMatchObject({ requested: COMMIT, resolved: 'unversioned' });
    const pinned = `https://huggingface.co/o/n/resolve/${COMMIT}/d.caffemodel`;
    putGist(server, GIST, COMMIT, { 'README.md': readme(pinned) });
    expect(await resolve(`caffe:gist/${GIST}`)).toMatchObject({ resolved: `commit:${COMMIT}`, notes: [] });
  });

  it('in a gist without readme, or at a branch, is refused', async () => {
    putGist(server, GIST, COMMIT, { 'a.md': 'x' });
    expect(await told(() => resolve(`caffe:gist/${GIST}`))).toBe(
      `1 E_METADATA gist/${GIST}: the gist has no readme, expected readme.md, got a.md.`,
    );
    expect(await told(() => resolve(`caffe:gist/${GIST}@main`))).toBe(
      `2 E_SOURCE gist/${GIST}: no revision of a gist, expected a commit of 40 hex digits, since a gist has no branches, got main.`,
    );
  });
});

describe('an address', () => {
  it('is a file by its last part, unversioned unless it names a commit', async () => {
    expect(await resolve('https://h.example/nets/a%20b.onnx?dl=1')).toEqual({
      source: 'https://h.example/nets/a%20b.onnx?dl=1',
      resolved: 'unversioned',
      files: [{ path: 'a b.onnx', url: 'https://h.example/nets/a%20b.onnx?dl=1', claims: [] }],
      notes: [],
    });
    expect((await resolve(`https://huggingface.co/o/n/resolve/${COMMIT}/a.onnx`)).resolved).toBe(`commit:${COMMIT}`);
    expect((await resolve('https://h/a.onnx?X-Amz-Signature=1')).notes).toEqual([
      'the address has "X-Amz-Signature" in it, which is written to models.lock for all to read',
    ]);
    expect(server.requests).toEqual([]);
  });
  it('without a file, with a path in it, or with a revision is refused', async () => {
    expect(await told(() => resolve('https://h/nets/'))).toBe(
      '2 E_SOURCE h: the address names no file, expected https://host/.../name.onnx, got https://h/nets/.',
    );
    expect(await told(() => resolve('https://h/..%2f..%2fetc%2fpasswd'))).toMatch(/^1 E_PATH https:\/\/h\/\.\.%2f/);
    expect(await told(() => resolve('https://h/%E0%A4%A'))).toContain('E_SOURCE h: the address names no file');
    expect(await told(() => resolve('https://h/a.onnx', { revision: 'v1' }))).toBe(
      '2 E_SOURCE https://h/a.onnx: this kind of source has no revisions, got v1.',
    );
  });
});

describe('offline', () => {
  it.each([
    ['hf:o/n', 'https://huggingface.co/o/n'],
    [`caffe:gist/${GIST}`, `https://gist.github.com/${GIST}`],
    ['caffe:https://h/readme.md', 'https://h/readme.md'],
  ])('%s cannot be looked up', async (source, got) => {
    expect(await told(() => resolve(source, { offline: true }))).toBe(
      `1 E_OFFLINE offline: this has to be fetched, and nothing may be, got ${got}. Try without --offline once; then it is in the cache.`,
    );
  });
  it('a file of this machine and an address can', async () => {
    write('a.onnx', 'x');
    expect((await resolve('./a.onnx', { offline: true })).files.length).toBe(1);
    expect((await resolve('https://h/a.onnx', { offline: true })).files.length).toBe(1);
  });
});

describe('this machine', () => {
  it('offers a file, or a folder with all that it holds but what is of Git', async () => {
    write('nets/b.onnx', 'bb');
    write('nets/sub/a.txt', 'a');
    write('nets/.gitignore', 'x');
    expect(await resolve('./nets')).toEqual({
      source: 'path:nets',
      resolved: 'unversioned',
      notes: [".gitignore left out: Git's, not the model's"],
      files: [
        { path: 'b.onnx', size: 2, url: pathToFileURL(join(project, 'nets/b.onnx')).href, claims: [] },
        { path: 'sub/a.txt', size: 1, url: pathToFileURL(join(project, 'nets/sub/a.txt')).href, claims: [] },
      ],
    });
    const url = pathToFileURL(join(project, 'nets/b.onnx')).href;
    expect(await resolve(url)).toMatchObject({ source: url, files: [{ path: 'b.onnx', size: 2, url }] });
  });

  it('follows a link that the user names, and none within a folder', async () => {
    const at = write('real/net.onnx', 'x');
    symlinkSync(at, join(project, 'latest.onnx'));
    expect((await resolve('./latest.onnx')).files).toEqual([{ path: 'latest.onnx', size: 1, url: pathToFileURL(at).href, claims: [] }]);
    symlinkSync('net.onnx', join(project, 'real/link.onnx'));
    expect(await told(() => resolve('./real'))).toBe(
      `1 E_NOT_A_FILE ${join(project, 'real/link.onnx')}: cannot be part of a model, expected a regular file, got a symbolic link. Try 'cp -rL' into a folder of its own, which follows links.`,
    );
    symlinkSync('loop', join(project, 'loop'));
    expect(await told(() => resolve('./loop'))).toContain('E_DISK');
  });

  it.runIf(process.platform !== 'win32')(
    'refuses pipes, names that are no Unicode, and names that other machines cannot hold',
    async () => {
      write('pipes/a', 'x');
      execFileSync('mkfifo', [join(project, 'pipes/fifo')]);
      const pipe = (at: string): string =>
        `1 E_NOT_A_FILE ${join(project, at)}: cannot be part of a model, expected a regular file, got a pipe.`;
      expect(await told(() => resolve('./pipes'))).toBe(pipe('pipes/fifo'));
      expect(await told(() => resolve('./pipes/fifo'))).toBe(pipe('pipes/fifo'));
      mkdirSync(join(project, 'bytes'));
      writeFileSync(Buffer.concat([Buffer.from(join(project, 'bytes/')), Buffer.from([0x61, 0xff])]), 'x');
      expect(await told(() => resolve('./bytes'))).toBe(
        `1 E_PATH ${join(project, 'bytes')}: the name of a file is no Unicode, expected UTF-8, got a\\xff.`,
      );
      write('odd/a:b', 'x');
      expect(await told(() => resolve('./odd'))).toContain(`1 E_PATH ${join(project, 'odd/a:b')}: `);
      write('twins/A', 'x');
      write('twins/a', 'x');
      expect(await told(() => resolve('./twins'))).toContain('1 E_PATH path:twins: ');
    },
  );

  it('refuses nothing, an empty folder, and one with the project in it', async () => {
    expect(await told(() => resolve('./none'))).toBe(`1 E_SOURCE ${join(project, 'none')}: nothing is there.`);
    mkdirSync(join(project, 'empty'));
    expect(await told(() => resolve('./empty'))).toBe(`1 E_SOURCE ${join(project, 'empty')}: the folder holds no file.`);
    for (const source of ['.', '..', `path:${folder}`]) {
      expect(await told(() => resolve(source))).toContain('the project itself lies in that folder, expected a folder with the model only.');
    }
  });
});

describe('sourceFileOf', () => {
  const model = (source: string): LockedModel => ({ source }) as LockedModel;
  const file = (path: string, url?: string): LockedFile => ({ path, size: 1, ...(url === undefined ? {} : { url }) }) as LockedFile;

  it('finds a locked file again where its source has it', async () => {
    write('nets/sub/a', 'x');
    const at = (path: string): string => pathToFileURL(join(project, path)).href;
    expect(await sourceFileOf(model('path:nets'), file('sub/a'), project)).toEqual({
      path: 'sub/a',
      size: 1,
      url: at('nets/sub/a'),
      claims: [],
    });
    expect((await sourceFileOf(model('path:nets/sub/a'), file('a'), project)).url).toBe(at('nets/sub/a'));
    expect((await sourceFileOf(model(at('nets')), file('sub/a'), project)).url).toBe(at('nets/sub/a'));
    expect((await sourceFileOf(model('caffe:zoo/readme.md'), file('net.prototxt'), project)).url).toBe(at('zoo/net.prototxt'));
    expect((await sourceFileOf(model('hf:o/n'), file('a', 'https://h/a'), project)).url).toBe('https://h/a');
    expect(await told(() => sourceFileOf(model('hf:o/n'), file('a'), project))).toBe(
      '1 E_SOURCE models.lock: a has no address, got hf:o/n.',
    );
  });
});
