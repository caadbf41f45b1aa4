/** 16-bit floats as numbers and back: IEEE half precision and bfloat16. Rounding is to the nearest, ties to even. */

const view = new DataView(new ArrayBuffer(4));

/** The number behind the bits of a half. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Bits of the half nearest to a number; beyond 65519 that is infinity. */
export function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // The step between neighbours: 2^-24 below 2^-14, else 1/1024 of the power of two below.
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  const power = size < 2 ** exponent ? exponent - 1 : exponent;
  const steps = roundEven(size / 2 ** (Math.max(power, -14) - 10));
  // A carry into the next power of two comes out right, because the fields are neighbours.
  return sign | (size < 2 ** -14 ? steps : ((power + 15) << 10) + (steps - 1024));
}

function roundEven(v: number): number {
  const floor = Math.floor(v);
  const rest = v - floor;
  if (rest !== 0.5) return rest > 0.5 ? floor + 1 : floor;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The number behind the bits of a bfloat16: the upper half of a float32. */
export function fromBfloat16(bits: number): number {
  view.setUint32(0, bits << 16);
  return view.getFloat32(0);
}

/** Bits of the bfloat16 nearest to a number. */
export function toBfloat16(value: number): number {
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
