/** What came out of the backend tests, operator by operator: docs/operators.json, and the table of FEATURES.md. */
import { ruleFor, stops } from '../../src/grad/table.ts';
import { acceptedDomains, acceptedOperators } from '../../src/onnx/operators.ts';
import type { Vector } from './archive.ts';
import type { Class, Forward } from './forward.ts';
import type { GradientClass, GradientResult } from './gradient.ts';

export interface OperatorRow {
  /** Versions of the operator set in tests that passed. */
  readonly opsets: readonly number[];
  readonly forward: Partial<Record<Class, number>>;
  readonly gradient: Partial<Record<GradientClass, number>>;
}

/** docs/operators.json */
export interface OperatorResults {
  readonly onnxruntime: string;
  /** Tests by archive and by class: every test is in exactly one. */
  readonly sets: Record<string, Partial<Record<Class, number>>>;
  /** Of the tests that passed. */
  readonly gradients: Partial<Record<GradientClass, number>>;
  /** By `Add` or `com.microsoft.Gelu`: the tests made for that operator. */
  readonly operators: Record<string, OperatorRow>;
  /** Why each of the others did not pass: test, class, reason. */
  readonly notPassed: readonly (readonly [test: string, what: Class, why: string])[];
  /** Likewise for gradients, without those that have none to give. */
  readonly gradientNotPassed: readonly (readonly [test: string, what: GradientClass, why: string])[];
}

export interface Outcome {
  readonly vector: Pick<Vector, 'set' | 'name'>;
  readonly forward: Omit<Forward, 'run'>;
  /** Set where the forward pass passed and a gradient was tried. */
  readonly gradient?: GradientResult;
}

export function summarize(outcomes: readonly Outcome[], onnxruntime: string): OperatorResults {
  const sets: Record<string, Partial<Record<Class, number>>> = {};
  const gradients: Partial<Record<GradientClass, number>> = {};
  const rows = new Map<string, { opsets: Set<number>; forward: Partial<Record<Class, number>>; gradient: OperatorRow['gradient'] }>();
  const subjects = subjectsOf(outcomes);
  for (const { vector, forward, gradient } of outcomes) {
    sets[vector.set] ??= {};
    count(sets[vector.set], forward.class);
    if (gradient !== undefined) count(gradients, gradient.class);
    const subject = subjects.get(vector.name);
    if (subject === undefined) continue;
    const row = rows.get(subject) ?? { opsets: new Set<number>(), forward: {}, gradient: {} };
    rows.set(subject, row);
    count(row.forward, forward.class);
    if (gradient !== undefined) count(row.gradient, gradient.class);
    const version = forward.operators.get(subject);
    if (forward.class === 'passed' && version !== undefined) row.opsets.add(version);
  }
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    onnxruntime,
    sets,
    gradients,
    operators: Object.fromEntries(sorted.map(([name, row]) => [name, { ...row, opsets: [...row.opsets].sort((a, b) => a - b) }])),
    notPassed: outcomes.flatMap(({ vector, forward }) =>
      forward.class === 'passed' ? [] : [[`${vector.set}/${vector.name}`, forward.class, forward.why ?? ''] as const],
    ),
    gradientNotPassed: outcomes.flatMap(({ vector, gradient: g }) =>
      g === undefined || g.class === 'passed' || g.class === 'nothing'
        ? []
        : [[`${vector.set}/${vector.name}`, g.class, g.why ?? ''] as const],
    ),
  };
}

const count = <K extends string>(counts: Partial<Record<K, number>>, key: K): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};

/** Test -> the operator that it was made for: its only one, or the one that it is named after (`..._expanded` as the test it expands). */
function subjectsOf(outcomes: readonly Outcome[]): Map<string, string> {
  const subjects = new Map<string, string>();
  for (const { vector, forward } of outcomes) {
    const names = [...forward.operators.keys()];
    const own = names.length === 1 ? names : names.filter((name) => name !== 'Constant');
    const squeezed = vector.name.replace(/^test_/, '').replaceAll('_', '');
    const named = own.filter((name) => squeezed.startsWith(name.toLowerCase())).sort((a, b) => b.length - a.length)[0];
    const subject = own.length === 1 ? own[0] : vector.name.includes('_expanded') ? undefined : named;
    if (subject !== undefined) subjects.set(vector.name, subject);
  }
  for (const { vector } of outcomes) {
    const whole = subjects.get(vector.name.replace(/_expanded.*$/, ''));
    if (vector.name.includes('_expanded') && whole !== undefined) subjects.set(vector.name, whole);
  }
  return subjects;
}

