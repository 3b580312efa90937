/** EXIF's orientation, and whether a profile is wider than sRGB: ports of orientation.py and colour.py. */
import { latin1, startsWith, viewOf } from "./header.js";

const ORIENTATION = 0x0112;
const EXIF = "Exif\0\0";

/** An EXIF block that cannot be read, or an orientation that is none. */
class BrokenExifError extends Error {}

/** Return the orientation, 1 to 8, of a photo's EXIF block and, where that has none, XMP packet; and if it is broken. */
export function readOrientation(
  exif: Uint8Array | undefined,
  xmp: Uint8Array | undefined,
): { turn: number; isExifBroken: boolean } {
  try {
    return { turn: orientation(exif, xmp), isExifBroken: false };
  } catch {
    return { turn: 1, isExifBroken: true }; // a DataView beyond its end, or what is thrown below
  }
}

function orientation(exif: Uint8Array = new Uint8Array(), xmp: Uint8Array = new Uint8Array()): number {
  for (let times = 0; times < 2; times++) if (startsWith(exif, EXIF)) exif = exif.subarray(EXIF.length);
  const value = exif.length ? inDirectory(exif) : null;
  const found = value ?? Number(/tiff:Orientation(?:="|>)([0-9])/.exec(latin1(xmp))?.[1] ?? 1);
  if (found < 1 || found > 8) throw new BrokenExifError();
  return found;
}

/** Return the orientation in the first directory of a TIFF file, null where it has none. */
function inDirectory(tiff: Uint8Array): number | null {
  const view = viewOf(tiff);
  const isLittle = startsWith(tiff, "II");
  if (!isLittle && !startsWith(tiff, "MM")) throw new BrokenExifError();
  const start = view.getUint32(4, isLittle);
  const count = view.getUint16(start, isLittle);
  for (let entry = start + 2; entry < start + 2 + 12 * count; entry += 12) {
    const [tag, kind, values] = [
      view.getUint16(entry, isLittle),
      view.getUint16(entry + 2, isLittle),
      view.getUint32(entry + 4, isLittle),
    ];
    view.getUint8(entry + 7);
    if (tag !== ORIENTATION) continue;
    if (values !== 1) throw new BrokenExifError();
    if (kind === 1 || kind === 6) return view.getInt8(entry + 8);
    if (kind === 3 || kind === 8) return view.getInt16(entry + 8, isLittle);
    if (kind === 4 || kind === 9) return view.getInt32(entry + 8, isLittle);
    throw new BrokenExifError();
  }
  return null;
}

const WIDE_PRIMARIES = new Set([9, 10, 11, 12]); // BT.2020, XYZ, DCI-P3, Display P3
const SRGB_AREA = 0.1121; // of the triangle of its primaries in xy
const WIDER = 1.1; // profiles of sRGB differ by rounding, and by how they adapt the white

/** Say whether the primaries of an ICC profile, or those of a number in H.273, span more than sRGB's. */
export function isWideGamut(icc: Uint8Array | undefined, primaries?: number): boolean {
  if (primaries !== undefined && WIDE_PRIMARIES.has(primaries)) return true;
  try {
    const [red, green, blue] = ["rXYZ", "gXYZ", "bXYZ"].map((name) =>
      chromaticity(icc ?? new Uint8Array(), name),
    ) as Point[];
    const area =
      Math.abs((green![0] - red![0]) * (blue![1] - red![1]) - (blue![0] - red![0]) * (green![1] - red![1])) / 2;
    return area > WIDER * SRGB_AREA;
  } catch {
    return false; // no profile, or one without such primaries
  }
}

type Point = [number, number];

function chromaticity(icc: Uint8Array, name: string): Point {
  const view = viewOf(icc);
  const count = Math.min(view.getUint32(128), 100);
  for (let entry = 132; entry < 132 + 12 * count; entry += 12) {
    if (!startsWith(icc, name, entry)) continue;
    const at = view.getUint32(entry + 4) + 8;
    const [x, y, z] = [view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8)];
    return [x / (x + y + z), y / (x + y + z)];
  }
  throw new RangeError(name);
}
