/** What a file says of its first picture before it is decoded. */

/** What a file says of its first picture. */
export interface Header {
  readonly format: "JPEG" | "PNG" | "WebP" | "GIF" | "BMP" | "AVIF" | "HEIC" | "TIFF" | "JPEG 2000" | "PNM";
  /** Media type for the browser's decoder. */
  readonly type: string;
  /** Width and height in pixels, as stored; null where the header is not read. */
  readonly size: readonly [number, number] | null;
  /** Steps of the 64 coefficients of each component of a JPEG, in rows. */
  readonly steps?: readonly Uint16Array[];
  /** The parts that decoding needs, so that no profile or orientation changes what the decoder gives. */
  readonly picture: Uint8Array;
  /** EXIF orientation, 1 to 8; null where it is the decoder that tells. */
  readonly turn: number | null;
  readonly isExifBroken: boolean;
  readonly isWideGamut: boolean;
  /** Share of the picture, 0 to 1, that the file is known to lack. */
  readonly missing: number;
  /** Share of the picture, 0 to 1, that the decoder fills for want of data; asked where it ends in `filling`. */
  readonly filled?: () => Promise<number> | number;
  /** Level that the decoder fills with. */
  readonly filling?: number;
  /** Whether the picture's end is marked, in a format that can do without. */
  readonly hasEnd: boolean;
}

/** The file is damaged; the message lacks its name. */
export class DamagedError extends Error {}

/** Decoding would cost more than is allowed; the message lacks the file's name. */
export class LimitError extends Error {}

const MAX_PARTS = 50_000; // chunks or segments of one file
const MAX_METADATA = 4 * 2 ** 20; // bytes of one text, profile or EXIF block

export function checkParts(count: number, what: string): void {
  if (count > MAX_PARTS) throw new LimitError(`over ${MAX_PARTS} ${what}; save it again`);
}

export function startsWith(data: Uint8Array, text: string, at = 0): boolean {
  if (data.length < at + text.length) return false;
  for (let index = 0; index < text.length; index++) if (data[at + index] !== text.charCodeAt(index)) return false;
  return true;
}

export function latin1(data: Uint8Array): string {
  let text = "";
  for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
  return text;
}

export function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Join parts of one block of metadata; nothing more where it becomes longer than any that is read. */
export function joined(first: Uint8Array | undefined, second: Uint8Array): Uint8Array {
  return first ? (first.length + second.length <= MAX_METADATA ? concat([first, second]) : first) : second;
}

/** Decompress metadata; nothing where they are broken or too long. */
export async function inflate(compressed: Uint8Array): Promise<Uint8Array> {
  try {
    const parts: Uint8Array[] = [];
    for await (const part of inflated([compressed], MAX_METADATA)) parts.push(part);
    return concat(parts);
  } catch {
    return new Uint8Array(); // as the runtime takes a broken profile or text: it is not there
  }
}

/** Decompress zlib's format piece by piece, up to a number of bytes. */
export async function* inflated(parts: readonly Uint8Array[], limit: number): AsyncGenerator<Uint8Array> {
  const stream = new Blob(parts as Uint8Array<ArrayBuffer>[]).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  let count = 0;
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    if (!value || (count += value.length) > limit) throw new LimitError("decompresses to too much");
    yield value;
  }
}
