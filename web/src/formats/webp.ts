/** WebP: the chunks of its first frame. Source: RFC 9649; a port of images/webp.py. */
import { isWideGamut, readOrientation } from "./exif.js";
import { checkParts, concat, latin1, viewOf, type Header } from "./header.js";

const KEPT = new Set(["VP8 ", "VP8L", "ALPH", "ANIM"]);
const TRANSPARENCY_AND_ANIMATION = 0x12; // flags: what is left out is not announced

/** Read the header of a WebP file; of an animation the first frame. */
export function readWebp(data: Uint8Array): Header {
  const parts: Uint8Array[] = [];
  const metadata = new Map<string, Uint8Array>();
  let size: readonly [number, number] | null = null;
  let frames = 0;
  for (const { kind, whole, body } of chunks(data)) {
    if (kind === "VP8X" && body.length >= 10) {
      size = [1 + uint24(body, 4), 1 + uint24(body, 7)];
      const copy = whole.slice();
      copy[8] = (copy[8] as number) & TRANSPARENCY_AND_ANIMATION;
      parts.push(copy);
    } else if (KEPT.has(kind) || (kind === "ANMF" && frames === 0)) {
      parts.push(whole);
      if (kind !== "ALPH" && kind !== "ANIM") frames++;
      size ??= frameSize(kind, body);
    } else if (!metadata.has(kind)) metadata.set(kind, body);
  }
  const content = concat(parts);
  const riff = new Uint8Array(12);
  riff.set(new TextEncoder().encode("RIFF    WEBP"));
  viewOf(riff).setUint32(4, content.length + 4, true);
  return {
    format: "WebP",
    type: "image/webp",
    size,
    picture: concat([riff, content]),
    ...readOrientation(metadata.get("EXIF"), metadata.get("XMP ")),
    isWideGamut: isWideGamut(metadata.get("ICCP")),
    missing: 0,
    hasEnd: true,
  };
}

function* chunks(data: Uint8Array): Generator<{ kind: string; whole: Uint8Array; body: Uint8Array }> {
  let count = 0;
  for (let at = 12; at + 8 <= data.length;) {
    checkParts(++count, "chunks");
    const end = at + 8 + viewOf(data).getUint32(at + 4, true);
    const next = end + (end % 2);
    yield {
      kind: latin1(data.subarray(at, at + 4)),
      whole: data.subarray(at, Math.min(next, data.length)),
      body: data.subarray(at + 8, Math.min(end, data.length)),
    };
    at = next;
  }
}

function uint24(data: Uint8Array, at: number): number {
  return (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8) | ((data[at + 2] ?? 0) << 16);
}

function frameSize(kind: string, body: Uint8Array): readonly [number, number] | null {
  if (body.length < 10) return null;
  if (kind !== "VP8L") return [viewOf(body).getUint16(6, true) & 0x3fff, viewOf(body).getUint16(8, true) & 0x3fff];
  const bits = viewOf(body).getUint32(1, true);
  return [1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff)];
}
