/** From any input to an RGB photo, upright, with what was found out on the way. */
import { decodePicture, decodeBitmap, type Decoded as Picture } from "./decoders.js";
import { InputError, AifaceError, reason } from "./errors.js";
import { DamagedError, LimitError, readHeader, type Header } from "./formats/index.js";
import { type Limits } from "./limits.js";
import { fromRgba, turned, turnedBox } from "./pixels.js";
import type { PhotoWarning } from "./record.js";
import type { Box, Pixels } from "./resample.js";

const MAX_ASPECT = 32; // scaling a thin strip by its shorter side would take gigabytes
const TINY = 64; // pixels of the shorter side: a face in it is hardly more than a dozen blocks of JPEG

/** Pixels as a canvas gives them, or plain RGB: three or four bytes a pixel, row by row. */
export interface PixelData {
  readonly data: Uint8ClampedArray | Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** What `predict` takes; encoded photos in browsers only, which have the decoders. */
export type PhotoInput = Blob | ArrayBuffer | Uint8Array | ImageBitmap | PixelData;

/** A decoded photo. */
export interface DecodedPhoto {
  readonly pixels: Pixels;
  /** Part of it that the photo fills, where it was reduced and its sides do not divide. */
  readonly box?: Box;
  readonly warnings: ReadonlySet<PhotoWarning>;
  /** Share of the photo for which the file has no data, 0 to 1. */
  readonly missing: number;
  /** Width and height of the whole upright photo, before it was reduced. */
  readonly fullSize: readonly [number, number];
  /** Why the better decoder was passed over; null where it was not. */
  readonly fallback: string | null;
}

/** Name an input for messages and records, as the Python runtime does. */
export function describe(source: unknown): string {
  if (typeof File !== "undefined" && source instanceof File) return source.name;
  if (source instanceof Blob) return `<${source.size.toLocaleString("en")} bytes>`;
  if (source instanceof ArrayBuffer || source instanceof Uint8Array)
    return `<${source.byteLength.toLocaleString("en")} bytes>`;
  if (isPixelData(source)) return `<pixels ${source.width}x${source.height}>`;
  if (isBitmap(source)) return `<ImageBitmap ${source.width}x${source.height}>`;
  return `<${Object.prototype.toString.call(source).slice(8, -1)}>`;
}

/**
 * Decode a photo.
 *
 * @param minSize Width and height that must remain when a JPEG is reduced; null for full size.
 * @throws InputError The photo cannot be used; the message names it and the remedy.
 */
export async function decode(
  source: PhotoInput,
  minSize: readonly [number, number] | null,
  limits: Limits,
): Promise<DecodedPhoto> {
  const name = describe(source);
  try {
    if (isPixelData(source)) return fromPixelData(source, name, limits);
    if (isBitmap(source)) return await fromBitmap(source, name, limits);
    return await fromBytes(await bytesOf(source, name, limits), name, minSize, limits);
  } catch (error) {
    throw inputError(error, name);
  }
}

function inputError(error: unknown, name: string): AifaceError {
  if (error instanceof AifaceError) return error;
  if (error instanceof LimitError) return new InputError("too_large", `${name}: ${reason(error)}`, { cause: error });
  if (error instanceof RangeError && /alloc|array.*length/i.test(error.message))
    return new InputError("out_of_memory", `${name}: there is no memory left to decode it; save it smaller`, {
      cause: error,
    });
  const message = `${name}: is damaged or cut short (${reason(error)}); get the file again`;
  return new InputError("not_an_image", message, { cause: error });
}

function isPixelData(source: unknown): source is PixelData {
  return typeof source === "object" && source !== null && "data" in source && "width" in source && "height" in source;
}

function isBitmap(source: unknown): source is ImageBitmap {
  return typeof ImageBitmap !== "undefined" && source instanceof ImageBitmap;
}

function fromPixelData(source: PixelData, name: string, limits: Limits): DecodedPhoto {
  const { data, width, height } = source;
  const channels = data.length / (width * height);
  const isBytes = data instanceof Uint8ClampedArray || data instanceof Uint8Array;
  if (!isBytes || !Number.isInteger(width) || !Number.isInteger(height) || (channels !== 3 && channels !== 4))
    throw new InputError("wrong_type", `${name}: pixels must be bytes, three or four for each of width x height`);
  const warnings = new Set<PhotoWarning>();
  if ("colorSpace" in source && source.colorSpace !== "srgb") warnings.add("wide_gamut");
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
  const pixels = channels === 3 ? { data: bytes, width, height } : fromRgba(bytes, width, height);
  return finished({ pixels, fallback: null }, [width, height], warnings, name, limits);
}

async function fromBitmap(source: ImageBitmap, name: string, limits: Limits): Promise<DecodedPhoto> {
  checkSize([source.width, source.height], limits.pixels);
  const picture = await decodeBitmap(source);
  return finished(picture, [picture.pixels.width, picture.pixels.height], new Set(), name, limits);
}

function finished(
  picture: { pixels: Pixels; fallback: string | null },
  fullSize: readonly [number, number],
  warnings: Set<PhotoWarning>,
  name: string,
  limits: Limits,
): DecodedPhoto {
  checkShape(fullSize, name);
  checkSize(fullSize, limits.pixels);
  if (Math.min(...fullSize) < TINY) warnings.add("tiny");
  return { ...picture, warnings, missing: 0, fullSize };
}

async function bytesOf(source: Blob | ArrayBuffer | Uint8Array, name: string, limits: Limits): Promise<Uint8Array> {
  const isBlob = source instanceof Blob;
  if (!isBlob && !(source instanceof ArrayBuffer) && !(source instanceof Uint8Array))
    throw new InputError(
      "wrong_type",
      `${name}: not a File, Blob, ImageBitmap, ImageData or Uint8Array; pass one of those`,
    );
  const size = isBlob ? source.size : source.byteLength;
  if (size > limits.bytes)
    throw new LimitError(`${size} bytes; at most ${limits.bytes} are read, save it smaller or raise limits.bytes`);
  if (isBlob) return new Uint8Array(await source.arrayBuffer());
  return source instanceof Uint8Array ? source : new Uint8Array(source);
}

async function fromBytes(
  data: Uint8Array,
  name: string,
  minSize: readonly [number, number] | null,
  limits: Limits,
): Promise<DecodedPhoto> {
  const header = await readHeader(data);
  if (!header)
    throw new InputError(
      "not_an_image",
      `${name}: not a picture in a format that is decoded; convert it to JPEG, PNG or WebP`,
    );
  const reducible = header.format === "JPEG" ? minSize : null;
  if (header.size) {
    checkShape(header.size, name);
    checkSize(header.size, reducible ? limits.scaledPixels : limits.pixels);
  }
  const picture = await decodePicture(header, (size) => reduction(size, header.turn ?? 1, reducible), name);
  const turn = header.turn ?? picture.turn;
  const missing = Math.max(header.missing, await filledShare(header, picture));
  if (missing > 0 && !header.hasEnd) throw new DamagedError("its picture is cut short");
  const fullSize = upright(picture.fullSize, turn);
  const warnings = warningsOf(header, missing);
  const shown = finished(
    { pixels: turned(picture.pixels, turn), fallback: picture.fallback },
    fullSize,
    warnings,
    name,
    {
      ...limits,
      pixels: reducible ? limits.scaledPixels : limits.pixels,
    },
  );
  checkSize([shown.pixels.width, shown.pixels.height], limits.pixels);
  return { ...shown, missing, ...boxOf(picture, turn) };
}

/** Return what part of its pixels a reduced photo fills, upright; nothing where it was not reduced. */
function boxOf(picture: Picture, turn: number): { box?: Box } {
  if (picture.factor === 1) return {};
  const { pixels, fullSize, factor } = picture;
  return { box: turnedBox([pixels.width, pixels.height], [fullSize[0] / factor, fullSize[1] / factor], turn) };
}

function warningsOf(header: Header, missing: number): Set<PhotoWarning> {
  const warnings = new Set<PhotoWarning>();
  if (header.isExifBroken) warnings.add("broken_exif");
  if (header.isWideGamut) warnings.add("wide_gamut");
  if (missing > 0) warnings.add("truncated");
  return warnings;
}

/** Ask for the share that the decoder filled, where the last pixels are of the level that it fills with. */
async function filledShare(header: Header, { pixels }: Picture): Promise<number> {
  const corner = pixels.data.subarray(pixels.data.length - 3 * Math.min(8, pixels.width));
  const isFilled = header.filling === undefined || corner.every((level) => level === header.filling);
  return header.filled && isFilled ? header.filled() : 0;
}

/** Return by how much a JPEG is reduced, as Pillow's `draft` chooses it: the most that leaves `minSize`. */
function reduction(size: readonly [number, number], turn: number, minSize: readonly [number, number] | null): number {
  if (!minSize) return 1;
  const [width, height] = upright(minSize, turn);
  const scale = Math.min(Math.floor(size[0] / width), Math.floor(size[1] / height));
  return [8, 4, 2].find((factor) => scale >= factor) ?? 1;
}

function upright(size: readonly [number, number], turn: number): readonly [number, number] {
  return turn >= 5 ? [size[1], size[0]] : size;
}

function checkSize(size: readonly [number, number], limit: number): void {
  if (size[0] * size[1] > limit)
    throw new LimitError(`${size[0]} x ${size[1]} pixels; at most ${limit} are decoded, resize it first`);
}

function checkShape(size: readonly [number, number], name: string): void {
  const [shorter, longer] = [Math.min(...size), Math.max(...size)];
  if (shorter <= 0) throw new DamagedError("it has no pixels");
  if (longer > MAX_ASPECT * shorter) {
    const message = `${name}: ${size[0]} x ${size[1]} is a strip, not a photo of a face; crop it to the face`;
    throw new InputError("bad_shape", message);
  }
}
