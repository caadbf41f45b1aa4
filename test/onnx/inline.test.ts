import { create, toBinary } from '@bufbuild/protobuf';
import { AttributeProto_AttributeType as A, ModelProtoSchema, TensorProto_DataType as T } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/core/rng.ts';
import { f32 } from '../../src/core/tensor.ts';
import { gradientGraph } from '../../src/grad/step.ts';
import type { Model } from '../../src/onnx/model.ts';
import { hasBranches, inlineBranches } from '../../src/onnx/passes/inline-branches.ts';
import { inlineFunctions } from '../../src/onnx/passes/inline-functions.ts';
import { readModel, writeModel } from '../../src/onnx/proto.ts';
import { probe } from '../../src/runtime/probe.ts';
import { workingModel } from '../../src/runtime/working-model.ts';
import { smooth } from '../grad/differences.ts';
import { classes } from '../grad/nets.ts';
import { inProcess, runOnce } from '../grad/runtime.ts';

const weights = (name: string, dims: number[]) => {
  const data = [...(smooth(Rng.from(2, name), dims).data as Float32Array)];
  return { name, dims: dims.map(BigInt), dataType: T.FLOAT, floatData: data };
};
const imports = [
  { domain: '', version: 17n },
  { domain: 'pkg', version: 1n },
];
const value = (name: string, last: bigint) => ({
  name,
  type: {
    value: {
      case: 'tensorType' as const,
      value: {
        elemType: T.FLOAT,
        shape: { dim: [{ value: { case: 'dimParam' as const, value: 'n' } }, { value: { case: 'dimValue' as const, value: last } }] },
      },
    },
  },
});
const output = (name: string) => ({ name });

/** What PyTorch's exporter of 2023 wrote: `dense` calls `act`, whose If asks whether the value is a number alone. */
const file = () =>
  toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: imports,
      functions: [
        {
          name: 'act',
          domain: 'pkg',
          input: ['x'],
          output: ['y'],
          opsetImport: imports,
          node: [
            { opType: 'Shape', input: ['x'], output: ['s'] },
            { opType: 'Size', input: ['s'], output: ['rank'] },
            { opType: 'Constant', output: ['zero'], attribute: [{ name: 'value_int', type: A.INT, i: 0n }] },
            { opType: 'Equal', input: ['rank', 'zero'], output: ['lone'] },
            {
              opType: 'If',
              name: 'choice',
              input: ['lone'],
              output: ['y'],
              attribute: [
                {
                  name: 'then_branch',
                  type: A.GRAPH,
                  g: { name: 't', node: [{ opType: 'Identity', input: ['x'], output: ['same'] }], output: [output('same')] },
                },
                {
                  name: 'else_branch',
                  type: A.GRAPH,
                  g: {
                    name: 'e',
                    initializer: [weights('factor', [1])],
                    node: [
                      { opType: 'Mul', input: ['x', 'factor'], output: ['m'] },
                      { opType: 'Tanh', input: ['m'], output: ['bent'] },
                    ],
                    output: [output('bent')],
                  },
                },
              ],
            },
          ],
        },
        {
          name: 'dense',
          domain: 'pkg',
          input: ['x', 'w', 'b'],
          output: ['y', 'before'],
          opsetImport: imports,
          attribute: ['alpha'],
          attributeProto: [{ name: 'turned', type: A.INT, i: 1n }],
          node: [
            {
              opType: 'Gemm',
              name: 'product',
              input: ['x', 'w', 'b'],
              output: ['before'],
              attribute: [
                { name: 'alpha', type: A.FLOAT, refAttrName: 'alpha' },
                { name: 'transB', type: A.INT, refAttrName: 'turned' },
                { name: 'beta', type: A.FLOAT, refAttrName: 'left out' },
              ],
            },
            { opType: 'act', domain: 'pkg', input: ['before'], output: ['y'] },
          ],
        },
      ],
      graph: {
        name: 'main',
        input: [value('x', 3n)],
        output: [value('logits', 2n)],
        initializer: [weights('w1', [4, 3]), weights('b1', [4]), weights('w2', [4, 2]), weights('b2', [2])],
        node: [
          {
            opType: 'dense',
            domain: 'pkg',
            name: 'fc1',
            input: ['x', 'w1', 'b1'],
            output: ['h', ''],
            attribute: [{ name: 'alpha', type: A.FLOAT, f: 0.5 }],
          },
          { opType: 'act', domain: 'pkg', input: ['h'], output: ['a'] },
          {
            opType: 'dense',
            domain: 'pkg',
            name: 'fc2',
            input: ['a', 'w2', 'b2'],
            output: ['', 'logits'],
            attribute: [{ name: 'turned', type: A.INT, i: 0n }],
          },
        ],
      },
    }),
  );

