/** Keeps the page for use without a network. */

/** Register the service worker, and have it keep what the worker loaded beside what it keeps itself. */
export function keepOffline(loaded: readonly string[]): void {
  if (!("serviceWorker" in navigator)) return; // no secure context: the page works, and needs the network
  navigator.serviceWorker
    .register("./sw.js")
    .then(() => navigator.serviceWorker.ready)
    .then((registration) => registration.active?.postMessage(loaded))
    .catch((error: unknown) => console.warn("The page cannot be kept for use without a network:", error));
}
