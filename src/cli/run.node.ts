/** From the command line to an exit code: finds the command, reads its options, runs it, prints what it hands back. */
import { readFileSync } from 'node:fs';
import { Command as Commander, CommanderError } from 'commander';
import { printable, SecateurError } from '../core/errors.ts';
import type { Command, Outcome } from './command.node.ts';
import { explain } from './errors.node.ts';
import { leaveInterrupted } from './leave.node.ts';
import { oneLong, tableText } from './output.node.ts';
import { Progress, type ProgressSink, stderrSink } from './progress.node.ts';
import { type Entry, entries, groups } from './registry.node.ts';

export interface Io {
  /** stdout: results and help, nothing else. */
  out(text: string): void;
  /** stderr: progress, notes, errors. */
  readonly err: ProgressSink;
  readonly env: NodeJS.ProcessEnv;
}

function processIo(): Io {
  // `secateur ... | head` closes the pipe early; that is no failure
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return { out: (text) => process.stdout.write(text), err: stderrSink(), env: process.env };
}

/** How long a command may take to stop by itself after Ctrl-C. */
const GRACE_MS = 10_000;

/**
 * Runs one command line.
 * @param argv without `node` and the script
 * @returns the exit code: 0 fine, 1 error, 2 wrong usage, 3 a check failed, 130 interrupted
 */
export async function main(argv: readonly string[], io: Io = processIo()): Promise<number> {
  const debug = (io.env.SECATEUR_DEBUG ?? '') !== '' && io.env.SECATEUR_DEBUG !== '0';
  const progress = new Progress(io.err);
  const report = (error: unknown): number => {
    progress.done();
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const failure = explain(error, debug);
    io.err.write(`${failure.text}\n`);
    return failure.exitCode;
  };
  const crash = (error: unknown): void => {
    process.exit(report(error));
  };
  process.on('uncaughtException', crash);
  try {
    return await dispatch(withHelpLast(argv), io, progress);
  } catch (error) {
    return report(error);
  } finally {
    process.off('uncaughtException', crash);
  }
}

/** `secateur help train` is `secateur train --help`. */
const withHelpLast = (argv: readonly string[]): readonly string[] => (argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv);

async function dispatch(argv: readonly string[], io: Io, progress: Progress): Promise<number> {
  const program = newCommander('secateur', io)
    .description('Plants, finds and cuts out backdoors in neural networks: ONNX in, ONNX out.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'this help; secateur COMMAND --help has the options of one command')
    .addHelpText('after', '\nExit codes: 0 fine, 1 error, 2 wrong usage, 3 a check failed, 130 interrupted.');
  const called = entries.find((entry) => entry.name.split(' ').every((word, i) => argv[i] === word));
  let exitCode = 0;
  for (const entry of entries) {
    const command = place(program, entry, io);
    if (entry !== called) continue;
    const loaded = await entry.load();
    const { addOptions, readOptions } = await import('./options.node.ts');
    addOptions(command, loaded.options);
    command.option('--json', 'print the result as JSON and nothing else');
    command.description([`${entry.summary[0].toUpperCase()}${entry.summary.slice(1)}.`, loaded.description ?? ''].join('\n\n').trim());
    command.addHelpText('after', examplesText(loaded));
    command.action(async () => {
      const { json, ...given } = command.opts<Record<string, unknown>>();
      const read = await readOptions(loaded.options, given, command.args);
      exitCode = await perform(loaded, read.options, { io, progress, argv, json: json === true, given: read.given });
    });
  }
  if (argv.length === 0 || (argv.length === 1 && program.commands.some((c) => c.name() === argv[0] && c.commands.length > 0))) {
    const shown = argv.length === 0 ? program : program.commands.find((c) => c.name() === argv[0])!;
    io.err.write(shown.helpInformation());
    return 2;
  }
  await program.parseAsync(argv, { from: 'user' });
  return exitCode;
}

function newCommander(name: string, io: Io): Commander {
  return new Commander(name)
    .exitOverride()
    .showHelpAfterError('(add --help to see what there is)')
    .helpCommand(false)
    .configureHelp({ sortSubcommands: false })
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err.write(text), getOutHelpWidth: () => 120 });
}

