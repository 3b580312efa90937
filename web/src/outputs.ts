/** The checks without which no output of a run becomes an answer: a port of aiface_runtime/outputs.py. */

const SUM_TOLERANCE = 1e-3; // of a photo's probabilities, whose rounding to 16 bits moves the sum by up to 5e-4
const ROUNDING = 1e-6; // a softmax in float32 may give the next number above 1

/** For each output, by name, the values of each photo. */
export type Tensors = ReadonlyMap<string, readonly Float32Array[]>;

/** What onnxruntime gives for an output. */
export interface RawTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/**
 * Refuse what cannot be the answers for `count` photos.
 *
 * @param shape Shape of the output for one photo.
 * @returns The values of each photo; what rounding left outside of 0 to 1, by at most one millionth, is put inside.
 * @throws Error Another shape or type, NaN or infinity, or numbers that are no probabilities.
 */
export function checkedOutput(
  name: string,
  tensor: RawTensor | undefined,
  count: number,
  shape: readonly number[],
): Float32Array[] {
  const expected = [count, ...shape];
  if (!tensor || !(tensor.data instanceof Float32Array) || tensor.dims.join() !== expected.join())
    throw new Error(
      `${name} are not float32 [${expected.join(", ")}] but ${tensor?.type} [${tensor?.dims.join(", ")}]`,
    );
  const values = tensor.data;
  if (!values.every(Number.isFinite)) throw new Error(`${name} hold NaN or infinity`);
  const size = values.length / count;
  const rows = Array.from({ length: count }, (_, row) => values.slice(row * size, (row + 1) * size));
  return name === "evidence" ? rows : rows.map((row) => shares(name, row));
}

function shares(name: string, row: Float32Array): Float32Array {
  if (!row.every((value) => value >= -ROUNDING && value <= 1 + ROUNDING))
    throw new Error(`${name} reach from ${Math.min(...row)} to ${Math.max(...row)}, not 0 to 1`);
  const sum = row.reduce((total, value) => total + value, 0);
  if (name === "probabilities" && Math.abs(sum - 1) > SUM_TOLERANCE)
    throw new Error(`${name} of a photo do not add up to 1`);
  return row.map((value) => Math.min(1, Math.max(0, value)));
}
