/** What was done to a training set, as JSON in the run folder: enough to do it again and to judge it. */
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { LabelMapSpec } from './label-maps.ts';
import { TriggerSpec } from './triggers/registry.ts';

const Count = z.number().int().min(0);

export const PoisonMode = z.enum(['add', 'replace']);
export type PoisonMode = z.infer<typeof PoisonMode>;

export const PoisonRecord = z.strictObject({
  trigger: TriggerSpec,
  labelMap: LabelMapSpec,
  mode: PoisonMode,
  seed: z.number(),
  /** Poisoned share of the final training set, 0..1: as asked, and as whole images allow. */
  fraction: z.strictObject({ asked: z.number(), reached: z.number() }),
  /** Of the final training set: `clean + poisoned = total`. `eligible`: clean images that the label map lets be poisoned. */
  counts: z.strictObject({ clean: Count, poisoned: Count, total: Count, eligible: Count }),
  /** The clean training set it was made from. */
  data: z.strictObject({ source: z.string(), sha256: z.string(), count: Count }),
});
export type PoisonRecord = z.infer<typeof PoisonRecord>;

/** A record read back from JSON; `where` names the file. Fails where it is none. */
export function parseRecord(json: unknown, where: string): PoisonRecord {
  const parsed = PoisonRecord.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const got = `${issue.path.join('.') || 'all of it'}: ${issue.message}`;
  return fail({ where, what: 'not a poison record', expected: 'what "poison" wrote', got, cause: parsed.error });
}
