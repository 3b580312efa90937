import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defaultClientConditions, defineConfig, type Plugin } from "vite";

/** Write the service worker, with the list of what it keeps; the builds for WebGPU are kept where they are used. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    enforce: "post",
    generateBundle(_options, bundle) {
      const own = Object.keys(bundle).filter((name) => !/asyncify|webgpu|\.map$/.test(name));
      const files = [
        "./",
        "./icon.svg",
        "./licences.txt",
        ...own.filter((name) => name !== "index.html").map((name) => `./${name}`),
      ];
      const contents = Object.values(bundle).map((item) => (item.type === "asset" ? item.source : item.code));
      const hash = createHash("sha256");
      for (const content of contents) hash.update(content);
      const source = readFileSync(new URL("page/sw.js", import.meta.url), "utf-8")
        .replace("self.__FILES__", JSON.stringify(files))
        .replace("self.__VERSION__", JSON.stringify(hash.digest("hex").slice(0, 16)));
      this.emitFile({ type: "asset", fileName: "sw.js", source });
    },
  };
}

const conditions = ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions];

/** The page: one folder that is hosted as it is, at any address. */
export default defineConfig({
  root: "page",
  base: "./",
  resolve: {
    // The build of onnxruntime-web that loads its program from a file, which a strict policy lets run in threads.
    conditions,
    alias: { "#platform": new URL("src/platform/browser.ts", import.meta.url).pathname },
  },
  worker: { format: "es" },
  build: {
    outDir: "../site",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
  },
  plugins: [serviceWorker()],
});
