/** JPEG: its segments, its scans, and what of it is missing. Source: ITU-T T.81; a port of images/jpeg.py. */
import { isWideGamut, readOrientation } from "./exif.js";
import { checkParts, concat, DamagedError, joined, LimitError, startsWith, viewOf, type Header } from "./header.js";
import { missingRows } from "./jpegRows.js";

const MAX_SCANS = 64;
const MAX_SCANNED = 600_000_000; // pixels of all scans together
const SCAN = 0xda;
const EOI = 0xd9;
const PROGRESSIVE = new Set([0xc2, 0xc6, 0xca, 0xce]);
const EXIF = "Exif\0\0";
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const ICC = "ICC_PROFILE\0";

const isFrame = (marker: number): boolean => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
const isBare = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
// With JFIF's and Adobe's segments, which name the colours.
const isDecoded = (marker: number): boolean => isFrame(marker) || [0xc4, 0xcc, 0xdb, 0xdd, 0xe0, 0xee].includes(marker);

/** For each coefficient as stored, its index in rows: diagonals, every other one upwards. */
const DIAGONALS = Array.from({ length: 64 }, (_, index) => index).sort((a, b) => {
  const [[y, x], [other, across]] = [
    [a >> 3, a & 7],
    [b >> 3, b & 7],
  ] as const;
  return x + y - (other + across) || ((x + y) % 2 ? y - other : x - across);
});

/** A component of the frame: its number, its sampling factors, and which table has its coefficients' steps. */
export interface Component {
  readonly id: number;
  readonly across: number;
  readonly down: number;
  readonly table: number;
}

/** The frame header. */
export interface Frame {
  readonly marker: number;
  readonly width: number;
  readonly height: number;
  readonly components: readonly Component[];
}

/** Components, first and last coefficient, and the bit down to which a scan gives them. */
interface Scan {
  readonly components: readonly number[];
  readonly first: number;
  readonly last: number;
  readonly lowBit: number;
}

/** What lies before the first scan. */
interface Front {
  parts: Uint8Array[];
  start: number;
  tables: Map<number, Uint16Array>;
  frame?: Frame;
  exif?: Uint8Array;
  xmp?: Uint8Array;
  icc?: Uint8Array;
}

/** Read the header of a JPEG; later pictures of an MPO, gain maps among them, are left alone. */
export function readJpeg(data: Uint8Array): Header {
  const front = readFront(data);
  const { frame, start } = front;
  if (!frame || start === data.length) throw new DamagedError("it ends before its picture starts");
  let end = data.length;
  while (data[end - 1] === 0) end--; // zeros: the rest of a file whose writing was cut off
  const whole = data.subarray(0, end);
  const scans = readScans(whole, start, frame);
  const isSingle = scans.length === 1 && !PROGRESSIVE.has(frame.marker);
  const picture = concat([...front.parts, whole.subarray(start), Uint8Array.of(0xff, EOI)]);
  return {
    format: "JPEG",
    type: "image/jpeg",
    size: [frame.width, frame.height],
    steps: frame.components.flatMap(({ table }) => front.tables.get(table) ?? []),
    picture,
    ...readOrientation(front.exif, front.xmp),
    isWideGamut: isWideGamut(front.icc),
    missing: missingCoefficients(scans, frame),
    ...(isSingle ? { filled: () => missingRows(picture, frame), filling: 0x80 } : {}),
    hasEnd: hasMarker(data, EOI, start),
  };
}

function hasMarker(data: Uint8Array, marker: number, from: number): boolean {
  for (let at = data.lastIndexOf(marker); at > from; at = data.lastIndexOf(marker, at - 1))
    if (data[at - 1] === 0xff) return true;
  return false;
}

function readFront(data: Uint8Array): Front {
  const front: Front = { parts: [data.subarray(0, 2)], start: data.length, tables: new Map() };
  for (const { marker, begin, body, end } of segments(data)) {
    if (marker === SCAN) {
      front.start = begin;
      break;
    }
    const content = data.subarray(body, end);
    if (isFrame(marker)) front.frame = readFrame(marker, content);
    else if (marker === 0xdb) readTables(content, front.tables);
    else if (marker === 0xe1 && startsWith(content, EXIF))
      front.exif = joined(front.exif, front.exif ? content.subarray(EXIF.length) : content);
    else if (marker === 0xe1 && startsWith(content, XMP)) front.xmp = content.subarray(XMP.length);
    else if (marker === 0xe2 && startsWith(content, ICC))
      front.icc = joined(front.icc, content.subarray(ICC.length + 2));
    if (isDecoded(marker)) front.parts.push(data.subarray(begin, end));
  }
  return front;
}

/** A segment: its marker, where that starts, where its content starts and ends. */
export interface Segment {
  readonly marker: number;
  readonly begin: number;
  readonly body: number;
  readonly end: number;
}