/** `yes`, `stop` (its gradient is zero wherever there is one, or no floating-point number comes out), `no`. */
export function gradientOf(operator: string, row: OperatorRow | undefined): 'yes' | 'stop' | 'no' {
  const dot = operator.lastIndexOf('.');
  const [domain, opType] = dot < 0 ? ['', operator] : [operator.slice(0, dot), operator.slice(dot + 1)];
  if (ruleFor(opType, domain) !== undefined) return 'yes';
  if (stops({ opType, domain })) return 'stop';
  const tried = Object.keys(row?.gradient ?? {});
  return tried.length > 0 && tried.every((kind) => kind === 'nothing') ? 'stop' : 'no';
}

/** Operators that have a rule, by the name that they go by in the results. */
export function differentiableOperators(): string[] {
  return acceptedDomains.flatMap((domain) =>
    acceptedOperators(domain)
      .filter((opType) => ruleFor(opType, domain) !== undefined)
      .map((opType) => (domain === '' ? opType : `${domain}.${opType}`)),
  );
}

/** The Markdown between the marks of FEATURES.md. */
export function operatorTable(results: OperatorResults): string {
  const names = [...new Set([...Object.keys(results.operators), ...differentiableOperators()])].sort();
  const rows = names.map((name) => {
    const row = results.operators[name];
    const gradient = gradientOf(name, row);
    const f = row?.forward ?? {};
    const ran = (f.passed ?? 0) + (f['runtime differs'] ?? 0) + (f.differs ?? 0);
    const others = (['refused', 'no kernel', 'not carried', 'random'] as const).flatMap((kind) => (f[kind] ? [`${f[kind]} ${kind}`] : []));
    const g = row?.gradient ?? {};
    const judged = (g.passed ?? 0) + (g.wrong ?? 0);
    const withoutRule = gradient === 'yes' && g['no rule'] ? [`${g['no rule']} without a rule`] : [];
    const cells = [
      name,
      row?.opsets.join(', ') ?? '',
      ran === 0 ? '' : `${f.passed ?? 0}/${ran}`,
      others.join(', '),
      gradient,
      // An operator without a rule has one where a file holds it written out in others.
      [judged === 0 ? '' : `${gradient === 'no' ? 'written out ' : ''}${g.passed ?? 0}/${judged}`, ...withoutRule]
        .filter((text) => text !== '')
        .join(', '),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const total = (kind: Class): number => Object.values(results.sets).reduce((sum, set) => sum + (set[kind] ?? 0), 0);
  const tests = Object.values(results.sets).reduce((sum, set) => sum + Object.values(set).reduce((a, n) => a + n, 0), 0);
  const { gradients: g } = results;
  const kinds = names.map((name) => gradientOf(name, results.operators[name]));
  const of = (kind: string): number => kinds.filter((k) => k === kind).length;
  return [
    `${tests} backend tests of ONNX: ${total('passed')} pass through our reader, our writer and ONNX Runtime ${results.onnxruntime};`,
    `${total('refused')} are refused by the reader (operators outside the accepted ones), for ${total('no kernel')} ONNX Runtime has no kernel,`,
    `${total('not carried')} take or give sequences or optionals, which this program does not carry,`,
    `${total('random')} give random numbers, ${total('runtime differs')} give what ONNX Runtime gives from the file itself and not what the test`,
    `expects, ${total('differs')} differ through us. Gradients: ${g.passed ?? 0} tests agree with central differences, ${g.wrong ?? 0} do not,`,
    `${g['no rule'] ?? 0} need a rule that is not there, ${(g.nothing ?? 0) + (g.skipped ?? 0) + (g.kinks ?? 0)} have none to judge. Reasons test by test: \`docs/operators.json\`.`,
    `${of('yes')} operators have a gradient, ${of('stop')} stop it (nothing comes through by a slope), ${of('no')} have none.`,
    '',
    '| operator | opsets met | forward: passed/run | not run | gradient | tests: agree/judged |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}
