/** Reading JSON that others wrote: every field has one type and stated limits, or an Error says what it has. */

const MAX_TEXT = 200; // characters of a name
const MAX_DEPTH = 32; // objects and lists in each other
const MAX_QUOTED = 80; // characters of a wrong value that a message quotes

export type JsonObject = Readonly<Record<string, unknown>>;

/** The lengths or whole numbers that are allowed, both ends included. */
export interface Range {
  from: number;
  to: number;
}

/** Parse an object of JSON; a key that repeats, half a character and deep nesting are refused. */
export function parseObject(text: string): JsonObject {
  const document: unknown = JSON.parse(text);
  if (typeof document !== "object" || document === null || Array.isArray(document)) throw new Error("is not an object");
  checkStructure(text);
  return document as JsonObject;
}

/** Walk valid JSON by its tokens. */
function checkStructure(text: string): void {
  const open: Set<string>[] = [];
  let string = "";
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g)) {
    if (token === "{" || token === "[") {
      if (open.push(new Set()) > MAX_DEPTH)
        throw new Error(`has more than ${MAX_DEPTH} objects and lists in each other`);
    } else if (token === "}" || token === "]") {
      open.pop();
    } else if (token === ":") {
      const keys = open.at(-1);
      if (keys?.has(string)) throw new Error("has a key more than once in an object");
      keys?.add(string);
    } else {
      string = JSON.parse(token) as string;
      if (/\p{Surrogate}/u.test(string)) throw new Error("has half a character");
    }
  }
}

/** Return a value for a message: on one line, and not all of it where it is long. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`;
}

export function required(values: JsonObject, field: string): unknown {
  if (!Object.hasOwn(values, field)) throw new Error(`lacks '${field}'`);
  return values[field];
}

export function objectOf(value: unknown, field: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`has ${field} ${quoted(value)}, not an object`);
  return value as JsonObject;
}

export function listOf(value: unknown, field: string, lengths: Range): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`has ${field} ${quoted(value)}, not a list`);
  if (value.length < lengths.from || value.length > lengths.to)
    throw new Error(`has ${field} of length ${value.length}, not ${lengths.from} to ${lengths.to}`);
  return value;
}

/** Require a name: 1 to `MAX_TEXT` characters that can be printed, so that none forges a line or hides another. */
export function nameOf(value: unknown, field: string): string {
  const isPrintable = typeof value === "string" && /^(?: |[^\p{C}\p{Z}])+$/u.test(value);
  if (!isPrintable || [...value].length > MAX_TEXT)
    throw new Error(`has ${field} ${quoted(value)}, not 1 to ${MAX_TEXT} printable characters`);
  return value;
}

export function namesOf(value: unknown, field: string, lengths: Range): readonly string[] {
  const names = listOf(value, field, lengths).map((name) => nameOf(name, field));
  if (new Set(names).size !== names.length) throw new Error(`has ${field} that repeat: ${quoted(names)}`);
  return names;
}

export function integerOf(value: unknown, field: string, allowed: Range): number {
  if (!Number.isInteger(value) || (value as number) < allowed.from || (value as number) > allowed.to)
    throw new Error(`has ${field} ${quoted(value)}, not ${allowed.from} to ${allowed.to}`);
  return value as number;
}

export function numberOf(value: unknown, field: string, low = -1e300, high = 1e300): number {
  if (typeof value !== "number" || !(low <= value && value <= high)) {
    const limits = Math.abs(high) < 1e300 ? ` from ${low} to ${high}` : "";
    throw new Error(`has ${field} ${quoted(value)}, not a number${limits}`);
  }
  return value;
}
