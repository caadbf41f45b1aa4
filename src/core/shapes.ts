/** Shape arithmetic on plain number arrays: broadcasting as ONNX (and NumPy) does it, strides, axes. */

/** Row-major strides in elements: `[2,3,4]` -> `[12,4,1]`. */
export function strides(dims: readonly number[]): number[] {
  const out = new Array<number>(dims.length);
  let step = 1;
  for (let i = dims.length - 1; i >= 0; i--) {
    out[i] = step;
    step *= dims[i];
  }
  return out;
}

/** The shape that all the given shapes broadcast to. Throws RangeError where two sizes clash. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    let size = 1;
    for (const shape of shapes) {
      const d = shape[shape.length - rank + axis] ?? 1;
      if (d === 1 || d === size) continue;
      if (size !== 1) throw new RangeError(`shapes ${shapes.map(formatDims).join(' and ')} do not broadcast`);
      size = d;
    }
    return size;
  });
}

/** Axes of `to` over which a gradient of shape `to` is summed to get back to `from`, which was broadcast to it. */
export function broadcastAxes(from: readonly number[], to: readonly number[]): number[] {
  const offset = to.length - from.length;
  const axes: number[] = [];
  for (let axis = 0; axis < to.length; axis++) {
    if (axis < offset || (from[axis - offset] === 1 && to[axis] !== 1)) axes.push(axis);
  }
  return axes;
}

/** A negative axis counts from the back; the result is 0..rank-1. Throws RangeError outside. */
export function resolveAxis(axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(resolved) || resolved < 0 || resolved >= rank) throw new RangeError(`axis ${axis} is outside a rank of ${rank}`);
  return resolved;
}

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** `[N,3,32,32]`, as shapes are written in comments and messages; unknown sizes are `?`. */
export function formatDims(dims: readonly (number | string | null)[]): string {
  return `[${dims.map((d) => d ?? '?').join(',')}]`;
}
