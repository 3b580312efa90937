/** How much of a baseline JPEG its data reach: Huffman codes are walked, and nothing is transformed. Source: ITU-T T.81, annex F. */
import { segments, type Frame } from "./jpeg.js";

/** For codes of each length, 1 to 16 bits, the first one, how many there are, and the symbols in order. */
interface Table {
  readonly first: readonly number[];
  readonly count: readonly number[];
  readonly symbols: readonly Uint8Array[];
}

/** Ends the walk: the data ended, at a marker or for good. */
class OutOfDataError extends Error {}

/**
 * Return the share of rows, at the bottom, for which a JPEG in one scan has no data, 0 to 1.
 *
 * libjpeg lays grey there and says nothing.
 */
export function missingRows(data: Uint8Array, frame: Frame): number {
  if (frame.marker > 0xc1) return 0; // arithmetic or lossless: no browser decodes those
  const tables = new Map<number, Table>();
  let interval = 0;
  for (const { marker, body, end } of segments(data)) {
    const content = data.subarray(body, end);
    if (marker === 0xc4) readTables(content, tables);
    else if (marker === 0xdd) interval = ((content[0] ?? 0) << 8) | (content[1] ?? 0);
    else if (marker === 0xda)
      return rowsWithout(new Bits(data, end), blocksOf(frame, content, tables), interval, frame);
  }
  return 0;
}

function readTables(content: Uint8Array, tables: Map<number, Table>): void {
  for (let at = 0; at + 17 <= content.length;) {
    const [id, counts] = [content[at] as number, [...content.subarray(at + 1, at + 17)]];
    at += 17;
    let code = 0;
    const first: number[] = [];
    const symbols = counts.map((count) => {
      first.push(code);
      code = (code + count) << 1;
      at += count;
      return content.subarray(at - count, at);
    });
    tables.set(id, { first, count: counts, symbols });
  }
}

/** Return the tables for the first and the other coefficients of each block of a unit, in order. */
function blocksOf(frame: Frame, scan: Uint8Array, tables: ReadonlyMap<number, Table>): [Table, Table][] {
  return frame.components.flatMap(({ id, across, down }) => {
    const at = [...Array(frame.components.length).keys()].find((index) => scan[1 + 2 * index] === id) ?? 0;
    const chosen = scan[2 + 2 * at] ?? 0;
    const [dc, ac] = [tables.get(chosen >> 4), tables.get(0x10 | (chosen & 15))];
    const count = frame.components.length === 1 ? 1 : across * down; // alone, a component is stored block by block
    return dc && ac ? Array<[Table, Table]>(count).fill([dc, ac]) : [];
  });
}

function rowsWithout(bits: Bits, blocks: readonly [Table, Table][], interval: number, frame: Frame): number {
  const isSingle = frame.components.length === 1;
  const side = (axis: "across" | "down"): number =>
    8 * (isSingle ? 1 : Math.max(...frame.components.map((c) => c[axis])));
  const [across, down] = [Math.ceil(frame.width / side("across")), Math.ceil(frame.height / side("down"))];
  let unit = 0;
  try {
    for (; unit < across * down; unit++) {
      if (interval && unit && unit % interval === 0) bits.restart();
      for (const tables of blocks) skipBlock(bits, ...tables);
    }
  } catch (error) {
    if (!(error instanceof OutOfDataError)) throw error;
  }
  return unit === across * down ? 0 : 1 - (Math.floor(unit / across) * side("down")) / frame.height;
}

function skipBlock(bits: Bits, dc: Table, ac: Table): void {
  bits.skip(bits.symbol(dc) & 15);
  for (let k = 1; k < 64; k++) {
    const symbol = bits.symbol(ac);
    const [run, size] = [symbol >> 4, symbol & 15];
    if (size === 0 && run !== 15) return;
    k += run;
    bits.skip(size);
  }
}

/** The bits of a scan, without stuffed bytes. */
class Bits {
  private byte = 0;
  private left = 0;

  constructor(
    private readonly data: Uint8Array,
    private at: number,
  ) {}

  private bit(): number {
    if (this.left === 0) {
      const byte = this.data[this.at];
      if (byte === undefined) throw new OutOfDataError();
      if (byte === 0xff) {
        if (this.data[this.at + 1] !== 0) throw new OutOfDataError();
        this.at++;
      }
      this.at++;
      this.byte = byte;
      this.left = 8;
    }
    return (this.byte >> --this.left) & 1;
  }

  skip(count: number): void {
    for (let index = 0; index < count; index++) this.bit();
  }

  symbol(table: Table): number {
    let code = 0;
    for (let length = 0; length < 16; length++) {
      code = (code << 1) | this.bit();
      const index = code - (table.first[length] as number);
      if (index >= 0 && index < (table.count[length] as number))
        return (table.symbols[length] as Uint8Array)[index] as number;
    }
    return 0; // no code of the table: damaged, which the decoder passes over too
  }

  /** Go on behind the next restart marker. */
  restart(): void {
    this.left = 0;
    while (this.data[this.at] === 0xff && this.data[this.at + 1] === 0xff) this.at++;
    const marker = this.data[this.at + 1] ?? 0;
    if (this.data[this.at] !== 0xff || marker < 0xd0 || marker > 0xd7) throw new OutOfDataError();
    this.at += 2;
  }
}
