/**
 * The house rules that a machine can check, over every source file: stages import only backwards, Node stays in `*.node.ts`, protobuf
 * in one file, files stay small. Each rule is first shown a planted offence, so that silence means something.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix, relative, sep } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
/** In pipeline order. A stage imports those before it. */
const STAGES = ['core', 'onnx', 'grad', 'runtime', 'data', 'poison', 'train', 'attack', 'inspect', 'defend', 'evaluate', 'report', 'zoo'];
/** These see every stage. */
const TOP = ['recipes', 'cli'];
const MAX_LINES = 600;
const NODE_PACKAGES = new Set([
  ...['pngjs', 'onnxruntime-node', '@clack/prompts', 'commander', 'undici', '@sigstore/verify', '@sigstore/bundle'],
  ...builtinModules,
]);
const NODE_GLOBALS = new Set(['Buffer', 'process', '__dirname', '__filename', 'require']);
const PROTOBUF = /^(@bufbuild\/|onnx-buf|protobufjs)/;
/** Entry points of Node programs: they tie the Node files together. */
const NODE_ENTRIES = ['src/index.ts', 'src/cli/main.ts'];

interface Import {
  readonly specifier: string;
  /** Erased by the compiler, so it loads nothing. */
  readonly typeOnly: boolean;
}

