/** From a photo to an answer: what callers of the library use. */
import { readModel, type Device } from "#platform";
import { decode, describe, type DecodedPhoto, type PhotoInput } from "./decode.js";
import { Engine, type WasmPaths } from "./engine.js";
import { AifaceError, ModelError } from "./errors.js";
import { faceAnswer } from "./faces.js";
import { checkedLimits, type Limits } from "./limits.js";
import { readManifest, type Manifest, type OperatingPoint } from "./manifest.js";
import { isEnlarged, minDecodeSize, preprocess, visibleBox } from "./preprocess.js";
import { PHOTO_WARNINGS, type Explanation, type PhotoRecord, type PhotoWarning, type Verdict } from "./record.js";

const MAX_MISSING = 0.1; // share of a photo that may be missing before the verdict is uncertain

/** How a model is opened. */
export interface LoadOptions {
  /** `auto` takes WebGPU where there is one and says in `fallback` why not; a named one that cannot be had is an error. */
  readonly device?: Device | "auto";
  /** Threads of WASM; by default the cores, at most 4. Outside of a cross-origin isolated page always 1. */
  readonly threads?: number;
  /** Name of the thresholds that turn `p_ai` into a verdict; `balanced` by default. */
  readonly operatingPoint?: string;
  readonly limits?: Partial<Limits>;
  /** Where onnxruntime-web's WASM files are, if not beside it: a folder's URL, or for each device `{ mjs, wasm }`. */
  readonly wasmPaths?: WasmPaths;
}

/** Tells a real face photo from an AI-generated one; the photo stays where it is. */
export class Classifier {
  private constructor(
    private readonly engine: Engine,
    private readonly point: OperatingPoint,
    private readonly limits: Limits,
    private isClosed = false,
  ) {}

  /**
   * Open a model file and hold it to its self-test.
   *
   * @param model URL of an `.onnx` file from `aiface-export` (in Node a path too), or its bytes.
   * @throws AifaceError The model, the device or an option cannot be used.
   */
  static async load(model: string | URL | ArrayBuffer | Uint8Array, options: LoadOptions = {}): Promise<Classifier> {
    const { device = "auto", threads, operatingPoint = "balanced", wasmPaths } = options;
    if (!["auto", "wasm", "webgpu"].includes(device))
      throw new AifaceError("usage", `device '${device}': auto, wasm or webgpu`);
    if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 64))
      throw new AifaceError("usage", `threads ${threads}: a whole number from 1 to 64`);
    if (globalThis.crypto?.subtle === undefined)
      throw new AifaceError(
        "usage",
        "the page is no secure context, which checking the model needs; serve it by https or on localhost",
      );
    const limits = checkedLimits(options.limits);
    const isBytes = model instanceof ArrayBuffer || model instanceof Uint8Array;
    const origin = isBytes ? describe(model) : String(model);
    const data = isBytes ? new Uint8Array(model) : await readModel(model);
    const manifest = await readManifest(data, origin);
    const point = manifest.operatingPoints.get(operatingPoint);
    if (!point) {
      const names = [...manifest.operatingPoints.keys()].join(", ");
      throw new AifaceError("usage", `operating point '${operatingPoint}': ${manifest.id} has ${names}`);
    }
    return new Classifier(await Engine.open(data, manifest, { device, threads, wasmPaths }, origin), point, limits);
  }

  /** Manifest that the model file carries. */
  get manifest(): Manifest {
    return this.engine.manifest;
  }

  /** `wasm` or `webgpu`. */
  get device(): Device {
    return this.engine.device;
  }

  /** Why `auto` passed over a better device; null when it did not. */
  get fallback(): string | null {
    return this.engine.fallback;
  }

  /** Threads that one run uses. */
  get threads(): number {
    return this.engine.threads;
  }

  /** Thresholds that verdicts are made by. */
  get operatingPoint(): OperatingPoint {
    return this.point;
  }

  /**
   * Answer for one photo.
   *
   * @throws InputError The photo cannot be used; the message names it and the remedy.
   */
  async predict(image: PhotoInput): Promise<PhotoRecord> {
    const photo = await this.decoded(image);
    const names = this.manifest.faces ? ["probabilities", "faces"] : ["probabilities"];
    return this.record(describe(image), photo, await this.run(photo, names));
  }

  /**
   * Answer for one photo and say which parts of it the answer comes from, by a class activation map.
   *
   * @throws AifaceError The photo cannot be used, or the model has no such map.
   */
  async explain(image: PhotoInput): Promise<Explanation> {
    const { evidence, id } = this.manifest;
    if (!evidence) throw new ModelError("no_evidence", `${id}: has no evidence map, so it cannot explain its answers`);
    const photo = await this.decoded(image);
    const names = this.manifest.faces ? ["probabilities", "faces", "evidence"] : ["probabilities", "evidence"];
    const rows = await this.run(photo, names);
    const cells = rows.get("evidence") as Float32Array;
    return {
      record: this.record(describe(image), photo, rows),
      evidence: Array.from({ length: evidence.height }, (_, y) => [
        ...cells.subarray(y * evidence.width, (y + 1) * evidence.width),
      ]),
      bias: evidence.bias,
      region: visibleBox(photo.fullSize, this.manifest.steps),
      size: photo.fullSize,
    };
  }

  /** Let the model go; later calls are errors. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.engine.close();
  }

  private async decoded(image: PhotoInput): Promise<DecodedPhoto> {
    if (this.isClosed) throw new ModelError("model_closed", "this Classifier was closed; load the model again");
    return decode(image, minDecodeSize(this.manifest), this.limits);
  }

  private async run(photo: DecodedPhoto, names: readonly string[]): Promise<ReadonlyMap<string, Float32Array>> {
    const input = preprocess(photo.pixels, this.manifest.steps, photo.box);
    const outputs = await this.engine.run([input.data], names);
    return new Map([...outputs].map(([name, rows]) => [name, rows[0] as Float32Array]));
  }

  private record(input: string, photo: DecodedPhoto, rows: ReadonlyMap<string, Float32Array>): PhotoRecord {
    const { manifest, engine } = this;
    const probabilities = rows.get("probabilities") as Float32Array;
    const scores = Object.fromEntries(manifest.labels.map((label, index) => [label, probabilities[index] as number]));
    const pAi = Math.min(
      1,
      manifest.aiLabels.reduce((sum, label) => sum + (scores[label] as number), 0),
    );
    const [faceProbability, faceWarnings] = faceAnswer(rows.get("faces"), manifest.faces);
    const found = new Set<PhotoWarning>([...faceWarnings, ...photo.warnings]);
    if (isEnlarged(photo.fullSize, manifest.steps)) found.add("upscaled");
    const isBlind = found.has("no_face") || photo.missing > MAX_MISSING;
    return {
      input,
      verdict: isBlind ? "uncertain" : this.verdict(pAi),
      p_ai: pAi,
      scores,
      face_probability: faceProbability,
      warnings: PHOTO_WARNINGS.filter((warning) => found.has(warning)),
      model: manifest.id,
      device: engine.device,
      fallback: [engine.fallback, photo.fallback].filter(Boolean).join("; ") || null,
      error: null,
    };
  }

  private verdict(pAi: number): Verdict {
    if (pAi >= this.point.aiFrom) return "ai";
    return pAi < this.point.realBelow ? "real" : "uncertain";
  }
}
