/** The browser's decoders: WebCodecs where there is one, a canvas otherwise, never scaled by either. */
import { InputError } from "./errors.js";
import { DamagedError, type Header } from "./formats/index.js";
import {
  coloursOf,
  JPEG_COLOURS,
  planesToRgb,
  reduce,
  reducePlanes,
  WEBP_COLOURS,
  type Colours,
  type Plane,
  type Planes,
} from "./planes.js";
import { fromRgba } from "./pixels.js";
import type { Pixels } from "./resample.js";

/** A picture as stored, that is not yet upright. */
export interface Decoded {
  readonly pixels: Pixels;
  /** By what both sides were divided. */
  readonly factor: number;
  /** Width and height before that. */
  readonly fullSize: readonly [number, number];
  /** Orientation that the decoder found and did not apply, 1 to 8. */
  readonly turn: number;
  readonly fallback: string | null;
}

/** Says by how much a picture of that width and height is reduced. */
type Reduction = (size: readonly [number, number]) => number;

const STRIP = 2 ** 22; // pixels that pass a canvas at a time: browsers limit its area

/**
 * Decode the picture of a file.
 *
 * @throws InputError There is no decoder for it here.
 */
export async function decodePicture(header: Header, reduction: Reduction, name: string): Promise<Decoded> {
  const problem = await webCodecsProblem(header.type);
  if (!problem) return byWebCodecs(header, reduction);
  if (typeof createImageBitmap === "undefined" || typeof OffscreenCanvas === "undefined") {
    const remedy = "decode it first and pass { data, width, height }, the pixels as RGB or RGBA";
    throw new InputError(
      "not_an_image",
      `${name}: there is no decoder for encoded photos outside of browsers; ${remedy}`,
    );
  }
  return byCanvas(header, reduction, name, problem);
}

async function webCodecsProblem(type: string): Promise<string | null> {
  if (typeof ImageDecoder === "undefined") return "decoder: no WebCodecs ImageDecoder here, a canvas decoded the photo";
  if (await ImageDecoder.isTypeSupported(type)) return null;
  return `decoder: no WebCodecs ImageDecoder for ${type} here, a canvas decoded the photo`;
}

async function byWebCodecs(header: Header, reduction: Reduction): Promise<Decoded> {
  const decoder = new ImageDecoder({
    data: header.picture as Uint8Array<ArrayBuffer>,
    type: header.type,
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
    preferAnimation: false,
  } as ImageDecoderInit);
  try {
    const { image } = await decoder.decode({ frameIndex: 0, completeFramesOnly: true });
    try {
      return await fromFrame(image, header, reduction);
    } finally {
      image.close();
    }
  } finally {
    decoder.close();
  }
}

async function fromFrame(frame: VideoFrame, header: Header, reduction: Reduction): Promise<Decoded> {
  const rect = frame.visibleRect ?? new DOMRectReadOnly(0, 0, frame.codedWidth, frame.codedHeight);
  const fullSize = [rect.width, rect.height] as const;
  const factor = reduction(fullSize);
  const colours = coloursFor(header, frame);
  const planes = colours && (await planesOf(frame));
  const pixels = planes
    ? planesToRgb(reducePlanes(planes, factor, header.steps ?? []), colours)
    : reduceRgb(await rgbOf(frame), factor);
  return { pixels, factor, fullSize, turn: turnOf(frame), fallback: null };
}

function coloursFor(header: Header, frame: VideoFrame): Colours | null {
  if (header.format === "JPEG") return JPEG_COLOURS;
  return header.format === "WebP" ? WEBP_COLOURS : coloursOf(frame.colorSpace.toJSON());
}

/** Return the planes of a frame that consists of three, as they are; null of another. */
async function planesOf(frame: VideoFrame): Promise<Planes | null> {
  const divisors = { I420: [2, 2], I422: [2, 1], I444: [1, 1] }[frame.format as string];
  const rect = frame.visibleRect;
  if (!divisors || !rect || rect.x || rect.y) return null;
  const data = new Uint8Array(frame.allocationSize());
  const layout = await frame.copyTo(data);
  return layout.map(({ offset, stride }, index) => {
    const [across, down] = (index ? divisors : [1, 1]) as [number, number];
    return tight(data.subarray(offset), stride, Math.ceil(rect.width / across), Math.ceil(rect.height / down));
  }) as unknown as Planes;
}

