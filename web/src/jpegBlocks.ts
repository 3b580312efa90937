/**
 * A JPEG's plane at a half, a quarter or an eighth of its size, as libjpeg decodes it there.
 *
 * The samples of a whole block give back its quantised coefficients, which are whole multiples of the table's; from
 * those libjpeg's own integer transforms are computed. Source: jidctred.c of libjpeg-turbo, which averages squares.
 */
import type { Plane } from "./planes.js";

const SIDE = 8; // of a block
const CONST_BITS = 13;
const PASS1_BITS = 2; // that the first pass keeps beyond whole numbers

/** The coefficients of one axis that a transform reads: the others' averages are 0. */
const USED: Readonly<Record<number, readonly number[]>> = { 2: [0, 1, 2, 3, 5, 6, 7], 4: [0, 1, 3, 5, 7], 8: [0] };

/** Rows of the orthonormal cosine transform. */
const COSINES = Float64Array.from({ length: SIDE * SIDE }, (_, index) => {
  const [u, x] = [index >> 3, index & 7];
  return (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
});

const fixed = (value: number): number => Math.round(value * 2 ** CONST_BITS);
/** For each odd coefficient, 1, 3, 5 and 7, its part in the two averages of four outputs that it gives. */
const HALF_INNER = [fixed(1.061594337), -fixed(2.172734803), fixed(1.451774981), -fixed(0.211164243)] as const;
const HALF_OUTER = [fixed(2.562915447), fixed(0.899976223), -fixed(0.601344887), -fixed(0.509795579)] as const;
const QUARTER = [fixed(3.624509785), -fixed(1.27275858), fixed(0.850430095), -fixed(0.720959822)] as const;
const EVEN = [fixed(1.847759065), -fixed(0.765366865)] as const;

/**
 * Reduce a plane by `factor`, 2, 4 or 8.
 *
 * @param table Steps of the 64 coefficients, in rows.
 * @returns Width and height divided and rounded up; where a block is cut off by the edge, averages of what there is.
 */
export function reduceBlocks(plane: Plane, factor: number, table: Uint16Array): Plane {
  const [width, height] = [Math.ceil(plane.width / factor), Math.ceil(plane.height / factor)];
  const data = new Uint8Array(width * height);
  const size = SIDE / factor;
  const [columns, rows] = [Math.floor(plane.width / SIDE), Math.floor(plane.height / SIDE)];
  const block = new Block(factor, table);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      block.read(plane, column * SIDE, row * SIDE);
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++)
          data[(row * size + y) * width + column * size + x] = block.levels[y * size + x] as number;
    }
  }
  fillEdges(plane, { data, width, height }, factor, columns * size, rows * size);
  return { data, width, height };
}

/** Average what lies right of `left`, or below `top`, where there are no whole blocks. */
function fillEdges(plane: Plane, out: Plane, factor: number, left: number, top: number): void {
  for (let row = 0; row < out.height; row++)
    for (let column = row < top ? left : 0; column < out.width; column++) {
      let sum = 0;
      for (let y = row * factor; y < (row + 1) * factor; y++)
        for (let x = column * factor; x < (column + 1) * factor; x++)
          sum += plane.data[Math.min(y, plane.height - 1) * plane.width + Math.min(x, plane.width - 1)] as number;
      out.data[row * out.width + column] = Math.round(sum / factor ** 2);
    }
}

/** One block: its coefficients, and its levels at the reduced size. */
class Block {
  readonly levels: Uint8Array;
  private readonly size: number;
  private readonly used: readonly number[];
  private readonly half = new Float64Array(SIDE * SIDE);
  private readonly folded = new Float64Array(SIDE); // sums of what lies opposite, and differences
  private readonly coefficients = new Int32Array(SIDE * SIDE);
  private readonly columns: Int32Array;

