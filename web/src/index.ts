/** Tells a real face photo from an AI-generated one, in a browser tab or in Node. */
export { Classifier, type LoadOptions } from "./classifier.js";
export type { PhotoInput, PixelData } from "./decode.js";
export type { WasmPaths } from "./engine.js";
export { AifaceError, InputError, ModelError, type ErrorCode } from "./errors.js";
export type { Limits } from "./limits.js";
export {
  readManifest,
  type EvidenceMap,
  type FaceMap,
  type Filter,
  type Manifest,
  type OperatingPoint,
  type Step,
} from "./manifest.js";
export { preprocess } from "./preprocess.js";
export type { Explanation, PhotoRecord, PhotoWarning, Verdict } from "./record.js";
export type { Box, Pixels } from "./resample.js";
