// Answers for a photo from an aiface model file alone, with onnxruntime-node and nothing else.
//
//   npm install onnxruntime-node
//   node aiface.mjs MODEL.onnx PHOTO.ppm [OPERATING_POINT]
//
// First the self-test that the file carries, then the photo: binary PPM (P6) of 8 bits, upright. Both results
// are one line of JSON. Exit code 1 and a line on stderr where the file or the machine is not as it should be.

import { readFileSync } from "node:fs";
import { InferenceSession, Tensor } from "onnxruntime-node";

// onnxruntime-node does not give a file's metadata. The file is one protobuf message; field 14 of it holds entries with
// key (1) and value (2): https://protobuf.dev/programming-guides/encoding/
function* fieldsOf(bytes) {
  let at = 0;
  const varint = () => {
    for (let value = 0, place = 1; ; place *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("not an ONNX file, or a damaged one");
      value += (byte & 127) * place;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [number, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind === 0) varint();
    else {
      const length = kind === 2 ? varint() : { 1: 8, 5: 4 }[kind];
      if (!(at + length <= bytes.length)) throw new Error("not an ONNX file, or a damaged one");
      if (kind === 2) yield [number, bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

function manifestOf(bytes) {
  for (const [number, entry] of fieldsOf(bytes)) {
    if (number !== 14) continue;
    const { 1: key, 2: value } = Object.fromEntries(fieldsOf(entry));
    if (key?.toString() === "aiface") return JSON.parse(value.toString());
  }
  throw new Error("the file has no manifest of aiface");
}

function readPpm(path) {
  const bytes = readFileSync(path);
  const head = /^P6\s+(?:#.*\n\s*)*(\d+)\s+(?:#.*\n\s*)*(\d+)\s+(?:#.*\n\s*)*255\s/.exec(bytes.latin1Slice(0, 4096));
  if (!head) throw new Error(`${path}: not a binary PPM of 8 bits`);
  const [width, height] = [Number(head[1]), Number(head[2])];
  const rgb = bytes.subarray(head[0].length, head[0].length + 3 * width * height);
  if (rgb.length < 3 * width * height) throw new Error(`${path}: is cut off`);
  return { width, height, rgb };
}

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
const FILTERS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI)))],
  bicubic: [2, (x) => cubic(Math.abs(x), -0.5)],
  lanczos: [3, (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

function cubic(x, a) {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// Pillow's weights: a filter as wide as the reduction, in fixed point of 22 bits.
function weightsOf(from, size, name) {
  if (!(name in FILTERS)) throw new Error(`the filter ${name} is not in this program`);
  const [radius, filter] = FILTERS[name];
  const scale = from / size;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: size }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - radius * stretch + 0.5));
    const last = Math.min(from, Math.trunc(centre + radius * stretch + 0.5));
    const weights = Array.from({ length: last - first }, (_, x) => filter((x + first - centre + 0.5) * (1 / stretch)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const fixed = weights.map((weight) => (total ? weight / total : weight) * 2 ** 22);
    return { first, fixed: fixed.map((weight) => Math.trunc(weight + (weight < 0 ? -0.5 : 0.5))) };
  });
}

// One axis; each pass is rounded to a byte.
function resizeAxis(photo, size, filter, isHorizontal) {
  const from = isHorizontal ? photo.width : photo.height;
  if (from === size) return photo;
  const [width, height] = isHorizontal ? [size, photo.height] : [photo.width, size];
  const rgb = new Uint8Array(3 * width * height);
  const lines = isHorizontal ? photo.height : photo.width;
  const step = isHorizontal ? 3 : 3 * photo.width;
  const [line, outLine] = isHorizontal ? [3 * photo.width, 3 * width] : [3, 3];
  const outStep = isHorizontal ? 3 : 3 * width;
  weightsOf(from, size, filter).forEach(({ first, fixed }, place) => {
    for (let row = 0; row < lines; row++)
      for (let channel = 0; channel < 3; channel++) {
        let sum = 2 ** 21;
        for (let x = 0, at = row * line + first * step + channel; x < fixed.length; x++, at += step)
          sum += photo.rgb[at] * fixed[x];
        rgb[row * outLine + place * outStep + channel] = Math.min(255, Math.max(0, sum >> 22));
      }
  });
  return { width, height, rgb };
}

function resize(photo, width, height, filter) {
  // Pillow 13 begins with the height where it shrinks by far more; before, always with the width.
  const isHorizontalFirst = photo.height - height <= Math.max(0, 2 * (photo.width - width));
  return isHorizontalFirst
    ? resizeAxis(resizeAxis(photo, width, filter, true), height, filter, false)
    : resizeAxis(resizeAxis(photo, height, filter, false), width, filter, true);
}

function crop(photo, left, top, width, height) { // black beyond the sides
  const rgb = new Uint8Array(3 * width * height);
  for (let y = Math.max(0, -top); y < Math.min(height, photo.height - top); y++)
    for (let x = Math.max(0, -left); x < Math.min(width, photo.width - left); x++) {
      const at = 3 * ((y + top) * photo.width + x + left);
      rgb.set(photo.rgb.subarray(at, at + 3), 3 * (y * width + x));
    }
  return { width, height, rgb };
}

const toEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

function apply(photo, step) {
  if (step.op === "resize") return resize(photo, step.width, step.height, step.filter);
  if (step.op === "resize_shorter") {
    const { width, height } = photo;
    const longer = Math.trunc((step.size * Math.max(width, height)) / Math.min(width, height));
    return width <= height ? resize(photo, step.size, longer, step.filter) : resize(photo, longer, step.size, step.filter);
  }
  const rounded = { center_crop: Math.trunc, center_crop_to_even: toEven }[step.op];
  if (!rounded) throw new Error(`the step ${step.op} is not in this program`);
  const [left, top] = [(photo.width - step.width) / 2, (photo.height - step.height) / 2].map(rounded);
  return crop(photo, left, top, step.width, step.height);
}

// uint8 RGB [N, height, width, 3] → the outputs by name
async function run(session, manifest, pixels) {
  const { height, width } = manifest.input;
  const outputs = ["probabilities", ...["faces", "evidence"].filter((name) => manifest[name])];
  const image = new Tensor("uint8", pixels, [pixels.length / (3 * height * width), height, width, 3]);
  return session.run({ image }, outputs);
}

// Run the stored inputs as one batch, and return the largest difference in units of what is the processor's rounding.
async function selfTest(session, manifest) {
  const test = manifest.self_test;
  if (!test) throw new Error("the file carries no self-test; export it again");
  const { height, width } = manifest.input;
  const batch = new Uint8Array(test.inputs.length * 3 * height * width);
  let at = 0;
  for (const text of test.inputs) {
    const small = Buffer.from(text, "base64");
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, at += 3) {
        // Enlarged by repeating pixels.
        const from = 3 * (Math.floor((y * test.side) / height) * test.side + Math.floor((x * test.side) / width));
        batch.set(small.subarray(from, from + 3), at);
      }
  }
  let worst = 0;
  for (const [name, { data }] of Object.entries(await run(session, manifest, batch)))
    test[name].forEach((rows, index) => {
      const stored = rows.flat(2);
      // One cell of a map may be off further than their mean.
      let unit = name === "probabilities" ? 1 : 2;
      if (name === "evidence") unit = 2 * Math.max(1, ...stored.map(Math.abs));
      stored.forEach((value, place) => {
        const off = Math.abs(data[index * stored.length + place] - value) / unit;
        if (!(off <= worst)) worst = off; // so that NaN stays
      });
    });
  if (!(worst <= test.tolerance)) throw new Error(`the self-test fails: ${worst} off`);
  return worst;
}

async function main([model, path, name = "balanced"]) {
  const bytes = readFileSync(model);
  const manifest = manifestOf(bytes);
  if (manifest.schema !== 1) throw new Error("the manifest is of another schema than 1");
  const session = await InferenceSession.create(bytes);
  const off = await selfTest(session, manifest);
  const photo = manifest.input.steps.reduce(apply, readPpm(path));
  const { probabilities, faces } = await run(session, manifest, photo.rgb);

  const point = manifest.operating_points[name];
  if (!point) throw new Error(`the model has no operating point ${name}`);
  const scores = manifest.labels.map((label, index) => (manifest.ai_labels.includes(label) ? probabilities.data[index] : 0));
  const p_ai = Math.min(1, scores.reduce((sum, score) => sum + score, 0));
  const face_probability = faces ? faces.data.reduce((a, b) => Math.max(a, b)) : null;
  let verdict = p_ai >= point.ai_from ? "ai" : p_ai < point.real_below ? "real" : "uncertain";
  if (faces && !(face_probability >= manifest.faces.present_from)) verdict = "uncertain"; // without a face
  console.log(JSON.stringify({ self_test: off, p_ai, verdict, face_probability }));
}

if (process.argv.length < 4) {
  console.error("usage: node aiface.mjs MODEL.onnx PHOTO.ppm [OPERATING_POINT]");
  process.exitCode = 2;
} else {
  main(process.argv.slice(2)).catch((error) => {
    console.error(`aiface: ${error.message}`);
    process.exitCode = 1;
  });
}
