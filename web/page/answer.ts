/** An answer in words, and as a bar. */
import type { PhotoRecord, PhotoWarning } from "../src/index.js";
import type { Opened } from "./messages.js";

const WARNINGS: Readonly<Record<PhotoWarning, string>> = {
  no_face: "There is no face in what the model sees, so there is no verdict.",
  small_face: "The face is small: crop the photo to it.",
  several_faces: "There are several faces: crop the photo to one.",
  truncated: "Part of the photo is missing from its file.",
  broken_exif: "The photo may lie on its side: its EXIF block cannot be read.",
  tiny: "The photo is very small.",
  upscaled: "The photo is smaller than what the model takes, and was enlarged.",
  wide_gamut: "The photo's colours are wider than sRGB, and were taken as sRGB.",
};

/** Say the verdict in words. */
export function describeVerdict({ verdict, warnings }: PhotoRecord): string {
  if (verdict === "ai") return "Probably AI-generated";
  if (verdict === "real") return "Probably a real photo";
  return warnings.includes("no_face") ? "Uncertain: no face found" : "Uncertain";
}

/** Make the items of the list of warnings. */
export function listWarnings({ warnings }: PhotoRecord): HTMLLIElement[] {
  return warnings.map((warning) => {
    const item = document.createElement("li");
    item.textContent = WARNINGS[warning];
    return item;
  });
}

/** Draw the probability beside the band in which the answer is uncertain, and return both in words. */
export function showBar(pAi: number, { realBelow, aiFrom }: Opened): string {
  document.getElementById("level")?.setAttribute("width", String(100 * pAi));
  document.getElementById("band")?.setAttribute("x", String(100 * realBelow));
  document.getElementById("band")?.setAttribute("width", String(100 * (aiFrom - realBelow)));
  const percent = (share: number): string => `${Math.round(100 * share)} %`;
  const text = `Probability of AI: ${percent(pAi)}. From ${percent(realBelow)} to ${percent(aiFrom)} the answer is uncertain (grey band).`;
  document.getElementById("bar")?.setAttribute("aria-label", text);
  return text;
}
