// What the library refuses, and with which words; runs on the built library in Node.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Classifier, InputError, ModelError, readManifest } from "../dist/index.js";

const MODEL = fileURLToPath(new URL("../../models/aiface-lite0.onnx", import.meta.url));
const model = new Uint8Array(readFileSync(MODEL));
const grey = { data: new Uint8Array(80 * 60 * 4).fill(128), width: 80, height: 60 };

/** Return a copy of the model whose manifest has one text in the place of another, of the same length. */
function changed(before, after) {
  const data = Buffer.from(model);
  const at = data.lastIndexOf(before);
  assert.ok(at > 0 && before.length === after.length, "the test names what the file holds");
  data.write(after, at);
  return new Uint8Array(data);
}

const refused = (kind, code, words) => (error) =>
  error instanceof kind && error.code === code && words.test(error.message) && !error.message.includes("\n");

test("a path, a file URL and bytes are the same model", async () => {
  const answers = [];
  for (const source of [MODEL, new URL(`file://${MODEL}`), `file://${MODEL}`, model, model.buffer.slice(0)]) {
    const classifier = await Classifier.load(source);
    answers.push((await classifier.predict(grey)).p_ai);
    await classifier.close();
  }
  assert.equal(new Set(answers).size, 1);
});

test("white shows through what is transparent", async () => {
  const classifier = await Classifier.load(model);
  const hidden = { ...grey, data: grey.data.map((_, index) => (index % 4 === 3 ? 0 : index % 251)) };
  const white = { ...grey, data: grey.data.map(() => 255) };
  assert.deepEqual(await classifier.predict(hidden), await classifier.predict(white));
  await classifier.close();
});

test("answers at the same time are each their own", async () => {
  const classifier = await Classifier.load(model);
  const photos = [0, 60, 120, 180, 240].map((level) => ({ ...grey, data: new Uint8Array(80 * 60 * 3).fill(level) }));
  const alone = [];
  for (const photo of photos) alone.push(await classifier.predict(photo));
  assert.deepEqual(await Promise.all(photos.map((photo) => classifier.predict(photo))), alone);
  assert.equal(new Set(alone.map((record) => record.p_ai)).size, photos.length);
  await classifier.close();
});

test("thresholds are those of the operating point that is named", async () => {
  const classifier = await Classifier.load(model, { operatingPoint: "high_recall" });
  const { realBelow, aiFrom } = classifier.operatingPoint;
  const { real_below, ai_from } = classifier.manifest.document.operating_points.high_recall;
  assert.deepEqual([realBelow, aiFrom], [real_below, ai_from]);
  await classifier.close();
  await assert.rejects(
    Classifier.load(model, { operatingPoint: "none" }),
    /has balanced, high_recall, low_false_alarm/,
  );
});

test("a damaged model is refused", async () => {
  const damaged = model.slice();
  damaged[damaged.length >> 1] ^= 1;
  await assert.rejects(Classifier.load(damaged), refused(ModelError, "model_corrupt", /not the one that its manifest/));
  await assert.rejects(Classifier.load(model.slice(0, 9999)), refused(ModelError, "model_corrupt", /not an ONNX file/));
  await assert.rejects(
    Classifier.load(new Uint8Array(0)),
    refused(ModelError, "manifest", /without aiface's manifest/),
  );
  await assert.rejects(Classifier.load("missing.onnx"), refused(ModelError, "model_not_found", /check the path/));
});

test("a manifest that contradicts itself or the graph is refused", async () => {
  const manifest = refused(ModelError, "manifest", /the model's manifest|its graph does not/);
  await assert.rejects(readManifest(changed('"schema": 1', '"schema": 9'), "m"), manifest);
  await assert.rejects(readManifest(changed('"ai_labels": ["ai"]', '"ai_labels": ["ax"]'), "m"), manifest);
  await assert.rejects(readManifest(changed('"op": "center_crop"', '"op": "center_crap"'), "m"), manifest);
  await assert.rejects(readManifest(changed('"version": "4"', '"licence": "4"'), "m"), manifest);
  await assert.rejects(readManifest(changed('"faces": {"cell_from"', '"faces": {"cell_form"'), "m"), manifest);
});

test("a self-test that fails is refused", async () => {
  const { self_test } = (await readManifest(model, "m")).document;
  const answer = JSON.stringify(self_test.probabilities[0][0]);
  const other = "0.5".padEnd(answer.length, "0").slice(0, answer.length);
  await assert.rejects(Classifier.load(changed(answer, other)), refused(ModelError, "model_corrupt", /self-test/));
});

test("an encoded photo outside of browsers is one clear error", async () => {
  const classifier = await Classifier.load(model);
  const gif = Buffer.from("R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==", "base64");
  const words = /no decoder for encoded photos outside of browsers; decode it first and pass/;
  await assert.rejects(classifier.predict(new Uint8Array(gif)), refused(InputError, "not_an_image", words));
  await assert.rejects(classifier.predict("a.jpg"), refused(InputError, "wrong_type", /pass one of those/));
  await assert.rejects(classifier.predict({ ...grey, width: 81 }), refused(InputError, "wrong_type", /pixels must be/));
  await classifier.close();
  await assert.rejects(classifier.predict(grey), refused(ModelError, "model_closed", /load the model again/));
});

test("arguments that make no sense are refused", async () => {
  for (const options of [{ device: "cuda" }, { threads: 0 }, { limits: { pixels: -1 } }, { limits: { bits: 1 } }])
    await assert.rejects(Classifier.load(model, options), (error) => error.code === "usage");
  await assert.rejects(Classifier.load(model, { device: "webgpu" }), (error) => error.code === "device_unavailable");
});

test("limits hold", async () => {
  const classifier = await Classifier.load(model, { limits: { pixels: 4799, bytes: 20 } });
  await assert.rejects(classifier.predict(grey), refused(InputError, "too_large", /at most 4799/));
  await assert.rejects(classifier.predict(new Uint8Array(21)), refused(InputError, "too_large", /at most 20/));
  await classifier.close();
});
