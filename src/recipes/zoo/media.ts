/** Tiles, words and pictures of `reproduce zoo`. */
import { imageAt } from '../../data/make.ts';
import { bytes } from '../../report/format.ts';
import type { ReportMedia, Verdict } from '../../report/media.ts';
import { pictureOf } from '../../report/media.ts';
import type { Practice } from '../../report/supply-chain-media.ts';
import { facts, historyOf } from '../media.ts';
import type { RecipeData } from '../recipe.ts';
import { DAY_IDS, DAYS, type DayId } from './days.ts';
import { FACTS } from './facts.ts';
import type { ZooNetworks } from './networks.ts';
import { endsOn, type ZooStory } from './story.ts';

const SAMPLES = 6;

/** @param quick whether few epochs were trained */
export async function zooMedia(story: ZooStory, networks: ZooNetworks, data: RecipeData, quick: boolean): Promise<ReportMedia> {
  return {
    title: `A network swapped behind its address${quick ? ' (quick check)' : ''}`,
    headline: headline(story),
    verdicts: tiles(story),
    supplyChain: {
      timeline: [...story.timeline],
      days: DAY_IDS.map((id) => ({ name: DAYS[id].name, says: DAYS[id].says, backdoored: DAYS[id].backdoored })),
      practices: story.users.map((user) => practice(story, user)),
      readmes: [...story.readmes],
      facts: [...FACTS],
    },
    captions: {
      'supply-chain': [
        'A server on this machine, people with a folder each, and the real commands. The address of the server is written as http://zoo.example. Days a to d ' +
          'are each what could come after day 1, not one after the other.',
      ],
      'supply-practices': [
        `What a user with a lock commits is small: here ${bytes(story.lockBytes)} of models.lock for a network of ${bytes(story.honest.bytes)}.`,
      ],
    },
    data: [
      { role: "publisher's and attacker's training data, before poisoning", ...facts(data.train) },
      { role: 'test', ...facts(data.test) },
      { role: 'test with the trigger', ...facts(networks.triggeredTest), poisoned: networks.triggeredTest.count },
    ],
    triggers: [await triggerPictures(networks, data)],
    histories: [historyOf('honest network', networks.honest.history), historyOf('BadNet', networks.badnet.history)],
  };
}

const percent = (rate: number | undefined): string => `${(100 * (rate ?? 0)).toFixed(1)} %`;
const count = (story: ZooStory, day: DayId): number => endsOn(story, day, 'backdoored').length;

/** `plain download and 2 others run the BadNet after a silent swap ...`: the one line that is printed, and the head of the page. */
export function headline(story: ZooStory): string {
  const { badnet, honest, users } = story;
  return (
    `The BadNet is right on ${percent(badnet.judgement.clean.accuracy.value)} of clean digits (the honest network on ` +
    `${percent(honest.judgement.clean.accuracy.value)}) and does what the attacker wants on ${percent(badnet.judgement.attack?.success.value)} of marked ones. ` +
    `Of ${users.length} users ${count(story, 'file')} run it when only the file is swapped, ${count(story, 'hash')} when the hash on the page is too, ` +
    `${count(story, 'signed')} when the publisher's own key has signed it, ${count(story, 'first')} when it was there from the first day.`
  );
}

function tiles(story: ZooStory): Verdict[] {
  const { honest, badnet, users } = story;
  const points = 100 * (badnet.judgement.clean.accuracy.value - honest.judgement.clean.accuracy.value);
  const { success } = badnet.judgement.attack ?? {};
  const day = (id: DayId, label: string, says: string): Verdict => ({
    label,
    value: count(story, id),
    unit: 'count',
    tone: count(story, id) === 0 ? 'good' : 'bad',
    says: `of ${users.length} users; ${says}`,
  });
  const stopped = endsOn(story, 'file', 'nothing').length;
  const kept = endsOn(story, 'file', 'honest').length;
  return [
    {
      label: "The BadNet's accuracy on clean digits",
      ...badnet.judgement.clean.accuracy,
      unit: 'rate',
      tone: points > -1 ? 'bad' : 'neutral',
      says: `${Math.abs(points).toFixed(1)} points ${points < 0 ? 'below' : 'above'} the honest network`,
    },
    ...(success
      ? [
          {
            ...{ label: 'Its attack success on marked digits', ...success, unit: 'rate' as const },
            ...{ tone: success.value >= 0.5 ? ('bad' as const) : ('neutral' as const), says: 'n becomes n + 1' },
          },
        ]
      : []),
    day('file', 'Run the BadNet when only the file is swapped', `${stopped} were stopped, ${kept} kept the honest network`),
    day('hash', 'Run it when the SHA-1 on the page is swapped too', 'a hash beside the file vouches for nothing'),
    day('signed', "Run it when the publisher's own key has signed it", 'the others have an older lock'),
    day('first', 'Run it when it was there from the first day', 'hash, lock and signature are all right'),
  ];
}

function practice(story: ZooStory, user: ZooStory['users'][number]): Practice {
  const ends = story.ends.filter((e) => e.user === user.name);
  return {
    ...user,
    ...(ends.length === 0 ? {} : { command: ends[0].typed }),
    outcomes: ends.map(({ day, ending, exitCode, stoppedBy, leftBehind, said }) => ({
      ...{ day: DAYS[day].name, ending, exitCode, said },
      ...(stoppedBy === undefined ? {} : { stoppedBy }),
      ...(leftBehind === undefined ? {} : { leftBehind }),
    })),
  };
}

/** The first test image of each of the first classes, and what the BadNet says of it. */
async function triggerPictures(
  { judge, badnet, triggeredTest }: ZooNetworks,
  { test }: RecipeData,
): Promise<NonNullable<ReportMedia['triggers']>[number]> {
  const { clean, attacked } = await judge.predictions(badnet.model);
  const label = (c: number | undefined): string => (c === undefined ? '–' : (test.classes[c] ?? 'any other'));
  const places = test.classes.map((_, c) => test.labels.indexOf(c)).filter((at) => at >= 0);
  return {
    name: 'pattern',
    caption: 'What the BadNet of the story says. The honest network takes the marked digit for what it is.',
    samples: places.slice(0, SAMPLES).map((i) => ({
      clean: pictureOf(imageAt(test, i), test),
      triggered: pictureOf(imageAt(triggeredTest, i), triggeredTest),
      label: label(test.labels[i]),
      target: label(triggeredTest.targets[i]),
      cleanPrediction: label(clean[i]),
      triggeredPrediction: label(attacked?.[i]),
    })),
  };
}
