"use strict";
(() => {
  const AHEAD = 6; // rows beyond the edges of the window
  const ALPHA = 0.65, AI = [213, 94, 0], REAL = [0, 114, 178]; // as aiface explain draws evidence
  const KINDS = ["ai", "uncertain", "real", "failed"];
  const data = JSON.parse(document.getElementById("data").textContent);
  const list = document.getElementById("list"), status = document.getElementById("status");
  const number = new Intl.NumberFormat("en");
  const parts = new Map(), shown = new Map(), mapped = new Set();
  let visible = [], current = 0, rowHeight = 0;

  // Height of a row in px, which the width of the window decides on.
  const measure = () => { rowHeight = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")); };

  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    return element;
  };

  // A picture and its map in base64; null where there is none, undefined while the page is still being read.
  function pictureOf(index) {
    const part = Math.floor(index / data.part);
    if (!parts.has(part)) {
      const block = document.getElementById("part-" + part);
      // A block that nothing follows yet may still grow.
      if (!block || (document.readyState === "loading" && !block.nextElementSibling)) return undefined;
      parts.set(part, JSON.parse(block.textContent));
    }
    return parts.get(part)[index % data.part];
  }

  function drawMap(encoded, width, height) {
    const [rows, columns] = data.map;
    const cells = new Int8Array(Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0)).buffer);
    const small = make("canvas");
    small.width = columns;
    small.height = rows;
    const pixels = new ImageData(columns, rows);
    cells.forEach((cell, at) => {
      pixels.data.set([...(cell > 0 ? AI : REAL), Math.abs(cell) / 127 * ALPHA * 255], 4 * at);
    });
    small.getContext("2d").putImageData(pixels, 0, 0);
    const canvas = make("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Evidence map: orange counts towards AI, blue towards real");
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, width, height);
    return canvas;
  }

  function makeRow(at) {
    const index = visible[at];
    const [name, kind, p, details] = data.rows[index];
    const row = make("div", "row " + kind);
    row.setAttribute("role", "listitem");
    row.setAttribute("aria-posinset", at + 1);
    row.setAttribute("aria-setsize", visible.length);
    row.style.top = at * rowHeight + "px";
    row.dataset.at = at;
    const score = p === null ? "no answer" : "P(AI) " + p.toFixed(3);
    row.setAttribute("aria-label", [name, kind, score, details].filter(Boolean).join(", "));
    const picture = make("div", "picture");
    const text = make("div", "text");
    text.append(make("span", "verdict", kind), " ", make("span", "score", score));
    if (p !== null) {
      const bar = make("div", "bar"), fill = make("i");
      fill.style.width = 100 * p + "%";
      bar.append(fill);
      for (const threshold of data.thresholds) {
        const mark = make("b");
        mark.style.left = 100 * threshold + "%";
        bar.append(mark);
      }
      bar.setAttribute("aria-hidden", "true");
      text.append(bar);
    }
    const label = make("div", "name", name);
    label.title = name;
    const more = make("div", "details", details);
    more.title = details;
    text.append(label, more);
    row.append(picture, text);
    fillPicture(row, index);
    return row;
  }

  function fillPicture(row, index) {
    const found = pictureOf(index);
    if (found === undefined || row.dataset.filled) return;
    row.dataset.filled = "1";
    if (found === null) return;
    const image = make("img");
    image.alt = "";
    image.decoding = "async";
    image.addEventListener("load", () => mapped.has(index) && showMap(row, index));
    image.src = "data:image/jpeg;base64," + found[0];
    row.querySelector(".picture").append(image);
    if (!data.map || !found[1]) return;
    const button = make("button", "", "Map");
    button.type = "button";
    button.setAttribute("aria-label", "Evidence map of " + data.rows[index][0]);
    button.setAttribute("aria-pressed", mapped.has(index));
    button.tabIndex = Number(row.dataset.at) === current ? 0 : -1;
    button.addEventListener("click", () => toggle(row, index));
    row.append(button);
  }

  function showMap(row, index) {
    const picture = row.querySelector(".picture"), image = picture.querySelector("img");
    const button = row.querySelector("button");
    picture.querySelector("canvas")?.remove();
    picture.classList.toggle("mapped", mapped.has(index));
    button?.setAttribute("aria-pressed", mapped.has(index));
    if (mapped.has(index)) picture.append(drawMap(pictureOf(index)[1], image.width, image.height));
  }

  function toggle(row, index) {
    if (!row.querySelector("button")) return;
    mapped.has(index) ? mapped.delete(index) : mapped.add(index);
    showMap(row, index);
  }

  // Only rows near the window are in the document.
  function render() {
    const top = -list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / rowHeight) - AHEAD);
    const last = Math.min(visible.length, Math.ceil((top + innerHeight) / rowHeight) + AHEAD);
    for (const [at, row] of shown) {
      if ((at < first || at >= last) && !row.contains(document.activeElement)) {
        row.remove();
        shown.delete(at);
      }
    }
    for (let at = first; at < last; at++) {
      const row = shown.get(at);
      if (row) {
        fillPicture(row, visible[at]);
        continue;
      }
      const made = makeRow(at);
      made.tabIndex = at === current ? 0 : -1;
      const next = [...shown.keys()].filter((other) => other > at).sort((a, b) => a - b)[0];
      list.insertBefore(made, next === undefined ? null : shown.get(next));
      shown.set(at, made);
    }
    if (!shown.has(current) && shown.size) setCurrent(Math.min(...[...shown.keys()].filter((at) => at >= Math.floor(top / rowHeight))));
  }

  function setCurrent(at) {
    for (const [key, value] of [[current, -1], [at, 0]]) {
      const row = shown.get(key);
      if (row) row.tabIndex = value;
      const button = row?.querySelector("button");
      if (button) button.tabIndex = value;
    }
    current = at;
  }

  function moveTo(at) {
    const goal = Math.max(0, Math.min(visible.length - 1, at));
    const top = list.getBoundingClientRect().top + goal * rowHeight;
    if (top < 0) scrollBy(0, top);
    else if (top + rowHeight > innerHeight) scrollBy(0, top + rowHeight - innerHeight);
    render();
    setCurrent(goal);
    shown.get(goal)?.focus({ preventScroll: true });
  }

  function apply() {
    measure();
    const kinds = new Set([...document.querySelectorAll("#kinds input:checked")].map((box) => box.value));
    const folder = document.getElementById("folder").value;
    const inside = folder.endsWith(data.separator) ? folder : folder + data.separator;
    visible = [];
    data.rows.forEach(([name, kind], index) => {
      if (kinds.has(kind) && (!folder || name.startsWith(inside) || (folder === "." && !name.includes(data.separator)))) {
        visible.push(index);
      }
    });
    for (const row of shown.values()) row.remove();
    shown.clear();
    current = 0;
    list.style.height = visible.length * rowHeight + "px";
    list.hidden = !visible.length;
    const total = KINDS.reduce((sum, kind) => sum + (data.counts[kind] ?? 0), 0);
    status.textContent = number.format(visible.length) + " of " + number.format(data.rows.length) + " photos shown"
      + (data.rows.length < total ? "; the page lists the most suspicious of " + number.format(total) : "");
    render();
  }

  function folderOf(name) {
    const end = name.lastIndexOf(data.separator);
    return end < 0 ? "." : name.slice(0, end) || data.separator;
  }

  for (const kind of KINDS.filter((each) => data.counts[each])) {
    const label = make("label"), box = make("input");
    box.type = "checkbox";
    box.value = kind;
    box.checked = true;
    label.append(box, kind + " (" + number.format(data.counts[kind]) + ")");
    document.getElementById("kinds").append(label);
  }
  for (const folder of [...new Set(data.rows.map((row) => folderOf(row[0])))].sort()) {
    const option = make("option", "", folder);
    option.value = folder;
    document.getElementById("folder").append(option);
  }
  const counts = KINDS.filter((kind) => data.counts[kind]).map((kind) => number.format(data.counts[kind]) + " " + kind);
  document.getElementById("histogram-text").textContent = counts.join(", ") + ". Real below " + data.thresholds[0]
    + ", AI from " + data.thresholds[1] + " (dashed); bars grow with the square root of their number.";
  document.getElementById("help").textContent = "Arrow keys move between photos. " + (data.map
    ? "Enter or the button draws the evidence map over what the model saw: orange counts towards AI, blue towards real. "
      + "It shows what the model reacted to, not what was done to the photo."
    : "This model has no evidence map.");
  document.getElementById("filter").addEventListener("input", apply);
  document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("focusin", (event) => setCurrent(Number(event.target.closest(".row").dataset.at)));
  list.addEventListener("keydown", (event) => {
    const row = event.target.closest(".row"), at = Number(row.dataset.at);
    const page = Math.max(1, Math.floor(innerHeight / rowHeight) - 1);
    const goal = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: Infinity }[event.key];
    if (goal !== undefined) moveTo(goal);
    else if (event.key === "Enter" && event.target === row) toggle(row, visible[at]);
    else return;
    event.preventDefault();
  });
  addEventListener("scroll", render, { passive: true });
  addEventListener("resize", () => {
    measure();
    list.style.height = visible.length * rowHeight + "px";
    for (const [at, row] of shown) row.style.top = at * rowHeight + "px";
    render();
  });
  apply();
  const waiting = setInterval(render, 100); // until the pictures are read
  addEventListener("DOMContentLoaded", () => {
    clearInterval(waiting);
    render();
  });
})();