  constructor(
    factor: number,
    private readonly table: Uint16Array,
  ) {
    this.size = SIDE / factor;
    this.used = USED[factor] ?? [];
    this.levels = new Uint8Array(this.size ** 2);
    this.columns = new Int32Array(this.size * SIDE);
  }

  read(plane: Plane, left: number, top: number): void {
    this.transform(plane.data, plane.width, top * plane.width + left);
    if (this.size === 1) {
      this.levels[0] = level(this.coefficients[0] as number, 3);
      return;
    }
    const [columns, size] = [this.columns, this.size];
    const [start, end] = [CONST_BITS - PASS1_BITS, CONST_BITS + PASS1_BITS + 3];
    const extra = size === 4 ? 1 : 2;
    for (const u of this.used) {
      const outputs = this.outputs(this.coefficients, u, SIDE);
      for (let y = 0; y < size; y++) columns[y * SIDE + u] = descale(outputs[y] as number, start + extra);
    }
    for (let y = 0; y < size; y++) {
      const outputs = this.outputs(columns, y * SIDE, 1);
      for (let x = 0; x < size; x++) this.levels[y * size + x] = level(outputs[x] as number, end + extra);
    }
  }

  /** Compute the coefficients that are used, down and then across, and round them to the table's steps. */
  private transform(samples: Uint8Array, stride: number, from: number): void {
    const { half, used, folded } = this;
    for (let x = 0; x < SIDE; x++) {
      for (let y = 0; y < 4; y++) {
        const first = samples[from + y * stride + x] as number;
        const last = samples[from + (7 - y) * stride + x] as number;
        folded[y] = first + last - 256;
        folded[4 + y] = first - last;
      }
      for (const u of used) half[u * SIDE + x] = this.project(u);
    }
    for (const u of used) {
      for (let x = 0; x < 4; x++) {
        const [first, last] = [half[u * SIDE + x] as number, half[u * SIDE + 7 - x] as number];
        folded[x] = first + last;
        folded[4 + x] = first - last;
      }
      for (const v of used) {
        const step = this.table[u * SIDE + v] as number;
        this.coefficients[u * SIDE + v] = Math.round(this.project(v) / step) * step;
      }
    }
  }

  /** Multiply by a cosine, of which the even ones are symmetric and the odd ones are so but for the sign. */
  private project(u: number): number {
    const { folded } = this;
    const [at, from] = [u * SIDE, (u & 1) * 4];
    return (
      (COSINES[at] as number) * (folded[from] as number) +
      (COSINES[at + 1] as number) * (folded[from + 1] as number) +
      (COSINES[at + 2] as number) * (folded[from + 2] as number) +
      (COSINES[at + 3] as number) * (folded[from + 3] as number)
    );
  }

  /** Transform one row or column of eight into four or two averages, scaled by 2 to the power of `CONST_BITS` + 1 or 2. */
  private outputs(values: Int32Array, from: number, stride: number): readonly number[] {
    const at = (index: number): number => values[from + index * stride] as number;
    const odd = ([one, three, five, seven]: readonly [number, number, number, number]): number =>
      at(1) * one + at(3) * three + at(5) * five + at(7) * seven;
    if (this.size === 2) {
      const [middle, difference] = [at(0) * 2 ** (CONST_BITS + 2), odd(QUARTER)];
      return [middle + difference, middle - difference];
    }
    const [middle, difference] = [at(0) * 2 ** (CONST_BITS + 1), at(2) * EVEN[0] + at(6) * EVEN[1]];
    const [outer, inner] = [odd(HALF_OUTER), odd(HALF_INNER)];
    return [
      middle + difference + outer,
      middle - difference + inner,
      middle - difference - inner,
      middle + difference - outer,
    ];
  }
}

function descale(value: number, bits: number): number {
  return (value + 2 ** (bits - 1)) >> bits;
}

function level(value: number, bits: number): number {
  return Math.min(255, Math.max(0, descale(value, bits) + 128));
}
