/** The self-test that a model file carries, and how it is run: a port of aiface_runtime/self_test.py and outputs.py. */
import { integerOf, listOf, numberOf, objectOf, quoted, required } from "./jsonFields.js";
import type { Tensors } from "./outputs.js";

const DEFAULT_TOLERANCE = 0.05;
const MAP_FACTOR = 2; // tolerances that one cell may be off: the mean over a map, which the answer is, is closer

/** The values of each of the graph's outputs for one photo, in rows one after the other. */
type Answer = ReadonlyMap<string, readonly number[]>;

/** Small inputs, and what the graph answers to them. */
export interface SelfTest {
  /** Height and width of each input, in pixels. */
  readonly side: number;
  /** Their pixels, RGB rows of `side` x `side` x 3 bytes. */
  readonly inputs: readonly Uint8Array[];
  /** Null of a file that stores none, whose answers are only held to each other. */
  readonly answers: readonly Answer[] | null;
  /** Largest difference of a probability that is no fault, 0 to 0.5. */
  readonly tolerance: number;
}

// Of files without a self-test: sixteen reddish pixels, and the same bytes begun later, which are greenish and bluish.
const REDDISH = Array.from({ length: 16 }, (_, step) => [255 - 3 * step, 12 * step, 2 * step]).flat();
const UNSTORED: SelfTest = {
  side: 4,
  inputs: [0, 2, 1].map((start) => Uint8Array.from([...REDDISH.slice(start), ...REDDISH.slice(0, start)])),
  answers: null,
  tolerance: DEFAULT_TOLERANCE,
};

/** Read a manifest's `self_test`; `shapes` has for each output of the graph its shape for one photo. */
export function parseSelfTest(value: unknown, shapes: ReadonlyMap<string, readonly number[]>): SelfTest {
  if (value === undefined || value === null) return UNSTORED;
  const fields = objectOf(value, "self_test");
  const side = integerOf(required(fields, "side"), "side", { from: 1, to: 64 });
  const inputs = listOf(required(fields, "inputs"), "inputs", { from: 2, to: 8 }).map((text) => pixelsOf(text, side));
  const count = { from: inputs.length, to: inputs.length };
  const outputs = [...shapes].map(
    ([name, shape]) => [name, shape, listOf(required(fields, name), name, count)] as const,
  );
  const answers = inputs.map(
    (_, index) => new Map(outputs.map(([name, shape, rows]) => [name, numbersOf(rows[index], name, shape)])),
  );
  return { side, inputs, answers, tolerance: numberOf(required(fields, "tolerance"), "tolerance", 0, 0.5) };
}

function pixelsOf(text: unknown, side: number): Uint8Array {
  const isBase64 = typeof text === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0;
  const pixels = isBase64 ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0)) : new Uint8Array();
  if (pixels.length !== 3 * side * side)
    throw new Error(`has a self-test's input ${quoted(text)}, not ${side} x ${side} pixels in base64`);
  return pixels;
}

function numbersOf(value: unknown, name: string, shape: readonly number[]): number[] {
  const [length, ...rest] = shape;
  if (length === undefined) return [numberOf(value, name)];
  return listOf(value, name, { from: length, to: length }).flatMap((row) => numbersOf(row, name, rest));
}

/** Enlarge the inputs to the graph's size by repeating pixels: RGB bytes of `[N, height, width, 3]`. */
function photosOf(test: SelfTest, height: number, width: number): Uint8Array[] {
  return test.inputs.map((input) => {
    const photo = new Uint8Array(height * width * 3);
    for (let row = 0, at = 0; row < height; row++)
      for (let column = 0; column < width; column++, at += 3) {
        const from =
          3 * (Math.floor((row * test.side) / height) * test.side + Math.floor((column * test.side) / width));
        photo.set(input.subarray(from, from + 3), at);
      }
    return photo;
  });
}

/**
 * Run a self-test: an input alone, and then all as one batch in another order.
 *
 * @param run Computes all outputs of a batch, by name.
 * @throws Error The answers are not those that are stored, or depend on the batch.
 */
export async function checkSelfTest(
  test: SelfTest,
  size: { height: number; width: number },
  run: (photos: readonly Uint8Array[]) => Promise<Tensors>,
): Promise<void> {
  const photos = photosOf(test, size.height, size.width);
  const order = [1, 0, ...photos.keys()].filter((index, position) => position < 2 || index > 1);
  const single: Answer[] = [];
  for (const photo of test.answers ? photos.slice(0, 1) : photos) single.push(rowOf(await run([photo]), 0));
  const outputs = await run(order.map((index) => photos[index] as Uint8Array));
  const together = new Map(order.map((index, row) => [index, rowOf(outputs, row)]));
  test.answers?.forEach((answer, index) => {
    compare(single[index] ?? answer, answer, test.tolerance, "are not those stored in the file");
    compare(together.get(index), answer, test.tolerance, "in a batch are not those stored in the file");
  });
  single.forEach((answer, index) => {
    compare(together.get(index), answer, test.tolerance, "change with the other photos of a batch");
  });
}

function rowOf(outputs: Tensors, row: number): Answer {
  return new Map([...outputs].map(([name, tensor]) => [name, Array.from(tensor[row] as Float32Array)]));
}

function compare(actual: Answer | undefined, expected: Answer, tolerance: number, problem: string): void {
  for (const [name, values] of expected) {
    const own = actual?.get(name) ?? [];
    const largest = Math.max(...values.map((stored, index) => Math.abs((own[index] ?? NaN) - stored)));
    const difference = largest / unitOf(name, values);
    if (!(difference <= tolerance))
      throw new Error(`its ${name} ${problem}: ${difference.toPrecision(2)} off, at most ${tolerance} is rounding`);
  }
}

/** Return what a difference is measured in: of evidence the largest contribution, at least 1 logit. */
function unitOf(name: string, values: readonly number[]): number {
  if (name === "evidence") return MAP_FACTOR * Math.max(1, ...values.map(Math.abs));
  return name === "faces" ? MAP_FACTOR : 1;
}