function importsOf(file: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (at: ts.Node | undefined, typeOnly: boolean): void => {
    if (at && ts.isStringLiteralLike(at)) found.push({ specifier: at.text, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly ?? false);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** Names used as values; property names (`options.process`) are not. */
function globalsOf(file: ts.SourceFile): Set<string> {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && NODE_GLOBALS.has(node.text)) {
      const { parent } = node;
      const isName =
        (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
        (!ts.isShorthandPropertyAssignment(parent) && isOwnName(parent, node));
      if (!isName) found.add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function isOwnName(parent: ts.Node, node: ts.Identifier): boolean {
  return 'name' in parent && parent.name === node;
}

/** What is wrong with a file, one sentence each, every one naming it. `path` is relative to the repository, with `/`. */
function violations(path: string, text: string): string[] {
  const wrong: string[] = [];
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  if (lines > MAX_LINES) wrong.push(`${path} has ${lines} lines, at most ${MAX_LINES} are allowed: split it by concept`);
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, path.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS);
  const imports = importsOf(file);
  for (const { specifier } of imports) {
    if (specifier.startsWith('.') && !/\.(tsx?|json)$/.test(specifier)) wrong.push(`${path} imports "${specifier}" without its .ts`);
  }
  if (!path.startsWith('src/')) return wrong;

  const isNodeFile = /\.node\.tsx?$/.test(path);
  for (const { specifier, typeOnly } of imports) {
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined;
    if (target !== undefined) {
      if (!target.startsWith('src/')) wrong.push(`${path} imports ${target}, which is outside src`);
      else wrong.push(...stageViolation(path, target));
      if (/\.node\.tsx?$/.test(target) && !isNodeFile && !typeOnly && !NODE_ENTRIES.includes(path)) {
        wrong.push(`${path} imports ${target}, but only *.node.ts files may: it would not run in a browser`);
      }
    } else if (!isNodeFile && !typeOnly && (specifier.startsWith('node:') || NODE_PACKAGES.has(specifier))) {
      wrong.push(`${path} imports "${specifier}", but only *.node.ts files may: it would not run in a browser`);
    }
    if (PROTOBUF.test(specifier) && !/^src\/onnx\/proto-(read|write)\.ts$/.test(path)) {
      wrong.push(`${path} imports "${specifier}", but onnx/proto.ts is the only door to protobuf`);
    }
  }
  if (!isNodeFile && !NODE_ENTRIES.includes(path)) {
    for (const name of globalsOf(file)) wrong.push(`${path} uses ${name}, which only *.node.ts files may: a browser has none`);
  }
  if (/\bMath\.random\(/.test(text)) wrong.push(`${path} uses Math.random: take core/rng.ts with a seed`);
  return wrong;
}

function stageViolation(path: string, target: string): string[] {
  const [from, to] = [path, target].map((p) => p.split('/')[1]);
  if (from === to || path.split('/').length === 2 || TOP.includes(from)) return [];
  const rank = STAGES.indexOf(from);
  if (rank < 0) return [`${path} lies in "${from}", which is no stage: ${[...STAGES, ...TOP].join(', ')}`];
  const targetRank = STAGES.indexOf(to);
  if (targetRank >= 0 && targetRank < rank) return [];
  return [`${path} imports ${target}: the stage ${from} comes before ${to} and may not know of it`];
}

function sources(folder: string): string[] {
  // git keeps no empty folders.
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && /\.(ts|tsx|mjs)$/.test(e.name))
    .map((e) => relative(ROOT, join(e.parentPath, e.name)).split(sep).join('/'))
    .sort();
}

describe('the rules find planted offences', () => {
  it.each<[string, string, string]>([
    [
      'src/data/idx.ts',
      "import { train } from '../train/loop.ts';",
      'src/data/idx.ts imports src/train/loop.ts: the stage data comes before train and may not know of it',
    ],
    [
      'src/grad/walk.ts',
      "import type { Session } from '../runtime/session.ts';",
      'src/grad/walk.ts imports src/runtime/session.ts: the stage grad comes before runtime and may not know of it',
    ],
    [
      'src/core/rng.ts',
      "export { f } from '../recipes/demo.ts';",
      'src/core/rng.ts imports src/recipes/demo.ts: the stage core comes before recipes and may not know of it',
    ],
    [
      'src/helpers/x.ts',
      "import '../core/rng.ts';",
      `src/helpers/x.ts lies in "helpers", which is no stage: ${[...STAGES, ...TOP].join(', ')}`,
    ],
    [
      'src/data/idx.ts',
      "import { readFile } from 'node:fs/promises';",
      'src/data/idx.ts imports "node:fs/promises", but only *.node.ts files may: it would not run in a browser',
    ],
    [
      'src/data/png.ts',
      "const { PNG } = await import('pngjs');",
      'src/data/png.ts imports "pngjs", but only *.node.ts files may: it would not run in a browser',
    ],
    [
      'src/data/idx.ts',
      "import { loadIdx } from './idx.node.ts';",
      'src/data/idx.ts imports src/data/idx.node.ts, but only *.node.ts files may: it would not run in a browser',
    ],
    ['src/data/idx.ts', 'const b = Buffer.from([1]);', 'src/data/idx.ts uses Buffer, which only *.node.ts files may: a browser has none'],
    ['src/data/idx.ts', "import { x } from './make';", 'src/data/idx.ts imports "./make" without its .ts'],
    ['src/data/idx.ts', 'const r = Math.random();', 'src/data/idx.ts uses Math.random: take core/rng.ts with a seed'],
    [
      'src/grad/walk.ts',
      "import { create } from '@bufbuild/protobuf';",
      'src/grad/walk.ts imports "@bufbuild/protobuf", but onnx/proto.ts is the only door to protobuf',
    ],
    ['test/a.test.ts', '\n'.repeat(601), 'test/a.test.ts has 601 lines, at most 600 are allowed: split it by concept'],
  ])('in %s: %s', (path, text, message) => {
    expect(violations(path, text)).toEqual([message]);
  });

  it('and leaves what is right alone', () => {
    expect(violations('src/train/loop.ts', "import { Rng } from '../core/rng.ts';\nconst x = options.process;")).toEqual([]);
    expect(violations('src/cli/train.node.ts', "import 'node:fs';\nimport '../report/render.tsx';\nprocess.exit(1);")).toEqual([]);
    expect(violations('src/data/idx.ts', "import type { Reader } from './idx.node.ts';\n// Buffer, node:fs\n")).toEqual([]);
    expect(violations('test/a.test.ts', "import 'node:fs';\nimport '../src/cli/run.node.ts';")).toEqual([]);
  });
});

describe('every source file keeps the house rules', () => {
  it.each(['src', 'test', 'bench', 'scripts', 'examples'])('%s', (folder) => {
    const wrong = sources(folder).flatMap((path) => violations(path, readFileSync(join(ROOT, path), 'utf8')));
    expect(wrong.join('\n')).toBe('');
  });
});
