/** Tar archives (POSIX.1-1988 ustar, and the form before it, which only its checksum tells): old PyTorch checkpoints are such. */
import type { ByteSource } from '../../data/zip.ts';
import { type Findings, quoted } from './findings.ts';
import type { LintWithin } from './zip-kinds.ts';
import { MAX_NESTING } from './zip-kinds.ts';

const BLOCK = 512;
const MAX_MEMBERS = 10_000;

const latin = new TextDecoder('latin1');
const octal = (block: Uint8Array, at: number, length: number): number | undefined => {
  const digits = /^\s*([0-7]+)[\s\0]*$/.exec(latin.decode(block.subarray(at, at + length)))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 8);
};

/** Whether a member's header stands at `at`: its checksum holds, whatever its name begins like. */
export function isTar(source: ByteSource, at = 0): boolean {
  if (at + BLOCK > source.size) return false;
  const block = source.read(at, BLOCK);
  // blanks stand in for the checksum itself
  const sum = block.reduce((n, b, i) => n + (i >= 148 && i < 156 ? 0x20 : b), 0);
  return octal(block, 148, 8) === sum;
}

/** Lints what stands in a tar archive, member by member. */
export function lintTar(source: ByteSource, findings: Findings, nesting: number, lint: LintWithin): void {
  if (nesting > MAX_NESTING) {
    findings.refuse('tar-nesting', `archives within archives, more than ${MAX_NESTING} deep`);
    return;
  }
  const names = new Set<string>();
  let at = 0;
  for (let i = 0; i < MAX_MEMBERS && isTar(source, at); i++) {
    const block = source.read(at, BLOCK);
    const end = block.indexOf(0);
    const name = latin.decode(block.subarray(0, end < 0 || end > 100 ? 100 : end));
    const size = octal(block, 124, 12);
    const from = at + BLOCK;
    if (size === undefined || from + size > source.size) {
      findings.refuse('tar-broken', `entry ${quoted(name)} of a tar archive goes on after the end of the file, or has no size`);
      return;
    }
    names.add(name.replace(/^(\.\/)+/, ''));
    if (size > 0) {
      const report = lint({ size, read: (offset, length) => source.read(from + offset, length) }, name, nesting + 1);
      if (report.kind !== 'unknown' || report.verdict === 'refused') findings.within(name, report);
    }
    at = from + Math.ceil(size / BLOCK) * BLOCK;
  }
  if (names.has('pickle') && (names.has('storages') || names.has('tensors')))
    findings.refuse(
      'torch-tar',
      'a PyTorch checkpoint of before 2017 in a tar archive, of several pickles that are no longer looked through',
    );
}
