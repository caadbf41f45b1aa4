/** The front matter of a downloaded readme as a bill of materials repeats it. */
import { statedFacts } from '../../src/zoo/bom/stated.ts';
import type { FuzzTarget } from './target.ts';

const card = (yaml: string): Uint8Array => new TextEncoder().encode(`---\n${yaml}\n---\n# A model\n`);

export const target: FuzzTarget = {
  name: 'model-card',
  seeds: () => [
    card('license: apache-2.0\npipeline_tag: image-classification\ndatasets:\n- mnist\n- "a/b"\nbase_model: [x/y, z]'),
    card('name: A net\ncaffemodel: a.caffemodel\nlicense: unrestricted\nsha1: 4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46'),
    card('a: &x [1, 2]\nb: *x\nlicense: {name: |\n  text\n}\n? [k]\n: !!str v'),
  ],
  run: (bytes) => {
    const found = statedFacts('README.md', new TextDecoder().decode(bytes));
    if ('why' in found) return found.why.replace(/\d+/g, 'N');
    for (const text of [...found.licences, ...found.datasets, ...found.baseModels])
      if (typeof text !== 'string') throw new Error('no text');
    return 'read';
  },
  words: [
    'license',
    'datasets',
    '---',
    '&x',
    '*x',
    '<<: ',
    '!!map ',
    '- ',
    '? ',
    ': ',
    '|',
    '>',
    '[[',
    '{{',
    '#',
    '"',
    '\t',
    '%YAML 1.1',
    '...',
  ],
};