function tight(data: Uint8Array, stride: number, width: number, height: number): Plane {
  if (stride === width) return { data: data.subarray(0, width * height), width, height };
  const rows = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) rows.set(data.subarray(row * stride, row * stride + width), row * width);
  return { data: rows, width, height };
}

async function rgbOf(frame: VideoFrame): Promise<Pixels> {
  const { width, height } = frame.visibleRect ?? { width: frame.codedWidth, height: frame.codedHeight };
  const isNative = ["RGBA", "RGBX", "BGRA", "BGRX"].includes(frame.format as string);
  const options = isNative ? {} : { format: "RGBA" as const };
  const data = new Uint8Array(frame.allocationSize(options));
  const [layout] = await frame.copyTo(data, options);
  if (frame.format?.endsWith("X")) for (let at = 3; at < data.length; at += 4) data[at] = 255;
  return fromRgba(
    data.subarray(layout?.offset),
    width,
    height,
    layout?.stride,
    isNative && frame.format?.startsWith("B"),
  );
}

/** Return the orientation, 1 to 8, of a frame that is to be turned clockwise and then mirrored. */
function turnOf(frame: VideoFrame): number {
  const { rotation = 0, flip = false } = frame as { rotation?: number; flip?: boolean };
  return (flip ? { 0: 2, 90: 7, 180: 4, 270: 5 } : { 0: 1, 90: 6, 180: 3, 270: 8 })[rotation] ?? 1;
}

function reduceRgb(photo: Pixels, factor: number): Pixels {
  return reduce(photo, factor, 3);
}

async function byCanvas(header: Header, reduction: Reduction, name: string, fallback: string): Promise<Decoded> {
  const blob = new Blob([header.picture as Uint8Array<ArrayBuffer>], { type: header.type });
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    if (["JPEG", "PNG"].includes(header.format)) throw new DamagedError(String(error), { cause: error });
    const message = `${name}: ${header.format} that this browser does not decode, or damaged; convert it to JPEG, PNG or WebP`;
    throw new InputError("not_an_image", message, { cause: error });
  }
  const pixels = throughCanvas(bitmap);
  const fullSize = [bitmap.width, bitmap.height] as const;
  bitmap.close();
  const factor = reduction(fullSize);
  return { pixels: reduceRgb(pixels, factor), factor, fullSize, turn: 1, fallback };
}

/** Read a bitmap's pixels, in strips, at their own size. */
function throughCanvas(bitmap: ImageBitmap): Pixels {
  const { width, height } = bitmap;
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP / width)));
  const context = new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  if (!context) throw new DamagedError("there is no canvas to read it through");
  const data = new Uint8Array(width * height * 3);
  for (let top = 0; top < height; top += rows) {
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const count = Math.min(rows, height - top);
    const strip = context.getImageData(0, 0, width, count).data;
    data.set(fromRgba(new Uint8Array(strip.buffer), width, count).data, 3 * top * width);
  }
  return { data, width, height };
}

/** Read the pixels of an ImageBitmap. */
export async function decodeBitmap(bitmap: ImageBitmap): Promise<Decoded> {
  const fullSize = [bitmap.width, bitmap.height] as const;
  const done = (pixels: Pixels, fallback: string | null): Decoded => ({
    pixels,
    factor: 1,
    fullSize,
    turn: 1,
    fallback,
  });
  if (typeof VideoFrame === "undefined")
    return done(throughCanvas(bitmap), "decoder: no WebCodecs VideoFrame here, the bitmap was read through a canvas");
  const frame = new VideoFrame(bitmap, { timestamp: 0 });
  try {
    return done(await rgbOf(frame), null);
  } finally {
    frame.close();
  }
}
