/** The ONNX backend tests as they lie in `shared/data`: archives of folders, a folder a test. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'fflate';

/** Where the archives are looked for when nobody says. */
export const DATA = fileURLToPath(new URL('../../../shared/data/onnx-backend-tests', import.meta.url));

export const SETS = ['node', 'simple', 'pytorch-operator', 'pytorch-converted'] as const;
export type SetName = (typeof SETS)[number] | 'light';

export interface Vector {
  readonly set: SetName;
  /** `test_add_bcast` */
  readonly name: string;
  readonly model: Uint8Array;
  /** `input_0.pb` onwards; undefined: the ramp that `light` is fed with. */
  readonly inputs: readonly Uint8Array[] | undefined;
  readonly outputs: readonly Uint8Array[];
}

/** All tests of an archive in the order of their names. */
export function readSet(set: (typeof SETS)[number], data = DATA): Vector[] {
  const tests = new Map<string, Map<string, Uint8Array>>();
  for (const [path, bytes] of entries(gunzipSync(readFileSync(`${data}/${set}.tar.gz`)))) {
    const [, test, ...rest] = path.split('/');
    if (rest.length === 0) continue;
    const files = tests.get(test) ?? new Map<string, Uint8Array>();
    tests.set(test, files.set(rest.join('/'), bytes));
  }
  const numbered = (files: ReadonlyMap<string, Uint8Array>, kind: string): Uint8Array[] => {
    const found: Uint8Array[] = [];
    for (let i = 0; ; i++) {
      const bytes = files.get(`test_data_set_0/${kind}_${i}.pb`);
      if (bytes === undefined) return found;
      found.push(bytes);
    }
  };
  return [...tests]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, files]) => {
      const model = files.get('model.onnx');
      if (model === undefined) throw new Error(`${set}.tar.gz: ${name} has no model.onnx`);
      return { set, name, model, inputs: numbered(files, 'input'), outputs: numbered(files, 'output') };
    });
}

/** The complete graphs, whose weights are constants. */
export function readLight(data = DATA): Vector[] {
  const names = readdirSync(`${data}/light`).filter((file) => file.endsWith('.onnx'));
  return names.sort().map((file) => {
    const name = file.replace(/\.onnx$/, '');
    const outputs = [readFileSync(`${data}/light/${name}_output_0.pb`)];
    return { set: 'light', name, model: readFileSync(`${data}/light/${file}`), inputs: undefined, outputs };
  });
}

export const hasData = (data = DATA): boolean => existsSync(`${data}/node.tar.gz`);

/** Plain files of a ustar archive. */
function* entries(tar: Uint8Array): Generator<[path: string, bytes: Uint8Array]> {
  const text = (at: number, length: number): string => {
    const end = tar.indexOf(0, at);
    return new TextDecoder().decode(tar.subarray(at, end < 0 || end > at + length ? at + length : end));
  };
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const prefix = text(at + 345, 155);
    const path = (prefix === '' ? '' : `${prefix}/`) + text(at, 100);
    if (tar[at + 156] === 0 || text(at + 156, 1) === '0') yield [path.replace(/^\.\//, ''), tar.slice(at + 512, at + 512 + size)];
    at += 512 + Math.ceil(size / 512) * 512;
  }
}
