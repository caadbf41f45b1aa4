/** What the run found, in plain values: what the tables and the page are made of. */
import type { Judgement } from '../../evaluate/judge.ts';
import type { Ending, Practice, ReadmeEntry, SupplyEvent } from '../../report/supply-chain-media.ts';
import type { DayId } from './days.ts';

/** A network that is published some time, and what it does. */
export interface Published {
  /** Row of the tables. */
  readonly name: string;
  /** SHA-256 of its file, hex. */
  readonly digest: string;
  readonly bytes: number;
  readonly judgement: Judgement;
}

/** One user on one day. */
export interface UserEnd {
  readonly user: string;
  readonly day: DayId;
  readonly ending: Ending;
  readonly exitCode: number;
  readonly stoppedBy?: string;
  readonly leftBehind?: Ending;
  readonly typed: string;
  readonly said: string;
  /** Of the network that the user runs from now on, judged from the file on his disk; undefined where he has none. */
  readonly judgement?: Judgement;
}

export interface ZooStory {
  readonly published: readonly Published[];
  readonly honest: Published;
  readonly badnet: Published;
  readonly ends: readonly UserEnd[];
  readonly users: readonly Omit<Practice, 'outcomes' | 'command'>[];
  readonly readmes: readonly ReadmeEntry[];
  readonly timeline: readonly SupplyEvent[];
  /** Bytes of what the user with a lock commits. */
  readonly lockBytes: number;
}

/** Users by how the day ended for them. */
export function endsOn(story: Pick<ZooStory, 'ends'>, day: DayId, ending: Ending): UserEnd[] {
  return story.ends.filter((e) => e.day === day && e.ending === ending);
}
