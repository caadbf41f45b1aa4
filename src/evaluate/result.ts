/** The shape of every `result.json`: tables of cells, each a rate or a figure with its n and interval, the paper's value beside. */
import { z } from 'zod';

export const Cell = z.object({
  row: z.string(),
  column: z.string(),
  value: z.number(),
  /** Inputs behind the value (all seeds together). */
  n: z.number().int().optional(),
  /** 95 % interval: Wilson for one run, Student's t over seeds where there are several. */
  low: z.number().optional(),
  high: z.number().optional(),
  seeds: z.number().int().optional(),
  /** The paper's number; only numbers that facts/papers.md has. */
  paper: z.number().optional(),
});
export type Cell = z.infer<typeof Cell>;

export const Table = z.object({
  name: z.string(),
  /** `rate` is 0..1. */
  unit: z.enum(['rate', 'count', 'seconds', 'activation', 'bytes']),
  cells: z.array(Cell),
  /** One sentence for each number that differs from what the papers lead one to expect, and what the columns mean. */
  notes: z.array(z.string()).optional(),
});
export type Table = z.infer<typeof Table>;

export const Provenance = z.object({
  command: z.string(),
  seeds: z.array(z.number().int()),
  versions: z.record(z.string(), z.string()),
  machine: z.string(),
  /** name -> sha-256 of input data and models. */
  inputs: z.record(z.string(), z.string()),
  /** The same of what was made: `model` is model.onnx. */
  outputs: z.record(z.string(), z.string()).optional(),
  started: z.string(),
  /** Per step: wall seconds and resident memory in bytes at its end. */
  steps: z.array(z.object({ name: z.string(), seconds: z.number(), rssBytes: z.number() })),
});
export type Provenance = z.infer<typeof Provenance>;

/** Something that the user demanded of the numbers, such as `--max-attack 0.05`, and whether it held. */
export const Check = z.object({
  /** What was demanded, with its limit: `attack success at most 5.00 %`. */
  name: z.string(),
  held: z.boolean(),
  /** What was found. */
  says: z.string(),
});
export type Check = z.infer<typeof Check>;

export const Result = z.object({
  recipe: z.string(),
  tables: z.array(Table),
  /** Absent where nothing was demanded: then the numbers are no verdict. */
  checks: z.array(Check).optional(),
  provenance: Provenance,
});
export type Result = z.infer<typeof Result>;
