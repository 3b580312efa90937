// Reads {width, height, steps, box} and RGB bytes from stdin's lines, and writes what the package makes of them.
import { readFileSync } from "node:fs";
import { preprocess } from "../../web/dist/index.js";

const answers = readFileSync(0, "utf-8")
  .trim()
  .split("\n")
  .map((line) => {
    const { rgb, width, height, steps, box } = JSON.parse(line);
    const data = new Uint8Array(Buffer.from(rgb, "base64"));
    const made = preprocess({ data, width, height }, steps, box ?? undefined);
    return JSON.stringify({ ...made, data: Buffer.from(made.data).toString("base64") });
  });
process.stdout.write(answers.join("\n"));
