import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { f32, i64, type Tensor } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/onnx/builder.ts';
import { encodeFrame, FrameReader } from '../../src/runtime/frames.node.ts';
import { sandboxedRuntime } from '../../src/runtime/open.node.ts';
import { closeAfterExit, limited } from '../../src/runtime/sandbox.node.ts';
import { runtimeConformance } from './conformance.ts';

const limits = { threads: 1, memoryMB: 600, seconds: 60 };
runtimeConformance('sandboxed native', () => sandboxedRuntime(limits));

describe('a model that goes too far', () => {
  const runtime = sandboxedRuntime({ ...limits, memoryMB: 400, seconds: 3 });
  afterAll(() => runtime.dispose());
  const x = f32([1, 2], [2]);
  const attempt = async (build: (b: GraphBuilder) => void, opset = 17): Promise<Record<string, Tensor>> => {
    const b = new GraphBuilder({ opset });
    b.input('x', 'float32', [2]);
    build(b);
    const session = await runtime.open(b.build());
    const out = await session.run({ x });
    await session.close();
    return out;
  };
  const stillWorks = async (): Promise<void> => {
    const { y } = await attempt((b) => b.output(b.op('Relu', ['x'], {}, { name: 'y' }), 'float32', [2]));
    expect([...y.data]).toEqual([1, 2]);
  };

  it.skipIf(process.platform !== 'linux')('in memory is refused it, and the process goes on', async () => {
    const bomb = attempt((b) => {
      const shape = b.initializer('shape', i64([5e8, 2]));
      b.output(b.op('Expand', ['x', shape], {}, { name: 'y' }), 'float32', [5e8, 2]);
    });
    await expect(bomb).rejects.toThrow(
      'runtime (native): the model needs more memory than the 400 MB it may have, at operator "Expand" (node "y"). Try --memory-limit 800 if you expect that of it.',
    );
    await stillWorks();
  });

  it('in time is stopped, and the next model gets a new process', async () => {
    const endless = attempt((b) => {
      // Nine 10^11 operations of which none is large.
      let value = b.op('Tile', ['x', b.initializer('times', i64([500_000]))]);
      value = b.op('Reshape', [value, b.initializer('square', i64([1000, 1000]))]);
      for (let i = 0; i < 400; i++) value = b.op('MatMul', [value, value]);
      b.output(value, 'float32', [1000, 1000]);
    });
    await expect(endless).rejects.toThrow(
      'runtime (native): the model gave no answer within 3 seconds and was stopped. Try --time-limit 12 if the model is large or the machine slow.',
    );
    await stillWorks();
  });

  it('and crashes takes its own process down, not this one', async () => {
    // ONNX Runtime's binding aborts at an output of a type that JavaScript has no array for.
    const crash = attempt((b) => {
      const [scale, zero] = [b.initializer('s', f32([1], [])), b.initializer('z', { dtype: 'int4', dims: [], data: Uint8Array.of(0) })];
      b.output(b.op('QuantizeLinear', ['x', scale, zero], {}, { name: 'y' }), 'int4', [2]);
    }, 21);
    await expect(crash).rejects.toThrow(
      'runtime (native): the process that runs the model died asking for more memory than the 400 MB it may have, or for an array of an impossible type. Try --memory-limit 800 if you expect that of it.',
    );
    await stillWorks();
    const { pid } = runtime.worker as unknown as { pid: number };
    const b = new GraphBuilder();
    b.output(b.op('Relu', [b.input('x', 'float32', [2])]), 'float32', [2]);
    const session = await runtime.open(b.build());
    process.kill(pid, 'SIGSEGV');
    await expect(session.run({ x })).rejects.toThrow('runtime (native): the process that runs the model died: it crashed with SIGSEGV.');
    await expect(session.run({ x })).rejects.toThrow('it crashed with SIGSEGV.');
    await stillWorks();
  });

  it('is given neither secrets nor a folder with files, and leaves none behind', async () => {
    let folder = '';
    process.env.SECATEUR_TEST_SECRET = 'do not pass on';
    const own = sandboxedRuntime(limits);
    try {
      await own.ready();
      const { pid } = own.worker as unknown as { pid: number };
      if (process.platform === 'linux') {
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        expect(environment).not.toContain('SECRET');
        expect(environment).not.toContain('PATH=/');
        folder = readlinkSync(`/proc/${pid}/cwd`);
        expect(readdirSync(folder)).toEqual([]);
        expect(readlinkSync(`/proc/${pid}/fd/0`)).toBe('/dev/null');
        const bound = /Max data size\s+(\d+)/.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))?.[1];
        expect(Number(bound)).toBe(Math.ceil(((600 + 512) * 1e6) / 1024) * 1024);
      }
    } finally {
      delete process.env.SECATEUR_TEST_SECRET;
      await own.dispose();
    }
    if (folder !== '') expect(existsSync(folder)).toBe(false);
  });

  it('is not stopped for what the process that asks is busy with, for what cannot be sent, or for Ctrl-C', async () => {
    const own = sandboxedRuntime({ ...limits, seconds: 2 });
    try {
      const b = new GraphBuilder();
      b.output(b.op('Relu', [b.input('x', 'float32', [2])], {}, { name: 'y' }), 'float32', [2]);
      const session = await own.open(b.build());
      const { pid } = own.worker as unknown as { pid: number };
      process.kill(pid, 'SIGINT');
      const answer = session.run({ x });
      // The answer is in the pipe long before this thread looks.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
      expect([...(await answer).y.data]).toEqual([1, 2]);
      const unsendable = { ...x, data: new Date() } as unknown as Tensor;
      await expect(session.run({ x: unsendable })).rejects.toThrow('a object does not fit into a frame');
      // Nothing is waited for now.
      await new Promise((later) => setTimeout(later, 2500));
      expect([...(await session.run({ x })).y.data]).toEqual([1, 2]);
      expect((own.worker as unknown as { pid: number }).pid).toBe(pid);
    } finally {
      await own.dispose();
    }
  });

  it.skipIf(process.platform === 'win32')('is over when its process is, whatever that has started', async () => {
    const child = spawn('/bin/sh', ['-c', 'sleep 60 & echo $!'], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    closeAfterExit(child, 100);
    await new Promise((closed) => child.once('close', closed));
    const left = Number(said);
    // Throws where it has ended.
    expect(() => process.kill(left, 0)).not.toThrow();
    process.kill(left);
  });

  it.skipIf(process.platform !== 'linux')('starts where the system allows less memory than the limit', () => {
    const [command, args] = limited(['/bin/sh', '-c', 'ulimit -d'], 1000);
    const within = (first: string): string =>
      execFileSync('/bin/sh', ['-c', `${first}exec "$0" "$@"`, command, ...args], { encoding: 'utf8' });
    expect(within('')).toBe(`${Math.ceil(1e9 / 1024)}\n`);
    expect(within('ulimit -d 500000; ')).toBe('500000\n');
  });

  it('limits that are none are told', () => {
    expect(() => sandboxedRuntime({ memoryMB: 10 })).toThrow('--memory-limit: too little, expected at least 64 MB, got 10.');
    expect(() => sandboxedRuntime({ seconds: 0 })).toThrow('--time-limit: too little, expected more than 0 seconds, got 0.');
  });
});

