/** A model file that is open in onnxruntime-web, on a device that reproduces the file's self-test. */
import type { Env, InferenceSession, Tensor } from "onnxruntime-common";
import { loadRuntime, type Device, type Runtime } from "#platform";
import { AifaceError, ModelError, reason } from "./errors.js";
import { outputShapes, type Manifest } from "./manifest.js";
import { checkedOutput, type RawTensor, type Tensors } from "./outputs.js";
import { checkSelfTest } from "./selfTest.js";

/** Where onnxruntime-web's WASM files are: the URL of their folder, or of each file, by device. */
export type WasmPaths = string | Readonly<Partial<Record<Device, Env.WasmFilePaths>>>;

/** What `Classifier.load` passes on. */
export interface EngineOptions {
  readonly device: Device | "auto";
  readonly threads: number | undefined;
  readonly wasmPaths: WasmPaths | undefined;
}

const MAX_THREADS = 4; // by default: more hardly help a network of this size

export class Engine {
  private running: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly manifest: Manifest,
    readonly device: Device,
    readonly threads: number,
    readonly fallback: string | null,
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
  ) {}

  /** Open on the best device that works; one that was asked for by name and cannot be had is an error. */
  static async open(data: Uint8Array, manifest: Manifest, options: EngineOptions, origin: string): Promise<Engine> {
    if (options.device !== "wasm") {
      try {
        await checkWebGpu(options.device === "auto");
        return await Engine.openOn("webgpu", data, manifest, options, null, origin);
      } catch (error) {
        const problem = reason(error);
        if (options.device === "webgpu") {
          const message = `device 'webgpu' cannot be had: ${problem}; use device 'auto' or 'wasm'`;
          throw new ModelError("device_unavailable", message, { cause: error });
        }
        return Engine.openOn("wasm", data, manifest, options, `webgpu: ${problem}`, origin);
      }
    }
    return Engine.openOn("wasm", data, manifest, options, null, origin);
  }

  private static async openOn(
    device: Device,
    data: Uint8Array,
    manifest: Manifest,
    options: EngineOptions,
    fallback: string | null,
    origin: string,
  ): Promise<Engine> {
    const runtime = await loadRuntime(device);
    const threads = chooseThreads(options.threads);
    runtime.env.logLevel = "error";
    runtime.env.wasm.numThreads = threads;
    const paths = typeof options.wasmPaths === "object" ? options.wasmPaths[device] : options.wasmPaths;
    if (paths !== undefined) runtime.env.wasm.wasmPaths = paths;
    let session: InferenceSession;
    try {
      session = await runtime.InferenceSession.create(data, { executionProviders: [device], logSeverityLevel: 3 });
    } catch (error) {
      const problem = reason(error);
      if (problem.includes("no available backend")) {
        const message = `device '${device}' cannot be had: ${problem}; see that onnxruntime-web's WASM files are served`;
        throw new ModelError("device_unavailable", message, { cause: error });
      }
      const message = `${origin}: onnxruntime-web cannot open it (${problem}); export the model again`;
      throw new ModelError("model_corrupt", message, { cause: error });
    }
    const engine = new Engine(manifest, device, runtime.env.wasm.numThreads ?? threads, fallback, runtime, session);
    try {
      engine.checkSignature(origin);
      await checkSelfTest(manifest.selfTest, manifest, (photos) =>
        engine.run(photos, [...outputShapes(manifest).keys()]),
      );
    } catch (error) {
      await session.release();
      if (error instanceof ModelError) throw error;
      const message = `${origin}: it fails the model's self-test: ${reason(error)}; export the model again`;
      throw new ModelError("model_corrupt", message, { cause: error });
    }
    return engine;
  }

  /**
   * Compute outputs of a batch.
   *
   * @param photos RGB bytes of the manifest's input size.
   * @throws AifaceError The device failed, or gave what cannot be an answer.
   */
  async run(photos: readonly Uint8Array[], names: readonly string[]): Promise<Tensors> {
    const { height, width } = this.manifest;
    const batch = new Uint8Array(photos.length * height * width * 3);
    photos.forEach((photo, index) => batch.set(photo, index * height * width * 3));
    const image = new this.runtime.Tensor("uint8", batch, [photos.length, height, width, 3]);
    const turn = this.running.then(() => this.session.run({ image }, names)); // a session takes one run at a time
    this.running = turn.catch(() => undefined);
    const shapes = outputShapes(this.manifest);
    try {
      const outputs: Record<string, Tensor | undefined> = await turn;
      return new Map(
        names.map((name) => [
          name,
          checkedOutput(name, outputs[name] as RawTensor | undefined, photos.length, shapes.get(name) ?? []),
        ]),
      );
    } catch (error) {
      const message = `${this.manifest.id} gives no answer on '${this.device}' (${reason(error)}); try device 'wasm'`;
      throw new AifaceError("inference", message, { cause: error });
    }
  }

  /** Hold inputs and outputs of the graph to the manifest. */
  private checkSignature(origin: string): void {
    const { height, width } = this.manifest;
    const inputs = signature(this.session.inputMetadata);
    if (inputs.size !== 1 || inputs.get("image") !== `uint8 ${height},${width},3`)
      throw new ModelError(
        "manifest",
        `${origin}: its graph does not take uint8 [N, ${height}, ${width}, 3] as its manifest says`,
      );
    const outputs = signature(this.session.outputMetadata);
    for (const [name, shape] of outputShapes(this.manifest))
      if (outputs.get(name) !== `float32 ${shape.join()}`)
        throw new ModelError(
          "manifest",
          `${origin}: its graph does not return ${name}, float32 [N, ${shape.join(", ")}]`,
        );
  }

  async close(): Promise<void> {
    await this.running;
    await this.session.release();
  }
}

/** Describe inputs or outputs of a graph by name: type, and shape for one photo where any number of them fits. */
function signature(values: readonly InferenceSession.ValueMetadata[]): Map<string, string> {
  return new Map(
    values.map((value) => {
      if (!value.isTensor) return [value.name, "no tensor"];
      const [first, ...shape] = value.shape;
      return [value.name, `${value.type} ${typeof first === "number" ? "a fixed number of " : ""}${shape.join()}`];
    }),
  );
}

function chooseThreads(threads: number | undefined): number {
  // Without isolation a page has no shared memory, and no threads; Node has them where they are asked for.
  if (typeof document === "undefined" && !("WorkerGlobalScope" in globalThis)) return threads ?? 1;
  return globalThis.crossOriginIsolated ? (threads ?? Math.min(MAX_THREADS, navigator.hardwareConcurrency)) : 1;
}

/** Refuse where there is no WebGPU, and for `auto` one that software computes, which is slower than WASM. */
async function checkWebGpu(isAuto: boolean): Promise<void> {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) throw new Error("there is no navigator.gpu here");
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error("navigator.gpu has no adapter");
  // Where an older browser says it, the types no longer know.
  const { isFallbackAdapter } = adapter.info ?? (adapter as { isFallbackAdapter?: boolean });
  if (isAuto && isFallbackAdapter) throw new Error("its adapter is software");
}
