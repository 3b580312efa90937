/** The page: a photo in, its verdict, and what counted towards it. */
import type { Answer, Opened, Question } from "./messages.js";
import { describeVerdict, listWarnings, showBar } from "./answer.js";
import { drawPicture } from "./picture.js";
import type { Explanation } from "../src/index.js";
import { keepOffline } from "./offline.js";

const find = <T extends Element>(id: string): T => document.getElementById(id) as unknown as T;
const drop = find<HTMLElement>("drop");
const input = find<HTMLInputElement>("photo");
const status = find<HTMLElement>("status");
const result = find<HTMLElement>("result");
const map = find<HTMLInputElement>("map");
const canvas = find<HTMLCanvasElement>("picture");

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
let opened: Opened | undefined;
let asked: Question | undefined;
let shown: { photo: Blob; explanation: Explanation } | undefined;

worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
  if (data.kind === "opened") void open(data.opened);
  else if (data.kind === "failed") status.textContent = `The model cannot be used: ${data.message}`;
  else if (data.id !== asked?.id)
    return; // of a photo before the one that was chosen last
  else if (data.kind === "refused") status.textContent = data.message;
  else {
    performance.measure("answer", "asked"); // what python -m benchmarks.browser reads
    void show(asked.photo, data.explanation);
  }
});
worker.addEventListener("error", (event) => {
  status.textContent = `The model cannot be used: ${event.message || "its program could not be loaded"}`;
});

function open(model: Opened): void {
  opened = model;
  input.disabled = false;
  status.textContent = "Ready.";
  const threads = model.device === "wasm" ? `, ${model.threads} ${model.threads === 1 ? "thread" : "threads"}` : "";
  find("model").textContent = `Model ${model.model} on ${model.device}${threads}.`;
  if (asked) send(asked);
  keepOffline(model.loaded);
}

function ask(photo: Blob | null | undefined): void {
  if (!photo) return;
  asked = { id: (asked?.id ?? 0) + 1, photo };
  result.hidden = true;
  status.textContent = opened ? "Looking at the photo…" : "Loading the model…";
  if (opened) send(asked);
}

function send(question: Question): void {
  performance.mark("asked");
  worker.postMessage(question);
}

async function show(photo: Blob, explanation: Explanation): Promise<void> {
  const { record } = explanation;
  const model = opened as Opened;
  shown = { photo, explanation };
  const verdict = describeVerdict(record);
  result.dataset["verdict"] = record.verdict;
  find("verdict").textContent = verdict;
  find("probability").textContent = showBar(record.p_ai, model);
  find("warnings").replaceChildren(...listWarnings(record));
  find("record").textContent = JSON.stringify(record, null, 2);
  await redraw();
  result.hidden = false;
  status.textContent = `${record.input}: ${verdict}`;
}

/** Draw the photo; one whose file lacks its end is judged, but not shown by browsers. */
async function redraw(): Promise<void> {
  if (!shown) return;
  const { photo, explanation } = shown;
  const isDrawn = await drawPicture(canvas, photo, explanation, map.checked).then(
    () => true,
    () => false,
  );
  canvas.hidden = find<HTMLElement>("map-choice").hidden = !isDrawn;
}

input.addEventListener("change", () => ask(input.files?.[0]));
map.addEventListener("change", () => void redraw());
document.addEventListener("paste", (event) => ask(event.clipboardData?.files[0]));
// Anywhere on the page, for a photo that misses the field would otherwise replace the page.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  ask(event.dataTransfer?.files[0]);
});
