/**
 * Convolutions in NCHWc, the blocked layout that ONNX Runtime keeps to itself: it uses it only where weights are initialisers, and
 * in a training step they are inputs. These operators (`com.microsoft.nchwc`) are internal to ONNX Runtime and differ in block size
 * from processor to processor, so they are tried at start (`nchwc-block.ts`) and are never the only way.
 */
import { byGroup } from './by-group.ts';
import { type Candidate, type EmitContext, type Geometry, isDepthwise, type Machine, spatial } from './candidate.ts';

export const NCHWC_DOMAIN = 'com.microsoft.nchwc';

/**
 * Whether the blocked convolution takes these sizes: two dimensions, whole blocks (or fewer input channels than one), and one group or
 * as many as there are channels.
 */
export function nchwcFits(g: Geometry, machine: Machine): boolean {
  const block = machine.nchwcBlock;
  if (block === 0 || g.rank !== 2 || !spatial(g.input).every((s) => s > 0)) return false;
  const [c, m] = [g.input[1], g.output[1]];
  if (g.group !== 1) return isDepthwise(g) && m % block === 0;
  return m % block === 0 && (c % block === 0 || c < block);
}

/** `Conv` of x with w [M,C,kh,kw] (values, not initialisers) and a bias [M]; in and out are plain NCHW. */
export function nchwcConv(c: EmitContext, g: Geometry, x: string, w: string, bias?: string): string {
  const block = c.machine.nchwcBlock;
  const [channels, m] = [g.input[1], g.output[1]];
  const [kh, kw] = g.kernel;
  const perGroup = channels / g.group;
  const blocked = channels >= block;
  // OIHW -> OIHW{i}{o}; OIHW{o} for depthwise weights, and where the input has less than a block of channels and stays as it is.
  const whole = blocked && g.group === 1;
  const split = c.op('Reshape', [
    w,
    c.b.ints(whole ? [m / block, block, channels / block, block, kh, kw] : [m / block, block, perGroup, kh, kw]),
  ]);
  const turned = c.op('Transpose', [split], { perm: whole ? [0, 2, 4, 5, 3, 1] : [0, 2, 3, 4, 1] });
  const weight = c.op('Reshape', [turned, c.b.ints([m, perGroup, kh, kw])]);
  const input = blocked ? c.op('ReorderInput', [x], { channels_last: 0 }, NCHWC_DOMAIN) : x;
  const y = c.op(
    'Conv',
    bias === undefined ? [input, weight] : [input, weight, bias],
    { kernel_shape: g.kernel, strides: g.strides, dilations: g.dilations, pads: [...g.padsBegin, ...g.padsEnd], group: g.group },
    NCHWC_DOMAIN,
  );
  return c.op('ReorderOutput', [y], { channels: m, channels_last: 0 }, NCHWC_DOMAIN);
}

/** The forward convolution of a step graph. */
export const nchwcForward: Candidate = {
  name: 'nchwc',
  applies: (g, machine) => nchwcFits(g, machine),
  emit: (c, g) => nchwcConv(c, g, c.node.inputs[0], c.node.inputs[1], c.node.inputs[2] || undefined),
};

/** The same for a few groups. */
export const nchwcGroups: Candidate = byGroup(nchwcForward, { inputs: [1, 0, 0], result: 1 });
