/**
 * `npx tsx scripts/kill-install.ts [--rounds 200] [--seed 1] [--cli FILE]`: SIGKILL at random moments of `zoo install`, `update` and
 * `add`. Exit code 1 if a model's folder or a lock was ever neither before nor after, or a second run did not complete.
 */
import { parseArgs } from 'node:util';
import { killRounds, type Round, SCENES } from '../test/zoo/kill.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '200' }, seed: { type: 'string', default: '1' }, cli: { type: 'string' } },
});
const print = (text: string): boolean => process.stdout.write(`${text}\n`);
const rounds = await killRounds({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  cli: values.cli,
  onRound: (round, killed) => {
    for (const wrong of round.wrong)
      print(`WRONG ${round.scene}, ${round.warm ? 'warm' : 'cold'} cache, killed at ${round.aimed}: ${wrong}`);
    if (killed % 20 === 0 && round.killed) print(`${killed} kills`);
  },
});

const killed = rounds.filter((r) => r.killed);
const count = (of: readonly Round[], what: (round: Round) => boolean): number => of.filter(what).length;
const has = (version: string) => (r: Round) => Object.values(r.found).includes(version as 'before');
for (const scene of SCENES) {
  const these = killed.filter((r) => r.scene === scene);
  const mixed = count(these, (r) => has('before')(r) && has('after')(r));
  print(
    `${scene}: ${these.length} kills; some models before and some after: ${mixed}; finished by the journal: ${count(these, (r) => r.recovered > 0)}`,
  );
}
const between = count(killed, (r) => r.scene !== 'clone' && ['a', 'b', 'c'].some((name) => r.found[name] === 'missing'));
const wrong = count(rounds, (r) => r.wrong.length > 0);
print(
  `${killed.length} kills (${rounds.length - killed.length} came too late), ${between} between the two renames of a switch, ${wrong} wrong`,
);
process.exitCode = wrong > 0 ? 1 : 0;
