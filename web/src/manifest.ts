/** The manifest that a model file carries, parsed strictly: a port of aiface_runtime/manifest.py. */
import { ModelError, reason } from "./errors.js";
import {
  integerOf,
  listOf,
  nameOf,
  namesOf,
  numberOf,
  objectOf,
  parseObject,
  quoted,
  required,
  type JsonObject,
  type Range,
} from "./jsonFields.js";
import { contentSha256, hasExternalData, metadata } from "./onnxBytes.js";
import { parseSelfTest, type SelfTest } from "./selfTest.js";

const KEY = "aiface";
const SCHEMA = 1;
const MAX_CHARACTERS = 4 * 2 ** 20; // of the JSON
const SIDES: Range = { from: 1, to: 1024 }; // pixels of the input and of what a step makes
const CELLS: Range = { from: 1, to: 256 }; // rows or columns of a map
const FILTERS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos", "bilinear_no_antialias"] as const;
const STEP_FIELDS = {
  resize: ["height", "width", "filter"],
  resize_shorter: ["size", "filter"],
  center_crop: ["height", "width"],
  center_crop_to_even: ["height", "width"],
} as const;

/** The last one is OpenCV's bilinear, which looks at four pixels however much it shrinks; the others are Pillow's. */
export type Filter = (typeof FILTERS)[number];

/** Scale to `height` x `width`, or so that the shorter side is `size`; the longer one is rounded down. */
export type Resize =
  | { readonly op: "resize"; readonly height: number; readonly width: number; readonly filter: Filter }
  | { readonly op: "resize_shorter"; readonly size: number; readonly filter: Filter };

/** Cut `height` x `width` out of the middle. */
export interface Crop {
  readonly op: "center_crop" | "center_crop_to_even";
  readonly height: number;
  readonly width: number;
}

/** A resize or crop, as the manifest writes it. */
export type Step = Resize | Crop;

/** Thresholds on `p_ai`: below `realBelow` real, from `aiFrom` on AI, uncertain between. */
export interface OperatingPoint {
  readonly realBelow: number;
  readonly aiFrom: number;
}

/** The graph's output `evidence`: `height` x `width` cells whose mean and `bias` are the log-odds of AI. */
export interface EvidenceMap {
  readonly height: number;
  readonly width: number;
  readonly bias: number;
}

/** The graph's output `faces`, and the thresholds on it. */
export interface FaceMap {
  readonly height: number;
  readonly width: number;
  /** Probability of the likeliest cell, 0 to 1, from which on there is a face. */
  readonly presentFrom: number;
  /** Probability, 0 to 1, from which on a cell counts as covered by a face. */
  readonly cellFrom: number;
  /** Share of all cells, 0 to 1, below which the largest face counts as small. */
  readonly smallBelow: number;
}

/** The part of a manifest that this library acts on; `document` is all of it. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  /** Name and version, as results carry it. */
  readonly id: string;
  /** Names of the classes, in output order. */
  readonly labels: readonly string[];
  /** The labels that mean AI-generated; `p_ai` is the sum of their probabilities. */
  readonly aiLabels: readonly string[];
  /** Height and width of the graph's input, in pixels. */
  readonly height: number;
  readonly width: number;
  /** What leads from a photo of any size to that input, in this order. */
  readonly steps: readonly Step[];
  /** Multiple of the first resize's sides that must remain when a JPEG is reduced; null where every pixel counts. */
  readonly scaledDecoding: number | null;
  readonly operatingPoints: ReadonlyMap<string, OperatingPoint>;
  readonly evidence: EvidenceMap | null;
  readonly faces: FaceMap | null;
  /** SHA-256 of all of the file but its metadata; null of files made before there was one. */
  readonly graphSha256: string | null;
  readonly selfTest: SelfTest;
  readonly document: JsonObject;
}

/** Return the shape of each of the graph's outputs for one photo, by name. */
export function outputShapes(manifest: Pick<Manifest, "labels" | "faces" | "evidence">): Map<string, number[]> {
  const shapes = new Map([["probabilities", [manifest.labels.length]]]);
  for (const name of ["faces", "evidence"] as const) {
    const cells = manifest[name];
    if (cells) shapes.set(name, [cells.height, cells.width]);
  }
  return shapes;
}

/**
 * Read the manifest of a model file and hold the file to the hash that it gives.
 *
 * @param data Bytes of the file.
 * @param origin Name of the file, for messages.
 * @throws ModelError Not an ONNX file, another graph than the manifest's, no manifest, or one that cannot be used.
 */
export async function readManifest(data: Uint8Array, origin: string): Promise<Manifest> {
  try {
    const text = metadata(data, KEY);
    if (!text)
      throw new ModelError(
        "manifest",
        `${origin}: an ONNX file without aiface's manifest; make one with aiface-export`,
      );
    const manifest = parseManifest(text, origin);
    if (manifest.graphSha256 && (await contentSha256(data)) !== manifest.graphSha256)
      throw new Error("its graph is not the one that its manifest was written for (SHA-256)");
    if (hasExternalData(data)) throw new Error("keeps weights in other files; a model file holds all of them itself");
    return manifest;
  } catch (error) {
    if (error instanceof ModelError) throw error;
    const message = `${origin}: ${reason(error)}; export the model again, or get the file again`;
    throw new ModelError("model_corrupt", message, { cause: error });
  }
}

function parseManifest(text: Uint8Array, origin: string): Manifest {
  try {
    if (text.length > MAX_CHARACTERS) throw new Error(`has ${text.length} bytes, more than ${MAX_CHARACTERS}`);
    return checked(parseObject(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text)));
  } catch (error) {
    const message = `${origin}: the model's manifest ${reason(error)}; export the model again`;
    throw new ModelError("manifest", message, { cause: error });
  }
}

