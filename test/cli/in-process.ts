/** Runs a command line in this process: quick, and with mocks in force. What needs signals or real streams uses cli.ts. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Io, main } from '../../src/cli/run.node.ts';

export interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function run(...argv: string[]): Promise<Printed> {
  let out = '';
  let err = '';
  const io: Io = {
    out: (text) => {
      out += text;
    },
    err: {
      isTTY: false,
      color: false,
      columns: 80,
      write: (text) => {
        err += text;
      },
    },
    env: {},
  };
  const code = await main(argv, io);
  return { code, out, err };
}

/** Only the lines of errors; progress left out. */
export const errorOf = (printed: Printed): string => {
  const at = printed.err.indexOf('error: ');
  return at < 0 ? '' : printed.err.slice(at).trimEnd();
};

/** An empty folder, which also keeps what the tuner measures away from the user's own cache. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-cli-'));
  process.env.SECATEUR_CACHE = join(tmpdir(), 'secateur-test-cache');
  return folder;
}