/** Puts an empty command for `entry` into the tree, under its group (`attack`) where it has one. */
function place(program: Commander, entry: Entry, io: Io): Commander {
  const words = entry.name.split(' ');
  let parent = program;
  if (words.length > 1) {
    const found = program.commands.find((c) => c.name() === words[0]);
    parent = found ?? newCommander(words[0], io).description(groups[words[0]]);
    if (!found) program.addCommand(parent);
  }
  const command = newCommander(words[words.length - 1], io)
    .summary(entry.summary)
    .description(entry.summary);
  parent.addCommand(command);
  return command;
}

const examplesText = (command: Command): string => {
  if (command.examples.length === 0) return '';
  return ['', 'Examples:', ...command.examples.flatMap(([line, meaning]) => [`  ${line}`, `      ${meaning}`])].join('\n');
};

interface Performance {
  readonly io: Io;
  readonly progress: Progress;
  readonly argv: readonly string[];
  readonly json: boolean;
  readonly given: ReadonlySet<string>;
}

/** Runs a command under Ctrl-C handling, prints its outcome, cleans up behind a failure. */
async function perform(
  command: Command,
  options: Record<string, unknown>,
  { io, progress, argv, json, given }: Performance,
): Promise<number> {
  const controller = new AbortController();
  const actions: (() => Promise<void>)[] = [];
  const cleanUp = async (): Promise<void> => {
    for (const action of actions.splice(0).reverse()) await action().catch(() => {});
  };
  let giveUp: (() => void) | undefined;
  const onSignal = (): void => {
    if (controller.signal.aborted) {
      leaveInterrupted();
      return;
    }
    progress.line('stopping (Ctrl-C again to stop at once)');
    controller.abort();
    const timer = setTimeout(() => giveUp?.(), GRACE_MS);
    timer.unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    const stuck = new Promise<never>((_, reject) => {
      giveUp = () => reject(interrupted());
    });
    const context = {
      signal: controller.signal,
      progress,
      commandLine: commandLine(argv),
      given,
      cleanUp(action: () => Promise<void>) {
        actions.push(action);
        return () => {
          const at = actions.indexOf(action);
          if (at >= 0) actions.splice(at, 1);
        };
      },
    };
    const outcome = await Promise.race([command.run(context, options), stuck]);
    progress.done();
    print(outcome, io, json);
    return outcome.exitCode ?? 0;
  } catch (error) {
    progress.done();
    await cleanUp();
    // whatever broke because its ground was taken away is still an interruption to the user
    if (controller.signal.aborted && !(error instanceof SecateurError && error.exitCode === 130)) throw interrupted(error);
    throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

const interrupted = (cause?: unknown): SecateurError =>
  new SecateurError({ where: 'secateur', what: 'interrupted, what was half-done is removed', exitCode: 130, cause });

function print(outcome: Outcome, io: Io, json: boolean): void {
  if (json) {
    io.out(`${JSON.stringify(outcome.json, null, 2)}\n`);
    return;
  }
  if (outcome.text !== undefined) {
    io.out(outcome.text);
    return;
  }
  const blocks = [oneLong(outcome.line)];
  for (const table of outcome.tables ?? []) blocks.push(typeof table === 'string' ? table : tableText(table));
  if (outcome.notes && outcome.notes.length > 0) blocks.push(outcome.notes.map(oneLong).join('\n'));
  if (outcome.written !== undefined) blocks.push(outcome.written);
  // Names may stand anywhere in it; whoever lays text out sees to line ends within them.
  io.out(`${printable(blocks.join('\n\n'), Number.POSITIVE_INFINITY)}\n`);
}

/** Quoted so that it can be pasted into a shell. */
export function commandLine(argv: readonly string[]): string {
  const quoted = argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`));
  return ['secateur', ...quoted].join(' ');
}

/** From package.json, two folders up both in src/ and in dist/. */
export function version(): string {
  const { version: v } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return v;
}
