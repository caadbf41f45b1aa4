/**
 * Time and memory that the linter takes for the files of test/zoo/lint-bombs.ts and the ten-megabyte bombs of the ONNX reader, each in a
 * process of its own: `npx tsx scripts/measure-lint.ts`. Prints Markdown; exit code 1 where one takes more than a second of processor
 * time, or more than 100 MB beside the file and the process itself.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lintFile } from '../src/zoo/lint/lint.node.ts';
import { LINT_BOMBS } from '../test/zoo/lint-bombs.ts';
import { LARGE_BOMBS } from './bombs.ts';

/** Kilobytes; not maxRSS, which starts at what the parent had when it forked. */
const peak = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

interface Measured {
  readonly text: string;
  readonly ms: number;
  readonly mb: number;
}

async function measure(path: string): Promise<Measured> {
  // the linter's own code is compiled and warm, as it is after the first file of many
  await lintFile(fileURLToPath(import.meta.url));
  global.gc?.();
  const before = peak();
  const cpu = process.cpuUsage();
  const { kind, verdict, findings } = await lintFile(path);
  const used = process.cpuUsage(cpu);
  const text = `${kind} | ${verdict}: ${findings[0]?.says.slice(0, 70).replaceAll('|', '\\|') ?? ''}`;
  return { text, ms: (used.user + used.system) / 1000, mb: (peak() - before) / 1024 };
}

if (process.argv[2] === '--one') {
  console.log(JSON.stringify(await measure(process.argv[3])));
} else {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-lint-'));
  const bombs: [string, () => Uint8Array][] = [
    ...Object.entries(LINT_BOMBS),
    ...LARGE_BOMBS.map(({ name, bytes }): [string, () => Uint8Array] => [`ONNX: ${name}`, bytes]),
  ];
  console.log('| file | MB | ms | peak MB more | kind | verdict |\n|---|---|---|---|---|---|');
  for (const [name, make] of bombs) {
    if (process.argv[2] !== undefined && !name.includes(process.argv[2])) continue;
    const bytes = make();
    const path = join(folder, 'file');
    writeFileSync(path, bytes);
    const child = spawnSync(process.execPath, ['--expose-gc', ...process.execArgv, fileURLToPath(import.meta.url), '--one', path], {
      encoding: 'utf8',
    });
    if (child.status !== 0) {
      console.log(`| ${name} | ${(bytes.length / 1e6).toFixed(1)} | crashed: ${child.stderr.slice(-300).replaceAll('\n', ' ')} |`);
      process.exitCode = 1;
      continue;
    }
    const { text, ms, mb } = JSON.parse(child.stdout.trim().split('\n').at(-1) as string) as Measured;
    if (ms > 1000 || mb > 100 + bytes.length / 1e6) process.exitCode = 1;
    console.log(`| ${name} | ${(bytes.length / 1e6).toFixed(1)} | ${Math.round(ms)} | ${Math.round(mb)} | ${text} |`);
  }
  rmSync(folder, { recursive: true });
}
