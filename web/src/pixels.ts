/** RGB of what a decoder gives, and EXIF's orientation undone. */
import type { Box, Pixels } from "./resample.js";

/** Drop what is transparent onto white, as Pillow's `alpha_composite` does. */
export function fromRgba(source: Uint8Array, width: number, height: number, stride = 4 * width, isBgr = false): Pixels {
  const data = new Uint8Array(width * height * 3);
  const [red, blue] = isBgr ? [2, 0] : [0, 2];
  for (let row = 0, at = 0; row < height; row++) {
    for (let from = row * stride; from < row * stride + 4 * width; from += 4, at += 3) {
      const alpha = source[from + 3] as number;
      data[at] = onWhite(source[from + red] as number, alpha);
      data[at + 1] = onWhite(source[from + 1] as number, alpha);
      data[at + 2] = onWhite(source[from + blue] as number, alpha);
    }
  }
  return { data, width, height };
}

/** AlphaComposite.c on an opaque background: 7 bits more than 8, rounded twice. */
function onWhite(level: number, alpha: number): number {
  if (alpha === 255) return level;
  const share = Math.trunc((alpha * 255 * 255 * 128) / (255 * 255));
  const sum = level * share + 255 * (255 * 128 - share);
  const rounded = sum + (0x80 << 7);
  return (((rounded >> 8) + rounded) >> 8) >> 7;
}

/** For each orientation: whether the sides are exchanged, and then whether it is mirrored across and down. */
const TURNS: Readonly<Record<number, readonly [boolean, boolean, boolean]>> = {
  2: [false, true, false],
  3: [false, true, true],
  4: [false, false, true],
  5: [true, false, false],
  6: [true, true, false],
  7: [true, true, true],
  8: [true, false, true],
};

/** Undo an orientation of EXIF, 1 to 8. */
export function turned(photo: Pixels, turn: number): Pixels {
  const found = TURNS[turn];
  if (!found) return photo;
  const [isSideways, fromRight, fromBelow] = found;
  const [width, height] = isSideways ? [photo.height, photo.width] : [photo.width, photo.height];
  const data = new Uint8Array(photo.data.length);
  for (let row = 0, at = 0; row < height; row++) {
    const y = fromBelow ? height - 1 - row : row;
    for (let column = 0; column < width; column++, at += 3) {
      const x = fromRight ? width - 1 - column : column;
      const from = 3 * (isSideways ? x * photo.width + y : y * photo.width + x);
      data[at] = photo.data[from] as number;
      data[at + 1] = photo.data[from + 1] as number;
      data[at + 2] = photo.data[from + 2] as number;
    }
  }
  return { data, width, height };
}

/** Return where the part `filled` of a picture, which begins at its first pixel, lies once the picture is upright. */
export function turnedBox(size: readonly [number, number], filled: readonly [number, number], turn: number): Box {
  const [isSideways, fromRight, fromBelow] = TURNS[turn] ?? [false, false, false];
  const [[width, height], [right, bottom]] = isSideways
    ? [
        [size[1], size[0]],
        [filled[1], filled[0]],
      ]
    : [size, filled];
  const [left, top] = [fromRight ? width - right : 0, fromBelow ? height - bottom : 0];
  return [left, top, left + right, top + bottom];
}
