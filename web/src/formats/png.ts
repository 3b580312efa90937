/** PNG: the chunks that its picture is made of, and the metadata in the others: a port of images/png.py. */
import { isWideGamut, readOrientation } from "./exif.js";
import { checkParts, concat, DamagedError, inflate, inflated, latin1, viewOf, type Header } from "./header.js";

const IEND = Uint8Array.of(0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82);
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const XMP_KEYWORD = "XML:com.adobe.xmp";
const EXIF_KEYWORD = "Raw profile type exif"; // ImageMagick's
const MAX_METADATA = 4 * 2 ** 20;

interface Chunk {
  readonly kind: string;
  readonly whole: Uint8Array;
  readonly body: Uint8Array;
  readonly isIntact: boolean;
}

/** Read the header of a PNG; of an animation the picture that programs without animation show. */
export async function readPng(data: Uint8Array): Promise<Header> {
  const parts = [data.subarray(0, 8)];
  const streams: Uint8Array[] = [];
  const texts = new Map<string, Uint8Array>();
  let ihdr: Uint8Array | undefined;
  for (const { kind, whole, body, isIntact } of chunks(data)) {
    const isCritical = kind[0] === kind[0]?.toUpperCase();
    if (isCritical && kind !== "IDAT" && !isIntact) throw new DamagedError(`checksum of ${kind}`);
    if (kind === "IHDR" && body.length === 13) ihdr = body;
    if (kind === "IDAT") streams.push(body);
    if (["IHDR", "PLTE", "IDAT"].includes(kind) || (kind === "tRNS" && isIntact && streams.length === 0))
      parts.push(whole);
    else if (!isCritical && isIntact && body.length <= MAX_METADATA) {
      const name = ["iTXt", "zTXt", "tEXt"].includes(kind) ? latin1(body.subarray(0, 80)).split("\0")[0] : kind;
      if (name && !texts.has(name)) texts.set(name, body);
    }
  }
  if (!ihdr || streams.length === 0) throw new DamagedError("it ends before its picture starts");
  const size = [viewOf(ihdr).getUint32(0), viewOf(ihdr).getUint32(4)] as const;
  const [depth, colours, isInterlaced] = [ihdr[8] ?? 0, ihdr[9] ?? 0, ihdr[12] !== 0];
  const icc = texts.get("iCCP");
  const exif = texts.get("eXIf") ?? (await rawProfile(texts.get(EXIF_KEYWORD)));
  return {
    format: "PNG",
    type: "image/png",
    size,
    picture: concat([...parts, IEND]),
    ...readOrientation(exif, await textOf(texts.get(XMP_KEYWORD))),
    isWideGamut: isWideGamut(icc && (await inflate(icc.subarray(icc.indexOf(0) + 2))), texts.get("cICP")?.[0]),
    missing: 0,
    filled: () => filled(streams, size, depth * (CHANNELS[colours] ?? 1), isInterlaced),
    filling: 0,
    hasEnd: true,
  };
}

/** Return the share of the picture that its data end without, properly but too early. */
async function filled(
  streams: readonly Uint8Array[],
  size: readonly [number, number],
  bits: number,
  isInterlaced: boolean,
): Promise<number> {
  const passes = isInterlaced ? ADAM7 : [[0, 0, 1, 1] as const];
  const whole = passes.reduce((total, [left, top, across, down]) => {
    const [width, height] = [Math.ceil((size[0] - left) / across), Math.ceil((size[1] - top) / down)];
    return width > 0 && height > 0 ? total + height * (1 + Math.ceil((width * bits) / 8)) : total;
  }, 0);
  let count = 0;
  for await (const part of inflated(streams, Infinity)) count += part.length;
  return Math.max(0, 1 - count / whole);
}

function* chunks(data: Uint8Array): Generator<Chunk> {
  const view = viewOf(data);
  let count = 0;
  for (let at = 8; at + 8 <= data.length;) {
    checkParts(++count, "chunks");
    const kind = latin1(data.subarray(at + 4, at + 8));
    const end = at + 12 + view.getUint32(at);
    if (kind === "IEND" || !/^[A-Za-z]{4}$/.test(kind)) return;
    if (end > data.length + (kind === "IDAT" ? 4 : 0)) {
      if (/^[a-z]/.test(kind)) return;
      throw new DamagedError("its picture is cut short");
    }
    const body = data.subarray(at + 8, end - 4);
    const isIntact = kind === "IDAT" || crc32(data.subarray(at + 4, end - 4)) === view.getUint32(end - 4);
    yield { kind, whole: data.subarray(at, end), body, isIntact };
    at = end;
  }
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (CRC[(crc ^ byte) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Return the text of an `iTXt` chunk: keyword, whether and how it is compressed, language, keyword again. */
async function textOf(chunk: Uint8Array | undefined): Promise<Uint8Array | undefined> {
  if (!chunk) return undefined;
  const flags = chunk.indexOf(0) + 1;
  const language = chunk.indexOf(0, flags + 2) + 1;
  const text = chunk.subarray(chunk.indexOf(0, language) + 1);
  return chunk[flags] === 1 ? inflate(text) : text;
}

/** Return the EXIF block that ImageMagick writes as hexadecimal text, plain or compressed, behind three lines. */
async function rawProfile(chunk: Uint8Array | undefined): Promise<Uint8Array | undefined> {
  if (!chunk) return undefined;
  const text = chunk.subarray(chunk.indexOf(0) + 1);
  const lines = latin1(text[0] === 0 ? await inflate(text.subarray(1)) : text).split("\n");
  const digits = lines.slice(3).join("").replace(/\s/g, "");
  const isHexadecimal = /^(?:[0-9a-fA-F]{2})*$/.test(digits);
  return isHexadecimal ? Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)) : undefined;
}