const x = smooth(Rng.from(9), [2, 3]);
const logits = async (model: Model) => (await runOnce(model, { x })).logits;
const operators = (model: Model) => model.graph.nodes.map((n) => n.opType);

async function flat() {
  const given = readModel(file());
  const functions = inlineFunctions(given)!;
  const branches = inlineBranches(functions.model, await probe(inProcess, functions.model, { batch: 2 }))!;
  return { given, functions, branches, model: branches.model };
}

describe('functions and branches written out', () => {
  it('give the same answers, and leave standard operators alone', async () => {
    const { given, functions, model } = await flat();
    expect(operators(functions.model).filter((op) => op === 'dense' || op === 'act')).toEqual([]);
    expect(hasBranches(functions.model)).toBe(true);
    expect(hasBranches(model)).toBe(false);
    expect(operators(model).filter((op) => op === 'Tanh')).toHaveLength(3);
    expect(await logits(functions.model)).toEqual(await logits(given));
    expect(await logits(model)).toEqual(await logits(given));
  });

  it('can be trained', async () => {
    const { model } = await flat();
    const types = await probe(inProcess, model, { batch: 2 });
    const graph = gradientGraph(model, types, { input: 'x', logits: 'logits', loss: 'cross-entropy' });
    expect(Object.keys(graph.gradients)).toEqual(['w1', 'b1', 'w2', 'b2']);
    const values = await runOnce(graph.model, { x, [graph.feeds.labels]: classes(1, 0) });
    for (const gradient of Object.values(graph.gradients)) {
      expect([...(values[gradient].data as Float32Array)].some((v) => Math.abs(v) > 1e-3)).toBe(true);
    }
  });

  it('go back into the file, byte by byte, with the weights that changed', async () => {
    const { given, functions, branches, model } = await flat();
    branches.undo(model);
    functions.undo(model);
    expect(writeModel(model)).toEqual(writeModel(given));

    const again = await flat();
    again.model.graph.initializers.set('b2', f32([5, 6], [2]));
    again.branches.undo(again.model);
    again.functions.undo(again.model);
    const expected = readModel(file());
    expected.graph.initializers.set('b2', f32([5, 6], [2]));
    expect(writeModel(again.model)).toEqual(writeModel(expected));
  });

  it('stay written out where a node was put in', async () => {
    const { functions, branches, model } = await flat();
    const before = operators(model);
    model.graph.nodes.push({ name: '', opType: 'Neg', domain: '', inputs: ['logits'], outputs: ['less'], attributes: new Map() });
    branches.undo(model);
    functions.undo(model);
    expect(operators(model)).toEqual([...before, 'Neg']);
  });

  it('stay written out where an attribute was changed, so that no change is lost', async () => {
    const { functions, branches, model } = await flat();
    model.graph.nodes[0].attributes.set('group', { type: 'int', value: 3 });
    branches.undo(model);
    functions.undo(model);
    expect(model.graph.nodes[0].attributes.get('group')).toEqual({ type: 'int', value: 3 });
    expect(operators(model)).not.toContain('dense');
  });

  it('are one of the changes that a working model makes, and takes back', async () => {
    const given = readModel(file());
    const working = await workingModel(inProcess, given);
    expect(new Set(operators(working.model)).has('dense')).toBe(false);
    expect(hasBranches(working.model)).toBe(false);
    expect(writeModel(working.restore(working.model))).toEqual(writeModel(given));
  });

  it('a branch that depends on the input stays', async () => {
    const given = readModel(file());
    const types = await probe(inProcess, inlineFunctions(given)!.model, { batch: 2 });
    const without = new Map([...types].map(([name, { dtype, dims }]) => [name, { dtype, dims }]));
    expect(inlineBranches(inlineFunctions(given)!.model, types, without)).toBeUndefined();
    expect(inlineFunctions(inlineFunctions(given)!.model)).toBeUndefined();
  });
});
