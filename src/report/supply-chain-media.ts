/**
 * Words and outcomes of a supply-chain story: what was published and swapped, who fetched it how, and what each was left with. Rates stand in
 * `result.json` (tables `clean accuracy by practice` and `attack success by practice`: a row a practice, a column a day); this says the rest.
 */
import { z } from 'zod';

export const CLEAN_BY_PRACTICE = 'clean accuracy by practice';
export const SUCCESS_BY_PRACTICE = 'attack success by practice';
/** Rows: networks; columns: `clean accuracy`, `attack success`. */
export const PUBLISHED_NETWORKS = 'networks of the story';

/** What somebody runs after the download. */
export const Ending = z.enum(['honest', 'backdoored', 'nothing']);
export type Ending = z.infer<typeof Ending>;

export const SupplyEvent = z.object({
  /** `1`, `2`, `2 a`: the order of things, no date. */
  when: z.string(),
  who: z.string(),
  what: z.string(),
  kind: z.enum(['honest', 'harm', 'user']),
  /** What is served or pinned from then on. */
  digests: z.array(z.object({ name: z.string(), value: z.string() })).optional(),
});
export type SupplyEvent = z.infer<typeof SupplyEvent>;

/** What the server has on a day: nothing swapped, the file swapped, the hash edited too, ... */
export const SupplyDay = z.object({
  /** Column of the tables. */
  name: z.string(),
  /** A sentence. */
  says: z.string(),
  backdoored: z.boolean(),
});
export type SupplyDay = z.infer<typeof SupplyDay>;

export const PracticeOutcome = z.object({
  day: z.string(),
  ending: Ending,
  /** Exit code of what was run, as a shell would show it. */
  exitCode: z.number().int(),
  /** What stopped it: `E_INTEGRITY`, `hash differs`. */
  stoppedBy: z.string().optional(),
  /** A refused file that still lies where it would be used. */
  leftBehind: Ending.optional(),
  /** What was printed, word for word. */
  said: z.string(),
});
export type PracticeOutcome = z.infer<typeof PracticeOutcome>;

export const Practice = z.object({
  /** Row of the tables. */
  name: z.string(),
  /** What they do, in a sentence. */
  does: z.string(),
  command: z.string().optional(),
  /** Whether they have something from before: a lock file, a key. */
  has: z.string(),
  costs: z.string(),
  misses: z.string(),
  outcomes: z.array(PracticeOutcome),
});
export type Practice = z.infer<typeof Practice>;

/** One page of a model zoo, and what becomes of its hash. */
export const ReadmeEntry = z.object({
  name: z.string(),
  /** The front matter as it is served. */
  readme: z.string(),
  hash: z.enum(['right', 'missing', 'cut short', 'wrong']),
  /** How it came to be so. */
  says: z.string(),
  attempts: z.array(
    z.object({
      by: z.string(),
      taken: z.boolean(),
      exitCode: z.number().int(),
      /** The level of trust in the lock, where there is one. */
      integrity: z.string().optional(),
      stoppedBy: z.string().optional(),
      said: z.string(),
    }),
  ),
});
export type ReadmeEntry = z.infer<typeof ReadmeEntry>;

/** What is known of the real thing, with how sure that is. */
export const SupplyFact = z.object({
  says: z.string(),
  source: z.string(),
  sureness: z.enum([
    'read in the source',
    'read in a public thread',
    'read in public text',
    'searched for, not found',
    'inferred',
    'from memory, not checked',
  ]),
});
export type SupplyFact = z.infer<typeof SupplyFact>;

export const SupplyChain = z.object({
  timeline: z.array(SupplyEvent),
  days: z.array(SupplyDay),
  practices: z.array(Practice),
  readmes: z.array(ReadmeEntry),
  facts: z.array(SupplyFact),
});
export type SupplyChain = z.infer<typeof SupplyChain>;