function checked(document: JsonObject): Manifest {
  if (document["schema"] !== SCHEMA)
    throw new Error(`has schema ${quoted(document["schema"])}, this version reads ${SCHEMA}; upgrade aiface-web`);
  const labels = namesOf(required(document, "labels"), "labels", { from: 2, to: 1000 });
  const input = objectOf(required(document, "input"), "input");
  const [height, width] = sides(input, SIDES);
  const steps = listOf(required(input, "steps"), "steps", { from: 1, to: 8 }).map((step) =>
    readStep(objectOf(step, "a step")),
  );
  checkSize(steps, height, width);
  const name = nameOf(required(document, "name"), "name");
  const version = nameOf(required(document, "version"), "version");
  const maps = { labels, evidence: readEvidence(document["evidence"]), faces: readFaceMap(document["faces"]) };
  return {
    ...maps,
    name,
    version,
    id: `${name}@${version}`,
    aiLabels: readAiLabels(required(document, "ai_labels"), labels),
    height,
    width,
    steps,
    scaledDecoding: readScaledDecoding(input["scaled_decoding"], steps),
    operatingPoints: readOperatingPoints(objectOf(required(document, "operating_points"), "operating_points")),
    graphSha256: readSha256(document["graph_sha256"]),
    selfTest: parseSelfTest(document["self_test"], outputShapes(maps)),
    document,
  };
}

function readAiLabels(value: unknown, labels: readonly string[]): readonly string[] {
  const aiLabels = namesOf(value, "ai_labels", { from: 1, to: labels.length - 1 });
  if (!aiLabels.every((label) => labels.includes(label)))
    throw new Error(`has ai_labels ${quoted(aiLabels)} that are not some of the labels ${quoted(labels)}`);
  return aiLabels;
}

function sides(values: JsonObject, allowed: Range): [number, number] {
  return [
    integerOf(required(values, "height"), "height", allowed),
    integerOf(required(values, "width"), "width", allowed),
  ];
}

function readStep(values: JsonObject): Step {
  const op = required(values, "op");
  if (typeof op !== "string" || !Object.hasOwn(STEP_FIELDS, op)) throw new Error(`has the unknown step ${quoted(op)}`);
  const fields: readonly string[] = STEP_FIELDS[op as keyof typeof STEP_FIELDS];
  if (Object.keys(values).sort().join() !== ["op", ...fields].sort().join())
    throw new Error(`has a step ${quoted(op)} with fields ${quoted(Object.keys(values).sort())}`);
  for (const field of fields) {
    if (field !== "filter") integerOf(values[field], field, SIDES);
    else if (!FILTERS.includes(values[field] as Filter))
      throw new Error(`has the unknown filter ${quoted(values[field])}`);
  }
  return values as unknown as Step;
}

/** Refuse steps that do not end at the graph's input for every photo, or a crop that can reach outside of one. */
function checkSize(steps: readonly Step[], height: number, width: number): void {
  let smallest: [number, number] | undefined; // height and width that every photo has here
  let isExact = false;
  for (const step of steps) {
    if (step.op === "resize_shorter") {
      [smallest, isExact] = [[step.size, step.size], false];
    } else {
      const isOutside = !smallest || step.height > smallest[0] || step.width > smallest[1];
      if (step.op !== "resize" && isOutside)
        throw new Error(`has a crop of ${step.height} x ${step.width} that can reach outside the photo`);
      [smallest, isExact] = [[step.height, step.width], true];
    }
  }
  if (!isExact || smallest?.[0] !== height || smallest[1] !== width)
    throw new Error(`has steps that do not end at its input of ${height} x ${width}`);
}

function readScaledDecoding(value: unknown, steps: readonly Step[]): number | null {
  if (value === undefined || value === null) return null;
  const first = steps[0];
  if (!first || !("filter" in first) || first.filter === "bilinear_no_antialias")
    throw new Error("has scaled_decoding, but does not begin with a resize that averages");
  return numberOf(value, "scaled_decoding", 1, 64);
}

function readEvidence(value: unknown): EvidenceMap | null {
  if (value === undefined || value === null) return null;
  const values = objectOf(value, "evidence");
  const [height, width] = sides(values, CELLS);
  return { height, width, bias: numberOf(required(values, "bias"), "bias") };
}

function readFaceMap(value: unknown): FaceMap | null {
  if (value === undefined || value === null) return null;
  const values = objectOf(value, "faces");
  const [height, width] = sides(values, CELLS);
  const share = (name: string): number => numberOf(required(values, name), name, 0, 1);
  return {
    height,
    width,
    presentFrom: share("present_from"),
    cellFrom: share("cell_from"),
    smallBelow: share("small_below"),
  };
}

function readSha256(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value))
    throw new Error(`has graph_sha256 ${quoted(value)}, not 64 hexadecimal digits`);
  return value;
}

function readOperatingPoints(values: JsonObject): ReadonlyMap<string, OperatingPoint> {
  const entries = Object.entries(values);
  if (entries.length < 1 || entries.length > 100)
    throw new Error(`has ${entries.length} operating points, not 1 to 100`);
  return new Map(entries.map(([name, point]) => [nameOf(name, "an operating point"), readOperatingPoint(point)]));
}

function readOperatingPoint(value: unknown): OperatingPoint {
  const values = objectOf(value, "an operating point");
  const realBelow = numberOf(required(values, "real_below"), "real_below", 0, 1);
  const aiFrom = numberOf(required(values, "ai_from"), "ai_from", 0, 1);
  if (realBelow > aiFrom)
    throw new Error(`has an operating point with real_below ${realBelow} above ai_from ${aiFrom}`);
  return { realBelow, aiFrom };
}
