/** From decoded planes of luma and colour to RGB, as the libraries below Pillow do it, to the bit for JPEG and WebP. */
import { reduceBlocks } from "./jpegBlocks.js";
import type { Pixels } from "./resample.js";

/** Samples of 8 bits, row by row. */
export interface Plane {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Luma and two planes of colour, each of half the width or height where they are subsampled. */
export type Planes = readonly [Plane, Plane, Plane];

/** What turns a luma and two colour samples into red, green and blue, 0 to 255, at `data[at]`. */
type Convert = (data: Uint8Array, at: number, y: number, u: number, v: number) => void;

/** How planes become RGB. */
export interface Colours {
  readonly convert: Convert;
  /** What is added before the bits of an upsampled colour are dropped, of sixteen: at even and at odd columns. */
  readonly rounding: readonly [number, number];
  /** Planes at most this wide are repeated instead of interpolated. */
  readonly repeatedUpTo: number;
}

const fixed = (value: number): number => Math.trunc(value * 65536 + 0.5);
const clamp = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value);

/** libjpeg-turbo: jdsample.c's "fancy" upsampling, jdcolor.c's tables. */
export const JPEG_COLOURS: Colours = {
  rounding: [8, 7],
  repeatedUpTo: 2,
  convert(data, at, y, u, v) {
    const [blue, red] = [u - 128, v - 128];
    data[at] = clamp(y + ((fixed(1.402) * red + 32768) >> 16));
    data[at + 1] = clamp(y + ((-fixed(0.34414) * blue + 32768 - fixed(0.71414) * red) >> 16));
    data[at + 2] = clamp(y + ((fixed(1.772) * blue + 32768) >> 16));
  },
};

/** libwebp: dsp/upsampling.c and dsp/yuv.h. */
export const WEBP_COLOURS: Colours = {
  rounding: [8, 8],
  repeatedUpTo: 0,
  convert(data, at, y, u, v) {
    const luma = (y * 19077) >> 8;
    data[at] = clamp((luma + ((v * 26149) >> 8) - 14234) >> 6);
    data[at + 1] = clamp((luma - ((u * 6419) >> 8) - ((v * 13320) >> 8) + 8708) >> 6);
    data[at + 2] = clamp((luma + ((u * 33050) >> 8) - 17685) >> 6);
  },
};

// Shares of red and blue in luma, by WebCodecs' names. Source: ITU-T H.273, table 4.
const SHARES: Readonly<Record<string, readonly [number, number]>> = {
  smpte170m: [0.299, 0.114],
  bt470bg: [0.299, 0.114],
  bt709: [0.2126, 0.0722],
  "bt2020-ncl": [0.2627, 0.0593],
};

/** Return the colours of another format, within a level of what libyuv computes; null of a matrix that is not known. */
export function coloursOf(space: VideoColorSpaceInit): Colours | null {
  const shares = SHARES[space.matrix ?? "smpte170m"];
  if (!shares) return null;
  const [kr, kb] = shares;
  const [offset, scale, spread] = space.fullRange ? [0, 1, 1] : [16, 255 / 219, 255 / 224];
  return {
    rounding: [8, 8],
    repeatedUpTo: 0,
    convert(data, at, y, u, v) {
      const [luma, blue, red] = [(y - offset) * scale, 2 * (u - 128) * spread, 2 * (v - 128) * spread];
      data[at] = clamp(Math.round(luma + (1 - kr) * red));
      data[at + 1] = clamp(Math.round(luma - (kb * (1 - kb) * blue + kr * (1 - kr) * red) / (1 - kr - kb)));
      data[at + 2] = clamp(Math.round(luma + (1 - kb) * blue));
    },
  };
}

/** Convert planes into RGB of the luma's size. */
export function planesToRgb([luma, ...chroma]: Planes, colours: Colours): Pixels {
  const { width, height } = luma;
  const data = new Uint8Array(width * height * 3);
  const lines = chroma.map((plane) => new Upsampler(plane, luma, colours));
  for (let row = 0, at = 0; row < height; row++) {
    const [u, v] = lines.map((plane) => plane.line(row)) as [Uint8Array, Uint8Array];
    for (let column = 0; column < width; column++, at += 3)
      colours.convert(data, at, luma.data[row * width + column] as number, u[column] as number, v[column] as number);
  }
  return { data, width, height };
}

