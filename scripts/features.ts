/** Writes the list of differentiable operators into FEATURES.md. `test/features.test.ts` fails where it is not up to date. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rules } from '../src/grad/table.ts';

const file = fileURLToPath(new URL('../FEATURES.md', import.meta.url));

/** FEATURES.md with the list as the rule table has it. */
export function withOperators(text: string): string {
  const names = Object.keys(rules).sort();
  return text.replace(
    /<!-- operators -->[\s\S]*<!-- \/operators -->/,
    `<!-- operators -->\n${names.length}: ${names.join(', ')}.\n<!-- /operators -->`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, withOperators(readFileSync(file, 'utf8')));
