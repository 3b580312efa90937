import { AifaceError } from "./errors.js";

/** The most that one photo may take; beyond it, it is refused before it is decoded, where its header tells. */
export interface Limits {
  /** Bytes of the encoded photo. */
  readonly bytes: number;
  /** Pixels, width times height. */
  readonly pixels: number;
  /** Pixels of a JPEG that is reduced on the way to the model. */
  readonly scaledPixels: number;
}

export const DEFAULT_LIMITS: Limits = { bytes: 64 * 2 ** 20, pixels: 30_000_000, scaledPixels: 200_000_000 };

/** Fill in what is not given; anything but a number above 0 is an error. */
export function checkedLimits(given: Partial<Limits> = {}): Limits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    const isKnown = name in DEFAULT_LIMITS;
    if (!isKnown || typeof value !== "number" || !(value > 0))
      throw new AifaceError(
        "usage",
        `limits.${name} ${String(value)}: bytes, pixels or scaledPixels, a number above 0`,
      );
  }
  return limits;
}
