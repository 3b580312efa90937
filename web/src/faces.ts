/** What a face map says of a photo: a port of aiface_runtime/faces.py. */
import type { FaceMap } from "./manifest.js";
import type { PhotoWarning } from "./record.js";

const OTHER_FACE = 0.25; // share of the largest group from which on another one is a face of its own

/**
 * Judge the face map of one photo.
 *
 * A face is a group of covered cells that touch by a side or a corner. One that is likely enough but covers no cell
 * counts as small.
 *
 * @param faces How likely a face lies in each cell, 0 to 1, row by row; undefined of a model that does not say.
 * @returns How likely there is a face, null where the model does not say; and `no_face`, or any of the others.
 */
export function faceAnswer(faces: Float32Array | undefined, map: FaceMap | null): [number | null, PhotoWarning[]] {
  if (!faces || !map) return [null, []];
  const probability = Math.max(...faces);
  if (!(probability >= map.presentFrom)) return [probability, ["no_face"]];
  const sizes = groupSizes(
    Array.from(faces, (value) => value >= map.cellFrom),
    map.width,
  );
  const largest = Math.max(0, ...sizes);
  const warnings: PhotoWarning[] = [];
  if (largest < map.smallBelow * faces.length) warnings.push("small_face");
  if (sizes.filter((size) => size >= OTHER_FACE * largest).length > 1) warnings.push("several_faces");
  return [probability, warnings];
}

/** Count the cells of each group; `covered` is emptied. */
function groupSizes(covered: boolean[], width: number): number[] {
  const sizes: number[] = [];
  for (let start = covered.indexOf(true); start >= 0; start = covered.indexOf(true)) {
    const group = [start];
    covered[start] = false;
    for (let index = 0; index < group.length; index++) {
      for (const cell of neighbours(group[index] as number, width)) {
        if (covered[cell]) group.push(cell);
        covered[cell] = false;
      }
    }
    sizes.push(group.length);
  }
  return sizes;
}

function neighbours(cell: number, width: number): number[] {
  const column = cell % width;
  const columns = [column - 1, column, column + 1].filter((other) => other >= 0 && other < width);
  return [-1, 0, 1].flatMap((down) => columns.map((other) => cell - column + down * width + other));
}
