/** What comes back for one photo: the record of the Python runtime, key by key. */

export type Verdict = "real" | "ai" | "uncertain";

/** What to know of a photo before relying on its answer, in this order; later versions may add more. */
export const PHOTO_WARNINGS = [
  "no_face",
  "small_face",
  "several_faces",
  "truncated",
  "broken_exif",
  "tiny",
  "upscaled",
  "wide_gamut",
] as const;
export type PhotoWarning = (typeof PHOTO_WARNINGS)[number];

/** The answer for one photo. */
export interface PhotoRecord {
  /** Name of the file, or a short description of what was passed. */
  readonly input: string;
  /** Answer in one word, by the thresholds of the operating point. */
  readonly verdict: Verdict;
  /** Calibrated probability that the photo is AI-generated, 0 to 1. */
  readonly p_ai: number;
  /** Probability of each of the model's labels, in output order; they sum to 1. */
  readonly scores: Readonly<Record<string, number>>;
  /** Probability that there is a face in what the model sees; null of a model that does not say. */
  readonly face_probability: number | null;
  readonly warnings: readonly PhotoWarning[];
  /** Name and version of the model that answered. */
  readonly model: string;
  /** `wasm` or `webgpu`. */
  readonly device: string;
  /** Why a better device, or the better decoder, was passed over; null when it was not. */
  readonly fallback: string | null;
  readonly error: null;
}

/** An answer and what each cell of a grid over the photo contributes to it. */
export interface Explanation {
  readonly record: PhotoRecord;
  /** What each cell contributes to the log-odds of AI, by row and column, in logits: positive counts towards AI. */
  readonly evidence: readonly (readonly number[])[];
  /** Log-odds of AI that do not depend on the photo, in logits; the mean of `evidence` and it make the answer's. */
  readonly bias: number;
  /** Left, top, right and bottom of what the model sees, in pixels of the upright photo. */
  readonly region: readonly [number, number, number, number];
  /** Width and height of the upright photo, in pixels. */
  readonly size: readonly [number, number];
}
