/** What a command file provides, and what it is given to work with. */
import type { z } from 'zod';
import type { Table } from '../evaluate/result.ts';
import type { Progress } from './progress.node.ts';

/** What a command hands back to be printed. */
export interface Outcome {
  /** The one result line that stands first, such as `clean 98.9 %  triggered 97.2 % (ASR)  seed 1`. */
  readonly line: string;
  /** Tables of numbers, or text that is laid out already. */
  readonly tables?: readonly (Table | string)[];
  /** Lines below the tables. */
  readonly notes?: readonly string[];
  /** A document, printed as it is instead of all else, so that stdout can be a file. */
  readonly text?: string;
  /** Printed instead of all else with `--json`. */
  readonly json: unknown;
  /** Path of what was written; stands last. */
  readonly written?: string;
  /** 3: the command worked, but what it checked did not hold. */
  readonly exitCode?: 0 | 1 | 3;
}

export interface Context {
  /** Fires at Ctrl-C. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** The command line that would do the same again, for run.json. */
  readonly commandLine: string;
  /** Options that flags or the config file gave; the others are defaults. */
  readonly given: ReadonlySet<string>;
  /** Registers what is to be removed or closed if the command fails or is stopped; the returned function takes it off again. */
  cleanUp(action: () => Promise<void>): () => void;
}

export interface Command<S extends z.ZodObject = z.ZodObject> {
  /** As typed, `attack badnet` for a nested one; registry.node.ts has it too, with one line on what it does. */
  readonly name: string;
  /** A paragraph for the command's own help. */
  readonly description?: string;
  /** Complete command lines with a word on each. */
  readonly examples: readonly (readonly [line: string, meaning: string])[];
  /** Flags, config keys and JSON Schema in one; see options.node.ts for what `meta` may say. */
  readonly options: S;
  run(context: Context, options: z.output<S>): Promise<Outcome>;
}

/** Ties the type of `run`'s options to the schema. */
export const defineCommand = <S extends z.ZodObject>(command: Command<S>): Command => command as unknown as Command;
