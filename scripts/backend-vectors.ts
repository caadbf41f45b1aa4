/**
 * Runs ONNX's own backend tests through our reader and writer and ONNX Runtime, checks gradients by central differences, and writes
 * docs/operators.json, from which `scripts/features.ts` makes the table of FEATURES.md.
 *   npx tsx scripts/backend-vectors.ts [--only REGEX] [--data FOLDER]
 * With --only it prints each test and writes nothing.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ortVersion } from '../src/runtime/ort.node.ts';
import { DATA, readLight, readSet, SETS } from './vectors/archive.ts';
import { runForward } from './vectors/forward.ts';
import { checkGradient } from './vectors/gradient.ts';
import { type Outcome, summarize } from './vectors/table.ts';

const { values } = parseArgs({ options: { only: { type: 'string' }, data: { type: 'string', default: DATA } } });
const only = values.only === undefined ? undefined : new RegExp(values.only);
const outcomes: Outcome[] = [];
for (const set of [...SETS, 'light'] as const) {
  for (const vector of set === 'light' ? readLight(values.data) : readSet(set, values.data)) {
    if (only !== undefined && !only.test(vector.name)) continue;
    const { run, ...forward } = await runForward(vector);
    // The weights of `light` are constants that make every class equally likely: there is nothing to differentiate.
    const gradient = run === undefined || set === 'light' ? undefined : await checkGradient({ ...forward, run });
    outcomes.push({ vector: { set, name: vector.name }, forward, gradient });
    const said = [forward.class, forward.why, gradient && `gradient ${gradient.class}`, gradient?.why].filter((text) => text);
    const bad = forward.class === 'differs' || gradient?.class === 'wrong';
    if (bad || only !== undefined) console.log(`${set}/${vector.name}: ${said.join('; ')}`);
  }
}
const results = summarize(outcomes, ortVersion('native'));
console.log(JSON.stringify({ sets: results.sets, gradients: results.gradients }, null, 1));
if (only === undefined) {
  const lines = JSON.stringify(results, null, 1)
    // arrays and counts on one line each
    .replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, inner: string) => `[${inner.replace(/\n\s*/g, ' ')}]`)
    .replace(/\{\s+([^[\]{}]*?)\s+\}/g, (_, inner: string) => `{${inner.replace(/\n\s*/g, ' ')}}`);
  writeFileSync(fileURLToPath(new URL('../docs/operators.json', import.meta.url)), `${lines}\n`);
}
