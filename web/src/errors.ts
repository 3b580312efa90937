/** What can go wrong. Codes are those of the Python runtime's records, where it has the same error. */
export type ErrorCode =
  | "not_an_image"
  | "too_large"
  | "bad_shape"
  | "out_of_memory"
  | "wrong_type"
  | "model_not_found"
  | "model_corrupt"
  | "manifest"
  | "model_closed"
  | "no_evidence"
  | "device_unavailable"
  | "inference"
  | "usage";

/** Base of every error that this library raises on purpose; the message names the input and the remedy. */
export class AifaceError extends Error {
  override readonly name: string = "AifaceError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The photo cannot be used; another photo can. */
export class InputError extends AifaceError {
  override readonly name = "InputError";
}

/** The model, or the device for it, cannot be used. */
export class ModelError extends AifaceError {
  override readonly name = "ModelError";
}

/** Return the message of whatever was thrown, on one line. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return (text.trim().split("\n")[0] ?? "").slice(0, 300);
}
