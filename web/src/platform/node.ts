/** What differs between Node and browsers; package.json's `imports` choose. */
import { readFile } from "node:fs/promises";
import { ModelError, reason } from "../errors.js";
import { readModel as fetchModel } from "./browser.js";
import type { Device, Runtime } from "./types.js";

export type { Device, Runtime } from "./types.js";

/** Import onnxruntime-web's build for Node, which has WASM alone. */
export async function loadRuntime(_device: Device): Promise<Runtime> {
  return import("onnxruntime-web");
}

/** Read a model file: from a path or a `file:` URL, or over the network. */
export async function readModel(model: string | URL): Promise<Uint8Array> {
  if (/^https?:/.test(String(model))) return fetchModel(model);
  try {
    const path = typeof model === "string" && model.startsWith("file:") ? new URL(model) : model;
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const message = `${String(model)}: no such model file (${reason(error)}); check the path`;
    throw new ModelError("model_not_found", message, { cause: error });
  }
}
