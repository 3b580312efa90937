/** The photo with the map over it, as `aiface explain` draws it; nothing drawn here is ever classified. */
import type { Explanation } from "../src/index.js";

const MAX_SIDE = 1024; // pixels
const OPACITY = 0.65; // of a full colour
const MIN_PEAK = 1; // logits that a full colour stands for at least: little evidence is shown with little colour
// Vermillion and blue of Okabe & Ito, "Color Universal Design", 2008: told apart with every kind of colour vision.
const AI = [213, 94, 0] as const;
const REAL = [0, 114, 178] as const;

/** Draw a photo, scaled down to what a page can show. */
export async function drawPicture(
  canvas: HTMLCanvasElement,
  photo: Blob,
  explanation: Explanation,
  withMap: boolean,
): Promise<void> {
  const bitmap = await createImageBitmap(photo);
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  if (withMap) tint(context, explanation);
  const { record } = explanation;
  const counted = withMap ? ", with colours for what counted towards AI and towards real" : "";
  canvas.setAttribute("aria-label", `The photo ${record.input}${counted}`);
}

/** Turn what the model sees grey and lay the colours of the map over it. */
function tint(context: CanvasRenderingContext2D, { evidence, region, size }: Explanation): void {
  const scale = context.canvas.width / size[0];
  const [left, top, right, bottom] = region.map((edge) => Math.round(edge * scale)) as [number, number, number, number];
  const seen = context.getImageData(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
  const peak = Math.max(MIN_PEAK, ...evidence.flat().map(Math.abs));
  for (let y = 0, at = 0; y < seen.height; y++) {
    for (let x = 0; x < seen.width; x++, at += 4) {
      const strength = between(evidence, (x + 0.5) / seen.width, (y + 0.5) / seen.height) / peak;
      const opacity = OPACITY * Math.abs(strength);
      const colour = strength > 0 ? AI : REAL;
      const [red, green, blue] = seen.data.subarray(at, at + 3) as unknown as [number, number, number];
      const grey = 0.299 * red + 0.587 * green + 0.114 * blue;
      for (let channel = 0; channel < 3; channel++)
        seen.data[at + channel] = grey + opacity * ((colour[channel] as number) - grey);
    }
  }
  context.putImageData(seen, left, top);
}

/** Read the map between the centres of its cells; `x` and `y` go from 0 to 1. */
function between(cells: Explanation["evidence"], x: number, y: number): number {
  const [row, down] = neighbour(y, cells.length);
  const [column, across] = neighbour(x, cells[0]?.length ?? 0);
  const cell = (r: number, c: number): number =>
    cells[Math.min(r, cells.length - 1)]?.at(Math.min(c, (cells[0]?.length ?? 1) - 1)) ?? 0;
  const above = cell(row, column) * (1 - across) + cell(row, column + 1) * across;
  const below = cell(row + 1, column) * (1 - across) + cell(row + 1, column + 1) * across;
  return above * (1 - down) + below * down;
}

function neighbour(share: number, count: number): [number, number] {
  const position = Math.min(count - 1, Math.max(0, share * count - 0.5));
  return [Math.floor(position), position - Math.floor(position)];
}
