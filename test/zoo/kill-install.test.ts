/** A few of the rounds of scripts/kill-install.ts, which does 200. */
import { expect, it } from 'vitest';
import { killRounds } from './kill.ts';

it('commands that are killed leave every model and the lock wholly before or wholly after, and a second run completes', async () => {
  const rounds = await killRounds({ rounds: 5, seed: 3 });
  expect(rounds.flatMap((r) => r.wrong.map((wrong) => `${r.scene}, killed at ${r.aimed}: ${wrong}`))).toEqual([]);
  expect(rounds.filter((r) => r.killed)).toHaveLength(5);
}, 120_000);
