/** The tables of `reproduce zoo`: the published networks, and what each user runs in the end. */
import { rateCell } from '../../evaluate/cells.ts';
import type { Judgement } from '../../evaluate/judge.ts';
import type { Cell, Table } from '../../evaluate/result.ts';
import { CLEAN_BY_PRACTICE, PUBLISHED_NETWORKS, SUCCESS_BY_PRACTICE } from '../../report/supply-chain-media.ts';
import { present } from '../tables.ts';
import { DAYS } from './days.ts';
import type { ZooStory } from './story.ts';

export function zooTables(story: ZooStory): Table[] {
  return [
    {
      name: PUBLISHED_NETWORKS,
      unit: 'rate',
      cells: present(
        story.published.flatMap(({ name, judgement }) => [
          rateCell(name, 'clean accuracy', [judgement.clean.accuracy]),
          ...(judgement.attack ? [rateCell(name, 'attack success', [judgement.attack.success])] : []),
        ]),
      ),
      notes: [
        'Attack success of an honest network is how often it happens to say n + 1 of a digit n with the trigger on it.',
        'Networks of one seed are judged on the same test images, so their intervals move together.',
      ],
    },
    {
      name: CLEAN_BY_PRACTICE,
      unit: 'rate',
      cells: byPractice(story, (j) => j.clean.accuracy),
      notes: ['Of the network in the file on the disk of that user. No number: he has no network.'],
    },
    {
      name: SUCCESS_BY_PRACTICE,
      unit: 'rate',
      cells: byPractice(story, (j) => j.attack?.success),
      notes: ['The trigger is the one that the BadNet was taught.'],
    },
  ];
}

function byPractice(story: ZooStory, rate: (judgement: Judgement) => Judgement['clean']['accuracy'] | undefined): Cell[] {
  return present(
    story.ends.map(({ user, day, judgement }) => {
      const found = judgement && rate(judgement);
      return found && rateCell(user, DAYS[day].name, [found]);
    }),
  );
}
