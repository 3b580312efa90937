// The package as it is published: packed, installed in a fresh folder and used there from Node and TypeScript.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MODEL = join(ROOT, "models/aiface-lite0.onnx");
const folder = mkdtempSync(join(tmpdir(), "aiface-web-"));

const run = (program, ...args) => execFileSync(program, args, { cwd: folder, encoding: "utf-8" });

before(() => {
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: HERE, stdio: "pipe" });
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", `./${tarball}`);
});

after(() => rmSync(folder, { recursive: true, force: true }));

test("it answers in Node", () => {
  writeFileSync(
    join(folder, "use.js"),
    `import { Classifier } from "aiface-web";
    const classifier = await Classifier.load(${JSON.stringify(MODEL)});
    const [width, height] = [300, 400];
    const record = await classifier.predict({ data: new Uint8Array(width * height * 3).fill(99), width, height });
    await classifier.close();
    console.log(JSON.stringify(record));`,
  );
  const record = JSON.parse(run("node", "use.js"));
  assert.equal(record.error, null);
  assert.equal(record.device, "wasm");
  assert.equal(record.verdict, "uncertain"); // there is no face
  assert.deepEqual(record.warnings, ["no_face"]);
  assert.ok(Math.abs(record.scores.real + record.scores.ai - 1) < 1e-6);
});

test("the example of docs/web.md runs", () => {
  const page = readFileSync(join(ROOT, "docs/web.md"), "utf-8");
  writeFileSync(join(folder, "example.js"), /```js\n(\/\/ Node\n[^]*?)```/.exec(page)[1]);
  const shown = execFileSync("node", [join(folder, "example.js")], { cwd: ROOT, encoding: "utf-8" });
  assert.match(shown, /verdict: 'uncertain'/);
});

test("its types are those that a caller sees", () => {
  writeFileSync(
    join(folder, "use.ts"),
    `import { Classifier, InputError, type PhotoRecord } from "aiface-web";
    export async function ask(photo: File | Blob | ImageBitmap | ImageData | Uint8Array): Promise<PhotoRecord["verdict"]> {
      const classifier: Classifier = await Classifier.load(new URL("https://example.org/model.onnx"), { device: "wasm" });
      // @ts-expect-error a path is no photo
      await classifier.predict("face.png");
      const { verdict, p_ai }: PhotoRecord = await classifier.predict(photo);
      if (p_ai > 2) throw new InputError("not_an_image", "never");
      return verdict;
    }`,
  );
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom"];
  run("node", join(HERE, "node_modules/typescript/bin/tsc"), ...options, "--types", "", "use.ts");
});

test("the tarball holds the library and nothing else", () => {
  const files = readdirSync(join(folder, "node_modules/aiface-web"));
  assert.deepEqual(files.sort(), ["README.md", "dist", "package.json"]);
});

test("the lock file names no address but the public registry's", () => {
  const { packages } = JSON.parse(readFileSync(join(HERE, "package-lock.json"), "utf-8"));
  const addresses = Object.values(packages).flatMap(({ resolved }) => resolved ?? []);
  assert.deepEqual(
    addresses.filter((address) => !address.startsWith("https://registry.npmjs.org/")),
    [],
  );
  assert.ok(Object.values(packages).filter(({ integrity }) => integrity).length > 10);
});
