/** Opens the model and answers for photos, so that the page stays responsive. */
import gpuMjs from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import gpuWasm from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import mjs from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { Classifier, type WasmPaths } from "../src/index.js";
import type { Answer, Question } from "./messages.js";
import modelUrl from "../../models/aiface-lite0.onnx?url";

const absolute = (url: string): string => new URL(url, import.meta.url).href;
const wasmPaths: WasmPaths = {
  wasm: { mjs: absolute(mjs), wasm: absolute(wasm) },
  webgpu: { mjs: absolute(gpuMjs), wasm: absolute(gpuWasm) },
};

function tell(answer: Answer): void {
  postMessage(answer);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const opening = Classifier.load(absolute(modelUrl), { wasmPaths });

opening.then(
  (classifier) => {
    const { realBelow, aiFrom } = classifier.operatingPoint;
    const { device, threads, fallback } = classifier;
    const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
    tell({
      kind: "opened",
      opened: { model: classifier.manifest.id, device, threads, fallback, realBelow, aiFrom, loaded },
    });
  },
  (error: unknown) => tell({ kind: "failed", message: messageOf(error) }),
);

addEventListener("message", async ({ data: { id, photo } }: MessageEvent<Question>) => {
  try {
    const classifier = await opening;
    tell({ kind: "explained", id, explanation: await classifier.explain(photo) });
  } catch (error) {
    tell({ kind: "refused", id, message: messageOf(error) });
  }
});