/** Yield the segments up to the first scan, and that scan's header. */
export function* segments(data: Uint8Array): Generator<Segment> {
  const view = viewOf(data);
  let count = 0;
  for (let at = nextMarker(data, 2); at >= 0;) {
    const marker = data[at + 1] as number;
    checkParts(++count, "segments");
    if (marker === EOI) return;
    if (isBare(marker)) {
      at = nextMarker(data, at + 2);
      continue;
    }
    const length = at + 4 <= data.length ? view.getUint16(at + 2) : 0;
    const end = at + 2 + length;
    if (length < 2 || end > data.length) throw new DamagedError("a segment is longer than the file");
    yield { marker, begin: at, body: at + 4, end };
    at = nextMarker(data, end);
  }
}

/** Return where the next marker starts, past fill bytes; -1 where there is none. */
function nextMarker(data: Uint8Array, from: number): number {
  for (let at = data.indexOf(0xff, from); at >= 0 && at + 1 < data.length; at = data.indexOf(0xff, at + 1)) {
    const next = data[at + 1] as number;
    if (next !== 0 && next !== 0xff) return at;
  }
  return -1;
}

/** Read tables of steps, of 8 or 16 bits each, which are stored along the diagonals. */
function readTables(content: Uint8Array, tables: Map<number, Uint16Array>): void {
  for (let at = 0; at < content.length;) {
    const kind = content[at++] as number;
    const bytes = kind >> 4 ? 2 : 1;
    const table = new Uint16Array(64);
    DIAGONALS.forEach((index, k) => {
      const from = at + k * bytes;
      table[index] = Math.max(1, bytes === 2 ? lengthAt(content, from) : (content[from] ?? 0));
    });
    tables.set(kind & 15, table);
    at += 64 * bytes;
  }
}

function readFrame(marker: number, content: Uint8Array): Frame {
  const view = viewOf(content);
  const count = content[5] ?? 0;
  if (content.length < 6 + 3 * count) throw new DamagedError("its components are not described");
  const components = Array.from({ length: count }, (_, index) => {
    const factors = content[7 + 3 * index] as number;
    const [id, table] = [content[6 + 3 * index] as number, content[8 + 3 * index] as number];
    return { id, across: factors >> 4, down: factors & 15, table };
  });
  const isRight = components.every(({ across, down }) => across > 0 && across < 5 && down > 0 && down < 5);
  if (!isRight || new Set(components.map(({ id }) => id)).size !== count || count === 0)
    throw new DamagedError("its components are not described");
  return { marker, width: view.getUint16(3), height: view.getUint16(1), components };
}

/** Read the header of every scan of the first picture; of one scan with all components, nothing else is walked. */
function readScans(data: Uint8Array, start: number, frame: Frame): Scan[] {
  const scans: Scan[] = [];
  for (let at = start; at >= 0;) {
    const end = at + 2 + lengthAt(data, at + 2);
    const content = data.subarray(at + 4, end);
    const components = Array.from({ length: content[0] ?? 0 }, (_, index) => content[1 + 2 * index] ?? -1);
    if (components.length === 0 || content.length < 4 + 2 * components.length)
      throw new DamagedError("it ends before its picture starts");
    const [first, last, bits] = content.subarray(-3) as unknown as [number, number, number];
    scans.push({ components, first, last, lowBit: bits & 15 });
    if (scans.length > MAX_SCANS || (scans.length - 1) * frame.width * frame.height > MAX_SCANNED)
      throw new LimitError(`${scans.length} scans or more; save it again`);
    if (!PROGRESSIVE.has(frame.marker) && scans.length === 1 && components.length === frame.components.length) break;
    at = nextScan(data, end);
  }
  return scans;
}

function nextScan(data: Uint8Array, from: number): number {
  let count = 0;
  for (let at = nextMarker(data, from); at >= 0;) {
    const marker = data[at + 1] as number;
    checkParts(++count, "segments");
    if (marker === SCAN) return at + 4 < data.length ? at : -1;
    if (marker === EOI) return -1;
    at = nextMarker(data, marker >= 0xd0 && marker <= 0xd7 ? at + 2 : at + 2 + lengthAt(data, at + 2));
  }
  return -1;
}

function lengthAt(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}

/** Return the share of coefficients that no scan gives to the last bit, 0 to 1; each counts by its component. */
function missingCoefficients(scans: readonly Scan[], frame: Frame): number {
  const isProgressive = PROGRESSIVE.has(frame.marker);
  const given = new Set<number>();
  for (const scan of scans) {
    if (isProgressive && scan.lowBit !== 0) continue;
    const last = isProgressive ? Math.min(scan.last, 63) : 63;
    for (const id of scan.components)
      for (let k = isProgressive ? scan.first : 0; k <= last; k++) given.add(64 * id + k);
  }
  let [absent, total] = [0, 0];
  for (const { id, across, down } of frame.components)
    for (let k = 0; k < 64; k++) {
      total += across * down;
      if (!given.has(64 * id + k)) absent += across * down;
    }
  return absent / total;
}
