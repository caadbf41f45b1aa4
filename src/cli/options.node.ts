/**
 * One zod object per command makes its flags, the check of its config file and its JSON Schema. Keys are camelCase and become kebab-case
 * flags. `meta({...})` of a field may say:
 *   description   one line for --help
 *   placeholder   what stands after the flag in --help, `DIR`
 *   off           for a switch that is on: what its --no-... flag does
 *   positional    the field is an argument, not a flag; arguments come in the schema's order, a list as the last takes all that are left
 * Lists are joined by commas, or their flag is given several times.
 */
import { readFile } from 'node:fs/promises';
import { Argument, type Command, Option } from 'commander';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { fail } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';

/** The part of JSON Schema that flags are made from. */
interface Property {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly items?: Property;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly anyOf?: readonly Property[];
  readonly placeholder?: string;
  readonly off?: string;
  readonly positional?: boolean;
}

interface ObjectSchema {
  readonly properties: Record<string, Property>;
  readonly required?: readonly string[];
}

/** `batchSize` -> `batch-size` */
export const kebab = (key: string): string => key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
const camel = (key: string): string => key.replace(/-([a-z0-9])/g, (_, c: string) => c.toUpperCase());

const inputSchema = (schema: z.ZodObject): ObjectSchema => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as ObjectSchema;

/** The field's own type where it may be several: text, which may turn out to be a number. */
function flagType(p: Property): Property {
  return p.anyOf === undefined ? p : { ...p, type: 'text' };
}

/** Adds arguments and flags to a commander command. Values arrive as text; {@link readOptions} makes them what they are. */
export function addOptions(command: Command, schema: z.ZodObject): void {
  const { properties, required = [] } = inputSchema(schema);
  const usage: string[] = [];
  for (const [key, given] of Object.entries(properties)) {
    const p = flagType(given);
    if (p.positional) {
      const name = p.placeholder ?? kebab(key).toUpperCase();
      // never demanded by commander: a config file may hold it; readOptions complains if nobody does
      const shown = p.type === 'array' ? `${name}...` : name;
      usage.push(required.includes(key) && p.default === undefined ? `<${shown}>` : `[${shown}]`);
      command.addArgument(new Argument(p.type === 'array' ? `[${name}...]` : `[${name}]`, p.description ?? ''));
      continue;
    }
    const flag = kebab(key);
    const flags =
      p.type === 'boolean' ? (p.default === true ? `--no-${flag}` : `--${flag}`) : `--${flag} <${p.placeholder ?? placeholderOf(p)}>`;
    const notes: string[] = [];
    if (p.enum && p.enum.length > 1) notes.push(`one of ${p.enum.join(', ')}`);
    if (required.includes(key) && p.default === undefined) notes.push('required');
    if (p.default !== undefined && p.type !== 'boolean') notes.push(`default ${String(p.default)}`);
    const says = p.type === 'boolean' && p.default === true ? p.off : p.description;
    const option = new Option(flags, [says ?? '', notes.length === 0 ? '' : `(${notes.join('; ')})`].join(' ').trim());
    if (p.type === 'array') option.argParser((value: string, before?: string) => (before === undefined ? value : `${before},${value}`));
    command.addOption(option);
  }
  command.addOption(new Option('--config <FILE>', 'options from a YAML or JSON file; flags win over it'));
  command.usage(['[options]', ...usage].join(' '));
}

function placeholderOf(p: Property): string {
  if (p.type === 'number' || p.type === 'integer') return 'N';
  if (p.type === 'array') return 'LIST';
  return 'TEXT';
}

/**
 * Brings flags, arguments and the config file together and checks them.
 * @param given what commander read: camelCase keys, values still text (or true/false for switches)
 * @throws SecateurError (exit code 2) naming the flag, or the key and file, and what would be right
 */
export async function readOptions<S extends z.ZodObject>(
  schema: S,
  given: Record<string, unknown>,
  positionals: readonly (string | undefined)[],
): Promise<{ options: z.output<S>; given: ReadonlySet<string> }> {
  const { properties, required = [] } = inputSchema(schema);
  const origin = new Map<string, string>();
  const merged: Record<string, unknown> = {};
  const { config, ...flags } = given;
  if (typeof config === 'string') {
    for (const [key, value] of Object.entries(await readConfig(config, properties))) {
      merged[key] = value;
      origin.set(key, `${config}: ${key}`);
    }
  }
  const names = Object.keys(properties).filter((key) => properties[key].positional);
  for (const [i, key] of names.entries()) {
    if (positionals[i] !== undefined) flags[key] = properties[key].type === 'array' ? positionals.slice(i) : positionals[i];
  }
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined || properties[key] === undefined) continue;
    merged[key] = fromText(value, flagType(properties[key]), nameOf(key, properties));
    origin.delete(key);
  }
  for (const key of required) {
    if (merged[key] !== undefined || properties[key].default !== undefined) continue;
    const p = properties[key];
    fail({
      where: nameOf(key, properties),
      what: 'missing',
      expected: p.description ?? expectation(flagType(p)),
      exitCode: 2,
    });
  }
  const result = schema.safeParse(merged);
  if (result.success) return { options: result.data, given: new Set(Object.keys(merged)) };
  const issue = result.error.issues[0];
  const key = String(issue.path[0] ?? '');
  const p = properties[key];
  const { items } = p ?? {};
  if (items?.enum !== undefined && issue.path.length === 2) {
    const got = JSON.stringify((merged[key] as unknown[])[issue.path[1] as number]);
    return fail({ where: origin.get(key) ?? nameOf(key, properties), what: 'not valid', expected: expectation(items), got, exitCode: 2 });
  }
  const deeper = issue.path.length > 1 ? ` (at ${issue.path.slice(1).join('.')})` : '';
  return fail({
    where: origin.get(key) ?? nameOf(key, properties),
    what: `not valid${deeper}`,
    expected: p === undefined || issue.code === 'custom' || deeper !== '' ? issue.message : expectation(flagType(p)),
    got: JSON.stringify(merged[key]),
    exitCode: 2,
  });
}

