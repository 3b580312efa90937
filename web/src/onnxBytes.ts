/** What of an ONNX file can be read without onnxruntime: a port of aiface_runtime/onnx_bytes.py. Source: onnx.proto. */

const VARINT = 0;
const BYTES = 2; // wire types
const FIXED_SIZES = new Map([
  [1, 8],
  [5, 4],
]);
const METADATA = 14; // of ModelProto
const KEY = 1;
const VALUE = 2; // of StringStringEntryProto
const DATA_LOCATION = 14;
const EXTERNAL_DATA = 13; // of TensorProto
const MAX_FIELDS = 10_000; // of ModelProto
const MAX_VARINT = 10; // bytes

/** Where tensors can lie: of each message the fields that lead to one, and what message these hold. */
const PARTS: Record<string, Record<number, string>> = {
  model: { 7: "graph", 20: "training", 25: "function" },
  training: { 1: "graph", 2: "graph" },
  graph: { 1: "node", 5: "tensor", 15: "sparse tensor" },
  function: { 7: "node", 11: "attribute" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor" },
  "sparse tensor": { 1: "tensor", 2: "tensor" },
  tensor: {},
};

/** A field of a message: its number, its wire type, and where it and its value begin and end. */
interface Field {
  number: number;
  kind: number;
  begin: number;
  value: number;
  end: number;
}

/**
 * Find a value of the metadata.
 *
 * @returns The value, undefined where there is no such key.
 * @throws Error Not an ONNX file, or the key is there more than once.
 */
export function metadata(data: Uint8Array, key: string): Uint8Array | undefined {
  const found: Uint8Array[] = [];
  for (const field of modelFields(data)) {
    if (field.number !== METADATA || field.kind !== BYTES) continue;
    const [name, value] = entry(data, field);
    if (new TextDecoder().decode(name) === key) found.push(value);
  }
  if (found.length > 1) throw new Error(`has '${key}' more than once in its metadata`);
  return found[0];
}

/**
 * Hash all of the file but its metadata, which can therefore hold the hash.
 *
 * @returns 64 hexadecimal digits of SHA-256.
 */
export async function contentSha256(data: Uint8Array): Promise<string> {
  const fields = [...modelFields(data)].filter((field) => field.number !== METADATA);
  const content = new Uint8Array(fields.reduce((total, field) => total + field.end - field.begin, 0));
  let position = 0;
  for (const { begin, end } of fields) {
    content.set(data.subarray(begin, end), position);
    position += end - begin;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Say whether a tensor's numbers lie in another file, anywhere in the graph. */
export function hasExternalData(data: Uint8Array): boolean {
  const rest: [string, number, number][] = [["model", 0, data.length]];
  for (let next = rest.pop(); next; next = rest.pop()) {
    const [message, begin, end] = next;
    for (const field of fields(data, begin, end)) {
      if (message === "tensor" && isExternal(data, field)) return true;
      const part = field.kind === BYTES ? PARTS[message]?.[field.number] : undefined;
      if (part) rest.push([part, field.value, field.end]);
    }
  }
  return false;
}

function isExternal(data: Uint8Array, field: Field): boolean {
  if (field.number === DATA_LOCATION && field.kind === VARINT) return varint(data, field.value, field.end)[0] !== 0;
  return field.number === EXTERNAL_DATA;
}

function entry(data: Uint8Array, field: Field): [Uint8Array, Uint8Array] {
  let [key, value] = [new Uint8Array(), new Uint8Array()];
  for (const part of fields(data, field.value, field.end)) {
    if (part.kind !== BYTES) continue;
    if (part.number === KEY) key = data.slice(part.value, part.end);
    else if (part.number === VALUE) value = data.slice(part.value, part.end);
  }
  return [key, value];
}

function* modelFields(data: Uint8Array): Generator<Field> {
  let count = 0;
  for (const field of fields(data, 0, data.length)) {
    if (count++ >= MAX_FIELDS) throw new Error(`has more than ${MAX_FIELDS} parts`);
    yield field;
  }
}

function* fields(data: Uint8Array, begin: number, end: number): Generator<Field> {
  while (begin < end) {
    const [tag, after] = varint(data, begin, end);
    const kind = tag % 8;
    let [value, stop] = [after, -1];
    if (kind === VARINT) {
      stop = varint(data, value, end)[1];
    } else if (kind === BYTES) {
      const [length, start] = varint(data, value, end);
      [value, stop] = [start, start + length];
    } else {
      stop = value + (FIXED_SIZES.get(kind) ?? NaN);
    }
    if (!(value <= stop && stop <= end)) throw new Error("is not an ONNX file, or a damaged one");
    yield { number: Math.floor(tag / 8), kind, begin, value, end: stop };
    begin = stop;
  }
}

/** Return a number of variable length, exact up to 2^53, and where it ends. */
function varint(data: Uint8Array, begin: number, end: number): [number, number] {
  let number = 0;
  for (let place = 0; place < MAX_VARINT && begin + place < end; place++) {
    const byte = data[begin + place] as number;
    number += (byte & 0x7f) * 2 ** (7 * place);
    if (byte < 0x80) return [number, begin + place + 1];
  }
  throw new Error("is not an ONNX file, or a damaged one");
}
