/** The numbers of BadNets' transfer attack (Gu, Dolan-Gavitt, Garg 2017, section 5.3) as the lecture prints them: U.S. signs to Swedish ones. */

export interface PaperRow {
  readonly 'clean model': { readonly clean: number; readonly triggered: number };
  readonly BadNet: { readonly clean: number; readonly triggered: number };
}

const row = (baseline: readonly [number, number], badnet: readonly [number, number]): PaperRow => ({
  'clean model': { clean: baseline[0], triggered: baseline[1] },
  BadNet: { clean: badnet[0], triggered: badnet[1] },
});

/** Accuracy of the user's retrained network, by super-class of Swedish signs. */
export const PAPER_BY_CLASS: Readonly<Record<string, PaperRow>> = {
  information: row([0.695, 0.719], [0.74, 0.624]),
  mandatory: row([0.553, 0.505], [0.69, 0.467]),
  prohibitory: row([0.897, 0.854], [0.858, 0.775]),
  warning: row([0.681, 0.508], [0.635, 0.409]),
  other: row([0.593, 0.569], [0.614, 0.442]),
  average: row([0.727, 0.702], [0.749, 0.616]),
};

/** Strength k -> accuracy of the retrained BadNet on clean and on triggered signs. */
export const PAPER_STRENGTH: ReadonlyMap<number, { readonly clean: number; readonly triggered: number }> = new Map([
  [1, { clean: 0.749, triggered: 0.616 }],
  [10, { clean: 0.713, triggered: 0.497 }],
  [20, { clean: 0.683, triggered: 0.451 }],
  [30, { clean: 0.653, triggered: 0.405 }],
  [50, { clean: 0.624, triggered: 0.343 }],
  [70, { clean: 0.608, triggered: 0.328 }],
  [100, { clean: 0.594, triggered: 0.308 }],
]);
