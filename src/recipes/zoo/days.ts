/** The days of the story: what the publisher's server has on each. Day 1 is honest; the others are each what could come next, not one after the other. */
import type { SupplyDay } from '../../report/supply-chain-media.ts';

export const DAY_IDS = ['published', 'file', 'hash', 'signed', 'first'] as const;
export type DayId = (typeof DAY_IDS)[number];

interface Day extends SupplyDay {
  /** Which network is at the address. */
  readonly serves: 'honest' | 'badnet';
  /** Whose SHA-1 the page gives. */
  readonly page: 'honest' | 'badnet';
  /** What the signature on the server is over. */
  readonly signature: 'honest' | 'badnet';
  /** The day on which those with a lock made it: from then on they only install. */
  readonly lockedOn: 'published' | 'first';
}

export const DAYS: Readonly<Record<DayId, Day>> = {
  published: {
    name: 'as published',
    says: 'The honest network, the right SHA-1 on the page, a signature by the publisher.',
    backdoored: false,
    ...{ serves: 'honest', page: 'honest', signature: 'honest', lockedOn: 'published' },
  },
  file: {
    name: 'a: file swapped',
    says: 'The BadNet behind the same address. The page and the signature are left as they were.',
    backdoored: true,
    ...{ serves: 'badnet', page: 'honest', signature: 'honest', lockedOn: 'published' },
  },
  hash: {
    name: 'b: file and page',
    says: "The BadNet, and the page has the BadNet's SHA-1. The signature is left: the key is not on the server.",
    backdoored: true,
    ...{ serves: 'badnet', page: 'badnet', signature: 'honest', lockedOn: 'published' },
  },
  signed: {
    name: 'c: and signed',
    says: "The BadNet, its SHA-1, and a signature over it with the publisher's own key: he means harm himself, or his key was stolen.",
    backdoored: true,
    ...{ serves: 'badnet', page: 'badnet', signature: 'badnet', lockedOn: 'published' },
  },
  first: {
    name: 'd: from day 1',
    says: 'The same files, but nothing was ever swapped: the network was backdoored when it was published, and locks were made of it.',
    backdoored: true,
    ...{ serves: 'badnet', page: 'badnet', signature: 'badnet', lockedOn: 'first' },
  },
};
