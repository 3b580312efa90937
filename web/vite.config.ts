import { defineConfig } from "vite";

/** The library: one module for both platforms, and what differs between them. */
export default defineConfig({
  build: {
    outDir: "dist",
    target: "es2022",
    minify: false,
    sourcemap: true,
    lib: {
      entry: {
        index: "src/index.ts",
        "platform/browser": "src/platform/browser.ts",
        "platform/node": "src/platform/node.ts",
      },
      formats: ["es"],
    },
    rolldownOptions: { external: ["#platform", /^node:/, /^onnxruntime-/] },
  },
});
