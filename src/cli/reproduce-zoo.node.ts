/** `secateur reproduce zoo`: the lecture's supply chain as a run. */
import { z } from 'zod';
import type { RunCommand } from '../recipes/zoo/users.node.ts';
import { runZoo, ZooOptions } from '../recipes/zoo.node.ts';
import { defineCommand } from './command.node.ts';
import { performRecipe } from './recipe.node.ts';
import { main } from './run.node.ts';
import { outFields, runtimeFields } from './shared.node.ts';

/**
 * A command line in this process, with what it prints kept. Caches are told apart by the environment, as a user's machines are; the server of the
 * story is on this machine, where no proxy reaches it.
 */
const command: RunCommand = (argv, cache) => {
  const direct = [process.env.no_proxy ?? process.env.NO_PROXY, '127.0.0.1'].filter((hosts) => hosts !== undefined && hosts !== '');
  return withEnvironment({ SECATEUR_CACHE: cache, no_proxy: direct.join(',') }, async () => {
    const printed = { out: '', err: '' };
    const code = await main(argv, {
      out: (text) => {
        printed.out += text;
      },
      err: {
        ...{ isTTY: false, color: false, columns: 120 },
        write: (text) => {
          printed.err += text;
        },
      },
      env: process.env,
    });
    return { code, ...printed };
  });
};

async function withEnvironment<T>(values: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T> {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  try {
    return await work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

export const reproduceZoo = defineCommand({
  name: 'reproduce zoo',
  description:
    "Trains an honest network and a BadNet, publishes the honest one on a server of this machine with a page in the form of the Caffe Model Zoo, and swaps it: the file alone, the hash on the page too, with the publisher's own signature, from the first day. Nine users, from a plain download to a wanted signature: what each ends up running, what each is told. Five pages besides, with hashes right, missing, cut short and wrong. No network but 127.0.0.1. A stopped run is taken up by the same command.",
  examples: [
    ['secateur reproduce zoo', 'writes runs/reproduce-zoo-1/report.html'],
    ['secateur reproduce zoo --quick', 'few images and epochs'],
  ],
  options: z.object({
    data: z
      .string()
      .default('builtin:digits')
      .meta({ description: 'images to train on, with a test part; the trigger needs 28x28 grey ones', placeholder: 'URI' }),
    ...ZooOptions.shape,
    ...outFields,
    ...runtimeFields,
  }),
  run: (context, { data, seed, quick, out, force, backend, threads }) =>
    performRecipe(context, {
      ...{ command: 'reproduce zoo', data, seed, out, force, backend, threads },
      options: { seed, quick },
      run: (deps) => runZoo({ seed, quick }, deps, command),
    }),
});
