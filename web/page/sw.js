/** Answers from what was kept, so that the page works without a network. FILES and VERSION are put in by the build. */
const FILES = self.__FILES__;
const CACHE = `aiface-${self.__VERSION__}`;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

self.addEventListener("activate", (event) => {
  const forgetOlder = async () => {
    const names = (await caches.keys()).filter((name) => name.startsWith("aiface-") && name !== CACHE);
    await Promise.all(names.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(forgetOlder());
});

// What the model's worker loaded, onnxruntime's build for WebGPU for one, is kept too.
self.addEventListener("message", (event) => {
  const keep = async () => {
    const cache = await caches.open(CACHE);
    const own = event.data.filter((url) => url.startsWith(self.registration.scope));
    for (const url of own) if (!(await cache.match(url))) await cache.add(url);
  };
  event.waitUntil(keep());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(self.registration.scope)) return;
  const options = { ignoreSearch: request.mode === "navigate", ignoreVary: true };
  event.respondWith(caches.match(request, options).then((kept) => kept ?? fetch(request)));
});