describe('frames', () => {
  const through = (message: unknown, chunk = 7, limit = 1e6): unknown => {
    const got: unknown[] = [];
    const reader = new FrameReader(limit, (m) => got.push(m));
    const bytes = Buffer.concat(encodeFrame(message));
    for (let at = 0; at < bytes.length; at += chunk) reader.take(bytes.subarray(at, at + chunk));
    expect(got.length).toBe(1);
    return got[0];
  };

  it.each([1, 7, 4096])('carry every kind of value, in chunks of %i bytes', (chunk) => {
    const message = {
      kind: 'done',
      none: undefined,
      nothing: null,
      numbers: [1.5, -0, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 53],
      large: 2n ** 63n,
      text: 'naïve ☃ \u0000',
      types: new Map([['x', { dtype: 'float32', dims: [2, 3] }]]),
      // Names out of a file.
      feeds: { $: 'mark', constructor: 1, toString: 'x' },
      arrays: [Float32Array.of(1, 2), new Uint8Array(), BigInt64Array.of(-1n), Float64Array.of(Number.NaN), Uint16Array.of(7)],
    };
    expect(through(message, chunk)).toEqual(message);
    const named = through({ feeds: JSON.parse('{"__proto__":{"polluted":true}}') }, chunk) as { feeds: object };
    expect(Object.keys(named.feeds)).toEqual(['__proto__']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('give each array memory of its own, aligned', () => {
    const { a, b } = through({ a: Uint8Array.of(1), b: Float64Array.of(2) }) as { a: Uint8Array; b: Float64Array };
    expect([a.buffer.byteLength, b.buffer.byteLength, b.byteOffset]).toEqual([1, 8, 0]);
  });

  it.each<[string, (bytes: Buffer) => void, string]>([
    ['too long a text', (b) => b.writeUInt32LE(0xffffffff, 0), 'a head of 4294967295 bytes and 1 arrays'],
    ['too many arrays', (b) => b.writeUInt32LE(0xfffffff, 4), 'arrays'],
    ['an array beyond the limit', (b) => b.writeDoubleLE(1e15, 8), 'bytes at once'],
    ['a negative length', (b) => b.writeDoubleLE(-8, 8), 'bytes at once'],
    ['no JSON', (b) => b.write('!', 16), 'JSON'],
  ])('with %s are refused', (_, spoil, message) => {
    const bytes = Buffer.concat(encodeFrame({ a: Float32Array.of(1) }));
    spoil(bytes);
    expect(() => new FrameReader(1e6, () => {}).take(bytes)).toThrow('runtime: the process that runs the model answers nonsense, got ');
    expect(() => new FrameReader(1e6, () => {}).take(bytes)).toThrow(message);
  });

  it('with arrays that are not what they say are refused', () => {
    const spoilt = (json: string): (() => void) => {
      const body = Buffer.from(json);
      const head = Buffer.alloc(16);
      head.writeUInt32LE(body.length, 0);
      head.writeUInt32LE(1, 4);
      head.writeDoubleLE(3, 8);
      return () => new FrameReader(1e6, () => {}).take(Buffer.concat([head, body, Buffer.alloc(3)]));
    };
    expect(spoilt('{"$":"array","kind":"Float32Array","at":0}')).toThrow('got a Float32Array of 3 bytes.');
    expect(spoilt('{"$":"array","kind":"constructor","at":0}')).toThrow('got an array "constructor".');
    expect(spoilt('{"$":"array","kind":"Uint8Array","at":9}')).toThrow('got an array "Uint8Array".');
    expect(spoilt('{"$":"function"}')).toThrow('got a "function".');
  });
});