const nameOf = (key: string, properties: Record<string, Property>): string => {
  const p = properties[key];
  return p?.positional ? (p.placeholder ?? kebab(key).toUpperCase()) : `--${kebab(key)}`;
};

function fromText(value: unknown, p: Property, where: string): unknown {
  if (typeof value !== 'string') return value;
  const number = (text: string, type: Property): unknown => {
    const v = Number(text);
    if (text.trim() !== '' && Number.isFinite(v)) return v;
    return fail({ where, what: 'not valid', expected: expectation(type), got: JSON.stringify(text), exitCode: 2 });
  };
  if (p.type === 'number' || p.type === 'integer') return number(value, p);
  if (p.type === 'text') return fromVariants(value, p.anyOf ?? []);
  if (p.type !== 'array') return value;
  const parts = value.split(',').map((part) => part.trim());
  const items = p.items ?? {};
  return items.type === 'number' || items.type === 'integer' ? parts.map((part) => number(part, items)) : parts;
}

/** A number where one is possible, JSON where an object is, else the text itself. */
function fromVariants(value: string, variants: readonly Property[]): unknown {
  const may = (...types: string[]): boolean => variants.some((v) => v.type !== undefined && types.includes(v.type));
  if (may('number', 'integer') && value.trim() !== '' && Number.isFinite(Number(value))) return Number(value);
  if (!value.startsWith('{')) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** In words, what a value of this type looks like. */
export function expectation(p: Property): string {
  if (p.enum) return `one of ${p.enum.join(', ')}`;
  if (p.type === 'array') {
    const of = p.items?.type === 'number' || p.items?.type === 'integer' ? 'numbers' : 'words';
    const exactly = p.minItems !== undefined && p.minItems === p.maxItems ? `${p.minItems} ` : '';
    return `${exactly}${of} joined by commas`;
  }
  if (p.type === 'number' || p.type === 'integer') {
    const parts = [p.type === 'integer' ? 'a whole number' : 'a number'];
    const bounds: string[] = [];
    if (p.minimum !== undefined && p.minimum > Number.MIN_SAFE_INTEGER) bounds.push(`at least ${p.minimum}`);
    if (p.exclusiveMinimum !== undefined) bounds.push(`above ${p.exclusiveMinimum}`);
    if (p.maximum !== undefined && p.maximum < Number.MAX_SAFE_INTEGER) bounds.push(`at most ${p.maximum}`);
    if (p.exclusiveMaximum !== undefined) bounds.push(`below ${p.exclusiveMaximum}`);
    if (bounds.length > 0) parts.push('of', bounds.join(' and '));
    return parts.join(' ').replace(' of above', ' above').replace(' of below', ' below');
  }
  if (p.type === 'boolean') return 'true or false';
  if (p.const !== undefined) return String(p.const);
  if (p.anyOf) return p.anyOf.map(expectation).join(' or ');
  if (p.type === 'object') return 'an object';
  return 'text';
}

/** Reads a YAML or JSON file; keys may be written as in flags (`batch-size`) or as in the schema (`batchSize`). */
async function readConfig(path: string, properties: Record<string, Property>): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return fail({ where: `--config ${path}`, what: code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`, exitCode: 2 });
  }
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    const [first] = document.errors[0].message.split('\n');
    fail({ where: path, what: `not valid YAML or JSON: ${first.replace(/:$/, '')}`, exitCode: 2 });
  }
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return fail({ where: path, what: 'not a set of options', expected: 'lines such as "epochs: 10"', exitCode: 2 });
  }
  const out: Record<string, unknown> = {};
  for (const [written, v] of Object.entries(value)) {
    const key = camel(written);
    if (properties[key] === undefined) {
      const close = nearest(key, Object.keys(properties));
      fail({ where: path, what: `no option "${written}"`, hint: close === undefined ? undefined : `"${close}"`, exitCode: 2 });
    }
    out[key] = v;
  }
  return out;
}

/** JSON Schema of a command's config file, for editors. */
export function configSchema(name: string, schema: z.ZodObject): Record<string, unknown> {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown> & ObjectSchema;
  const properties = Object.fromEntries(
    Object.entries(json.properties).map(([key, { placeholder: _, positional: __, off: ___, ...rest }]) => [key, rest]),
  );
  // nothing is required in a file: flags may give the rest
  const { required: _, ...rest } = json;
  return { title: `secateur ${name}`, ...rest, properties, additionalProperties: false };
}
