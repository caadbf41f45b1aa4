/**
 * How long and how much memory it takes to describe or refuse the large bombs of `bombs.ts`, each in a process of its own, run from the
 * built package as a user would, on Linux: `npm run build && npx tsx scripts/measure-bombs.ts`. Prints a table in Markdown.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LARGE_BOMBS } from './bombs.ts';

const dist = process.argv[2] ?? join(import.meta.dirname, '..', 'dist');
const DESCRIBE = `
const t = process.cpuUsage();
const { loadModel } = await import(${JSON.stringify(pathToFileURL(join(dist, 'onnx/file.node.js')).href)});
const { describe } = await import(${JSON.stringify(pathToFileURL(join(dist, 'onnx/describe.js')).href)});
const loaded = process.cpuUsage(t);
let said;
const from = performance.now();
try { said = describe(await loadModel(process.argv[1])).split('\\n').slice(-2).join('; '); } catch (e) { said = e.name + ': ' + e.message; }
const u = process.cpuUsage(t);
// Not ru_maxrss: that one starts at what the parent had when it forked.
const status = (await import('node:fs')).readFileSync('/proc/self/status', 'utf8');
console.log(JSON.stringify({ said, ms: performance.now() - from, cpu: (u.user + u.system - loaded.user - loaded.system) / 1000, rss: Number(/VmHWM:\\s+(\\d+)/.exec(status)[1]) }));`;

interface Measured {
  readonly said: string;
  readonly ms: number;
  readonly cpu: number;
  readonly rss: number;
}

const folder = mkdtempSync(join(tmpdir(), 'secateur-bombs-'));
try {
  const file = join(folder, 'bomb.onnx');
  const node = execFileSync(process.execPath, ['-p', '/VmHWM:\\s+(\\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]'], {
    encoding: 'utf8',
  });
  console.log(`Node alone: ${Math.round(Number(node) / 1000)} MB\n`);
  console.log('| file | MB | wall ms | CPU ms | peak RSS MB | above Node MB | answer |\n|---|---|---|---|---|---|---|');
  for (const { name, bytes } of LARGE_BOMBS) {
    const content = bytes();
    writeFileSync(file, content);
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', DESCRIBE, file], { encoding: 'utf8', timeout: 60_000 });
    const { said, ms, cpu, rss }: Measured = JSON.parse(out);
    const cells = [
      (content.length / 1e6).toFixed(1),
      ms.toFixed(0),
      cpu.toFixed(0),
      (rss / 1000).toFixed(0),
      ((rss - Number(node)) / 1000).toFixed(0),
    ];
    console.log(`| ${name} | ${cells.join(' | ')} | ${said.replaceAll(file, '').replaceAll('|', '/').slice(0, 150)} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
