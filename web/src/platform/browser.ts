/** What differs between browsers and Node; package.json's `imports` choose. */
import { ModelError, reason } from "../errors.js";
import type { Device, Runtime } from "./types.js";

export type { Device, Runtime } from "./types.js";

/** Import the build of onnxruntime-web for a device: that with WebGPU is twice as large. */
export async function loadRuntime(device: Device): Promise<Runtime> {
  return device === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm");
}

/** Fetch a model file. */
export async function readModel(url: string | URL): Promise<Uint8Array> {
  let problem: string;
  try {
    const response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    problem = `HTTP ${response.status}`;
  } catch (error) {
    problem = reason(error);
  }
  throw new ModelError("model_not_found", `${String(url)}: no model file could be fetched (${problem}); check the URL`);
}
