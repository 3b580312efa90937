/**
 * Pillow's antialiased resize, to the bit.
 *
 * Source: `src/libImaging/Resample.c` of Pillow: weights in doubles, rounded to 22 bits; a pass across and a pass
 * down, each rounded to 8 bits.
 */
import type { Filter } from "./manifest.js";

/** uint8 RGB of `width` x `height`, row by row, three bytes a pixel. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Left, top, right and bottom, in pixels and fractions of them. */
export type Box = readonly [number, number, number, number];

type Averaging = Exclude<Filter, "nearest" | "bilinear_no_antialias">;

const PRECISION_BITS = 32 - 8 - 2;
const ONE = 2 ** PRECISION_BITS;

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

const FILTERS: Record<Averaging, { support: number; weight: (x: number) => number }> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(x * Math.PI))),
  },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Weigh by Keys' cubic with a = -0.5. */
function bicubic(x: number): number {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** For each pixel of the output its first source pixel, how many there are, and their weights in fixed point. */
interface Weights {
  first: Int32Array;
  count: Int32Array;
  values: Int32Array;
  stride: number;
}

/**
 * Resize as Pillow's `Image.resize` does.
 *
 * @param box Part of the photo that is resized; all of it by default.
 */
export function resize(photo: Pixels, width: number, height: number, filter: Averaging | "nearest", box?: Box): Pixels {
  const [left, top, right, bottom] = (box?.map(Math.fround) as unknown as Box) ?? [0, 0, photo.width, photo.height];
  const needsAcross = width !== photo.width || left !== 0 || right !== photo.width;
  const needsDown = height !== photo.height || top !== 0 || bottom !== photo.height;
  if (!needsAcross && !needsDown) return photo;
  if (filter === "nearest") return nearest(photo, width, height, [left, top, right, bottom]);
  const down = (from: Pixels): Pixels =>
    needsDown ? downwards(from, weigh(photo.height, top, bottom, height, filter)) : from;
  const wide = (from: Pixels): Pixels =>
    needsAcross ? across(from, weigh(photo.width, left, right, width, filter)) : from;
  return isDownFirst(photo, width, height) ? wide(down(photo)) : down(wide(photo));
}

/** Say whether the pass down comes first, as since Pillow 13 where it drops far more rows than the other one columns. */
function isDownFirst(photo: Pixels, width: number, height: number): boolean {
  return height < photo.height && photo.height - height > 2 * (photo.width - width);
}

function weigh(size: number, from: number, to: number, out: number, filter: Averaging): Weights {
  const scale = Math.fround(to - from) / out;
  const spread = Math.max(1, scale);
  const { support, weight } = FILTERS[filter];
  const reach = support * spread;
  const stride = Math.ceil(reach) * 2 + 1;
  const weights = {
    first: new Int32Array(out),
    count: new Int32Array(out),
    values: new Int32Array(out * stride),
    stride,
  };
  const row = new Float64Array(stride);
  for (let index = 0; index < out; index++) {
    const centre = from + (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(size, Math.trunc(centre + reach + 0.5)) - first;
    let sum = 0;
    for (let x = 0; x < count; x++) sum += row[x] = weight((x + first - centre + 0.5) * (1 / spread));
    for (let x = 0; x < count; x++) {
      const share = sum === 0 ? (row[x] as number) : (row[x] as number) / sum;
      weights.values[index * stride + x] = Math.trunc(share * ONE + (share < 0 ? -0.5 : 0.5));
    }
    weights.first[index] = first;
    weights.count[index] = count;
  }
  return weights;
}

const HALF = 2 ** (PRECISION_BITS - 1);

function clip(sum: number): number {
  const level = sum >> PRECISION_BITS;
  return level < 0 ? 0 : level > 255 ? 255 : level;
}

function across(photo: Pixels, { first, count, values, stride }: Weights): Pixels {
  const source = photo.data;
  const width = first.length;
  const data = new Uint8Array(photo.height * width * 3);
  for (let row = 0, at = 0; row < photo.height; row++) {
    for (let column = 0; column < width; column++) {
      let from = 3 * (row * photo.width + (first[column] as number));
      let [red, green, blue] = [HALF, HALF, HALF];
      const start = column * stride;
      const end = start + (count[column] as number);
      for (let k = start; k < end; k++, from += 3) {
        const weight = values[k] as number;
        red += (source[from] as number) * weight;
        green += (source[from + 1] as number) * weight;
        blue += (source[from + 2] as number) * weight;
      }
      data[at++] = clip(red);
      data[at++] = clip(green);
      data[at++] = clip(blue);
    }
  }
  return { data, width, height: photo.height };
}

function downwards(photo: Pixels, { first, count, values, stride }: Weights): Pixels {
  const height = first.length;
  const line = photo.width * 3;
  const data = new Uint8Array(height * line);
  const sums = new Int32Array(line);
  for (let row = 0; row < height; row++) {
    sums.fill(HALF);
    for (let k = 0; k < (count[row] as number); k++) {
      const weight = values[row * stride + k] as number;
      const from = ((first[row] as number) + k) * line;
      for (let x = 0; x < line; x++) sums[x] = (sums[x] as number) + (photo.data[from + x] as number) * weight;
    }
    for (let x = 0; x < line; x++) data[row * line + x] = clip(sums[x] as number);
  }
  return { data, width: photo.width, height };
}

/** Take for each pixel the one under its centre; positions are summed up as `ImagingScaleAffine` does. */
function nearest(photo: Pixels, width: number, height: number, [left, top, right, bottom]: Box): Pixels {
  const columns = positions(left, (right - left) / width, width, photo.width);
  const rows = positions(top, (bottom - top) / height, height, photo.height);
  const data = new Uint8Array(width * height * 3);
  let at = 0;
  for (const row of rows)
    for (const column of columns) {
      const from = 3 * (row * photo.width + column);
      data[at++] = photo.data[from] as number;
      data[at++] = photo.data[from + 1] as number;
      data[at++] = photo.data[from + 2] as number;
    }
  return { data, width, height };
}

function positions(from: number, scale: number, out: number, size: number): Int32Array {
  const found = new Int32Array(out);
  let position = from + scale * 0.5;
  for (let index = 0; index < out; index++, position += scale) found[index] = Math.min(size - 1, Math.trunc(position));
  return found;
}

const LINEAR_ONE = 2048; // 11 bits: OpenCV weighs 8-bit pixels in fixed point

/** Resize as OpenCV's `INTER_LINEAR` does: half-pixel centres, two neighbours on each axis, edges repeated. */
export function resizeLinear(photo: Pixels, width: number, height: number): Pixels {
  const columns = neighbours(photo.width, width);
  const rows = neighbours(photo.height, height);
  const data = new Uint8Array(width * height * 3);
  let at = 0;
  for (let y = 0; y < height; y++) {
    const [above, below, toBelow] = [rows.first[y] as number, rows.second[y] as number, rows.weight[y] as number];
    for (let x = 0; x < width; x++) {
      const [left, right, toRight] = [
        columns.first[x] as number,
        columns.second[x] as number,
        columns.weight[x] as number,
      ];
      for (let channel = 0; channel < 3; channel++) {
        const line = (row: number): number =>
          (photo.data[3 * (row * photo.width + left) + channel] as number) * (LINEAR_ONE - toRight) +
          (photo.data[3 * (row * photo.width + right) + channel] as number) * toRight;
        // Bits are dropped where OpenCV drops them.
        const mixed = (((line(above) >> 4) * (LINEAR_ONE - toBelow)) >> 16) + (((line(below) >> 4) * toBelow) >> 16);
        data[at++] = (mixed + 2) >> 2;
      }
    }
  }
  return { data, width, height };
}

function neighbours(size: number, out: number): { first: Int32Array; second: Int32Array; weight: Int32Array } {
  const found = { first: new Int32Array(out), second: new Int32Array(out), weight: new Int32Array(out) };
  const clamp = (index: number): number => Math.min(size - 1, Math.max(0, index));
  for (let index = 0; index < out; index++) {
    const centre = Math.fround((index + 0.5) * (1 / (out / size)) - 0.5);
    const first = Math.floor(centre);
    found.first[index] = clamp(first);
    found.second[index] = clamp(first + 1);
    found.weight[index] = roundToEven(Math.fround(Math.fround(centre - first) * LINEAR_ONE));
  }
  return found;
}

/** Round to the nearest whole number, half to an even one, as Python and numpy do. */
export function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