/** Gives rows of a plane at the size of another: three parts of the nearest sample and one of the next, on each axis. */
class Upsampler {
  private readonly across: boolean;
  private readonly down: boolean;
  private readonly isRepeated: boolean;
  private readonly sums: Int32Array;
  private readonly out: Uint8Array;

  constructor(
    private readonly plane: Plane,
    target: Plane,
    private readonly colours: Colours,
  ) {
    this.across = target.width > plane.width;
    this.down = target.height > plane.height;
    this.isRepeated = plane.width <= colours.repeatedUpTo;
    this.sums = new Int32Array(plane.width);
    this.out = new Uint8Array(2 * plane.width);
  }

  line(row: number): Uint8Array {
    const { data, width, height } = this.plane;
    const near = this.down ? row >> 1 : row;
    if (!this.across && !this.down) return data.subarray(near * width, (near + 1) * width);
    const next = this.isRepeated || !this.down ? near : clampTo(near + (row % 2 ? 1 : -1), height);
    for (let x = 0; x < width; x++)
      this.sums[x] = 3 * (data[near * width + x] as number) + (data[next * width + x] as number);
    return this.across ? this.spread() : this.out.map((_, x) => ((this.sums[x] ?? 0) + (row % 2 ? 2 : 1)) >> 2);
  }

  private spread(): Uint8Array {
    const { width } = this.plane;
    // Of one axis libjpeg drops two bits and adds 1 or 2: in sixteenths 4 or 8.
    const [even, odd] = this.down ? this.colours.rounding : this.colours.rounding[1] === 7 ? [4, 8] : [8, 8];
    for (let x = 0; x < width; x++) {
      const sum = this.sums[x] as number;
      const before = this.isRepeated || x === 0 ? sum : (this.sums[x - 1] as number);
      const after = this.isRepeated || x === width - 1 ? sum : (this.sums[x + 1] as number);
      this.out[2 * x] = (3 * sum + before + even) >> 4;
      this.out[2 * x + 1] = (3 * sum + after + odd) >> 4;
    }
    return this.out;
  }
}

function clampTo(index: number, size: number): number {
  return Math.min(size - 1, Math.max(0, index));
}

/** Average squares of `factor` x `factor` samples, `channels` of them interleaved: libjpeg's levels within one. */
export function reduce(plane: Plane, factor: number, channels = 1): Plane {
  if (factor === 1) return plane;
  const [width, height] = [Math.ceil(plane.width / factor), Math.ceil(plane.height / factor)];
  const data = new Uint8Array(width * height * channels);
  const sums = new Uint32Array(width * channels);
  for (let row = 0; row < height; row++) {
    sums.fill(factor ** 2 / 2);
    for (let y = 0; y < factor; y++) {
      const from = clampTo(row * factor + y, plane.height) * plane.width;
      for (let x = 0; x < width * factor; x++) {
        const source = (from + Math.min(x, plane.width - 1)) * channels;
        const target = Math.floor(x / factor) * channels;
        for (let c = 0; c < channels; c++)
          sums[target + c] = (sums[target + c] as number) + (plane.data[source + c] as number);
      }
    }
    for (let x = 0; x < sums.length; x++) data[row * sums.length + x] = Math.floor((sums[x] as number) / factor ** 2);
  }
  return { data, width, height };
}

/**
 * Reduce the planes of a JPEG as libjpeg does: planes of colour are halved one time less for each axis on which they
 * are subsampled already, where that is so of both or of none.
 *
 * @param steps Steps of the coefficients of each component.
 */
export function reducePlanes(planes: Planes, factor: number, steps: readonly Uint16Array[]): Planes {
  const [luma, colour] = planes;
  const isSmallOnBoth = colour.width < luma.width && colour.height < luma.height;
  return planes.map((plane, index) => {
    const own = index && isSmallOnBoth ? Math.max(1, factor / 2) : factor;
    const table = steps[index];
    return own === 1 || !table ? reduce(plane, own) : reduceBlocks(plane, own, table);
  }) as unknown as Planes;
}
