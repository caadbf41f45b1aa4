/** Writes the operator table into FEATURES.md, from docs/operators.json and the rule table. `test/features.test.ts` keeps it true. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type OperatorResults, operatorTable } from './vectors/table.ts';

const file = fileURLToPath(new URL('../FEATURES.md', import.meta.url));

export const readResults = (): OperatorResults =>
  JSON.parse(readFileSync(new URL('../docs/operators.json', import.meta.url), 'utf8')) as OperatorResults;

/** FEATURES.md with the table as the results and the rules have it. */
export function withOperators(text: string, results: OperatorResults): string {
  return text.replace(
    /<!-- operators -->[\s\S]*<!-- \/operators -->/,
    () => `<!-- operators -->\n${operatorTable(results)}\n<!-- /operators -->`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, withOperators(readFileSync(file, 'utf8'), readResults()));
