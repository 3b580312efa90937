/** The formats, told apart by how a file starts: a port of images/formats.py. */
import { readJpeg } from "./jpeg.js";
import { latin1, startsWith, viewOf, type Header } from "./header.js";
import { readPng } from "./png.js";
import { readWebp } from "./webp.js";

export { DamagedError, LimitError, type Header } from "./header.js";

/** Read what a file says of its first picture; null of a file in none of the formats. */
export async function readHeader(data: Uint8Array): Promise<Header | null> {
  if (startsWith(data, "\xff\xd8\xff")) return readJpeg(data);
  if (startsWith(data, "\x89PNG\r\n\x1a\n")) return readPng(data);
  if (startsWith(data, "RIFF") && startsWith(data, "WEBP", 8)) return readWebp(data);
  if (startsWith(data, "GIF87a") || startsWith(data, "GIF89a"))
    return plain("GIF", "image/gif", data, [viewOf(data).getUint16(6, true), viewOf(data).getUint16(8, true)]);
  if (startsWith(data, "BM")) return plain("BMP", "image/bmp", data, bmpSize(data));
  if (startsWith(data, "ftyp", 4)) return isobmff(data);
  if (startsWith(data, "II*\0") || startsWith(data, "MM\0*")) return plain("TIFF", "image/tiff", data, null);
  if (startsWith(data, "\0\0\0\x0cjP  ") || startsWith(data, "\xff\x4f\xff\x51"))
    return plain("JPEG 2000", "image/jp2", data, null);
  if (/^P[1-6f]\s/.test(latin1(data.subarray(0, 3)))) return plain("PNM", "image/x-portable-anymap", data, null);
  return null;
}

/** Describe a file of which nothing else is read. */
function plain(format: Header["format"], type: string, data: Uint8Array, size: Header["size"]): Header {
  const nothing = { isExifBroken: false, isWideGamut: false, missing: 0, hasEnd: true };
  return { format, type, size, picture: data, turn: null, ...nothing };
}

function bmpSize(data: Uint8Array): Header["size"] {
  if (data.length < 26) return null;
  const view = viewOf(data);
  if (view.getUint32(14, true) === 12) return [view.getUint16(18, true), view.getUint16(20, true)];
  return [view.getUint32(18, true), Math.abs(view.getInt32(22, true))];
}

const AVIF = ["avif", "avis"];
const HEIC = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];

function isobmff(data: Uint8Array): Header | null {
  const length = Math.min(viewOf(data).getUint32(0), 256);
  const brands = [latin1(data.subarray(8, 12))];
  for (let at = 16; at < length; at += 4) brands.push(latin1(data.subarray(at, at + 4)));
  const has = (names: readonly string[]): boolean => brands.some((brand) => names.includes(brand));
  if (has(AVIF))
    return { ...plain("AVIF", "image/avif", data, largestItem(data)), isWideGamut: hasWidePrimaries(data) };
  if (has(HEIC))
    return { ...plain("HEIC", "image/heic", data, largestItem(data)), isWideGamut: hasWidePrimaries(data) };
  return null;
}

const BOXES = 2 ** 16; // bytes that are searched: the boxes that describe a picture lie in front of it

/** Return the largest size that an `ispe` property gives. */
function largestItem(data: Uint8Array): Header["size"] {
  const sizes = [...latin1(data.subarray(0, BOXES)).matchAll(/ispe[^]{4}([^]{4})([^]{4})/g)].map(
    ([, width, height]) => [uint32(width as string), uint32(height as string)] as const,
  );
  return sizes.sort((a, b) => b[0] * b[1] - a[0] * a[1])[0] ?? null;
}

/** Say whether a `colr` property names primaries wider than sRGB's: BT.2020, XYZ, DCI-P3 or Display P3. */
function hasWidePrimaries(data: Uint8Array): boolean {
  const found = /colrnclx\0([^])/.exec(latin1(data.subarray(0, BOXES)))?.[1];
  return found !== undefined && [9, 10, 11, 12].includes(found.charCodeAt(0));
}

function uint32(bytes: string): number {
  return [...bytes].reduce((value, byte) => value * 256 + byte.charCodeAt(0), 0);
}
