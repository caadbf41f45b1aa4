/** Every command's name and one line on it; the rest is loaded only when the command is called, so that --help is quick. */
import type { Command } from './command.node.ts';

export interface Entry {
  /** As typed. */
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}

/** In the order of --help, which is the order of the pipeline. */
export const entries: readonly Entry[] = [
  { name: 'train', summary: 'train an honest network', load: async () => (await import('./train.node.ts')).train },
  {
    name: 'doctor',
    summary: 'what this machine can run, and what to type where it cannot',
    load: async () => (await import('./doctor.node.ts')).doctor,
  },
  { name: 'schema', summary: 'JSON Schema of the config files', load: async () => (await import('./schema.node.ts')).schema },
];
