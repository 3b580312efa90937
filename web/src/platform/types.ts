import type { Env, InferenceSession, TensorConstructor } from "onnxruntime-common";

/** What a model can run on. */
export type Device = "wasm" | "webgpu";

/** The part of onnxruntime-web that is used. */
export interface Runtime {
  readonly env: Env;
  readonly InferenceSession: {
    create(data: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
}
