import type { Explanation } from "../src/index.js";

/** What the page asks its worker. */
export interface Question {
  readonly id: number;
  readonly photo: Blob;
}

/** What is shown of the opened model. */
export interface Opened {
  readonly model: string;
  readonly device: string;
  readonly threads: number;
  readonly fallback: string | null;
  readonly realBelow: number;
  readonly aiFrom: number;
  /** Addresses of what the worker has loaded. */
  readonly loaded: readonly string[];
}

/** What the worker tells the page. */
export type Answer =
  | { readonly kind: "opened"; readonly opened: Opened }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "explained"; readonly id: number; readonly explanation: Explanation }
  | { readonly kind: "refused"; readonly id: number; readonly message: string };
