/** RGB of any size → the model's input, step by step as the manifest says: a port of aiface_runtime/preprocess.py. */
import type { Crop, Manifest, Resize, Step } from "./manifest.js";
import { resize, resizeLinear, roundToEven, type Box, type Pixels } from "./resample.js";

/** Return the width and height that must remain when a JPEG is reduced; null where every pixel counts. */
export function minDecodeSize(manifest: Manifest): [number, number] | null {
  const first = manifest.steps[0];
  if (manifest.scaledDecoding === null || !first) return null;
  const sides = first.op === "resize_shorter" ? [first.size, first.size] : [first.width, first.height];
  return sides.map((side) => Math.ceil((manifest.scaledDecoding as number) * side)) as [number, number];
}

/**
 * Resize and crop one photo, as the Python runtime does, to the bit.
 *
 * @param box Part of the photo that it fills, to a fraction of a pixel; all of it by default.
 */
export function preprocess(photo: Pixels, steps: readonly Step[], box?: Box): Pixels {
  for (const step of steps) {
    photo = apply(photo, step, box);
    box = undefined;
  }
  return photo;
}

function apply(photo: Pixels, step: Step, box?: Box): Pixels {
  if (isCrop(step)) return crop(photo, corner([photo.width, photo.height], step), step.width, step.height);
  const sides: [number, number] = box ? [box[2] - box[0], box[3] - box[1]] : [photo.width, photo.height];
  const [width, height] = resized(sides, step);
  if (step.filter === "bilinear_no_antialias") return resizeLinear(photo, width, height);
  return resize(photo, width, height, step.filter, box);
}

function isCrop(step: Step): step is Crop {
  return step.op === "center_crop" || step.op === "center_crop_to_even";
}

function crop(photo: Pixels, [left, top]: [number, number], width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const from = 3 * ((top + row) * photo.width + left);
    data.set(photo.data.subarray(from, from + 3 * width), 3 * row * width);
  }
  return { data, width, height };
}

function corner(sides: readonly [number, number], step: Crop): [number, number] {
  const round = step.op === "center_crop_to_even" ? roundToEven : Math.trunc;
  return [round((sides[0] - step.width) / 2), round((sides[1] - step.height) / 2)];
}

function resized(sides: readonly [number, number], step: Resize): [number, number] {
  if (step.op === "resize") return [step.width, step.height];
  const scaled = Math.trunc((step.size * Math.max(...sides)) / Math.min(...sides));
  return sides[0] <= sides[1] ? [step.size, scaled] : [scaled, step.size];
}

/** Say whether a photo of that width and height is smaller than what the first step makes of it. */
export function isEnlarged(size: readonly [number, number], steps: readonly Step[]): boolean {
  const first = steps[0];
  if (!first) return false;
  const [width, height] = isCrop(first) ? [first.width, first.height] : resized(size, first);
  return width > size[0] || height > size[1];
}

/** Return what the model sees of a photo of that width and height, in the photo's pixels. */
export function visibleBox(size: readonly [number, number], steps: readonly Step[]): Box {
  let [left, top, right, bottom] = [0, 0, size[0], size[1]];
  let sides = size;
  for (const step of steps) {
    if (!isCrop(step)) {
      sides = resized(sides, step);
      continue;
    }
    const [across, down] = [(right - left) / sides[0], (bottom - top) / sides[1]];
    const [x, y] = corner(sides, step);
    [left, top] = [left + x * across, top + y * down];
    [right, bottom] = [left + step.width * across, top + step.height * down];
    sides = [step.width, step.height];
  }
  return [left, top, right, bottom];
}
