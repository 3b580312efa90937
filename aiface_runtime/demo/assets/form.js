// Gradio runs this once the form is in the page, with `element`, `props`, `trigger` and `upload`.
const form = element.querySelector(".aiface-form");
const status = form.querySelector("[role=status]");
const camera = form.querySelector(".aiface-camera");
const cameraButton = form.querySelector("[data-camera]");
const video = camera.querySelector("video");
const maxBytes = Number(form.dataset.maxBytes);
const maxPhotos = Number(form.dataset.maxPhotos);
let chosen = []; // the photos of the last question, which stay in the browser so that they can be asked about again
let busy = false;
let inTable = false; // whether a row of the table was asked about
let stream = null;

const say = (text) => { status.textContent = text; };
const random = () => Date.now().toString(36) + Math.random().toString(36).slice(2);

// What was answered before must not be taken for the answer to what is asked now.
function hideOld(hide) {
  const parts = inTable ? ".aiface-answer, .aiface-message" : "[data-summary]";
  for (const part of document.querySelectorAll(parts)) part.classList.toggle("aiface-old", hide);
}

async function sent(file) {
  const photo = { name: file.name || "photo", size: file.size };
  if (file.size > maxBytes) return photo; // the server says why it has no answer, without having been sent the file
  const copy = new File([file], random(), { type: file.type }); // so that nobody's upload of the same photo is this one
  return { ...photo, path: (await upload(copy)).path };
}

async function ask(files, detail) {
  if (busy) return say("Still at work on the photos before; wait for their answer.");
  if (!files.length) return say("There is no photo in that.");
  if (files.length > maxPhotos) return say(`${files.length} photos: choose at most ${maxPhotos} at a time.`);
  [busy, inTable] = [true, detail];
  hideOld(true);
  form.setAttribute("aria-busy", "true");
  try {
    const photos = [];
    for (const file of files) {
      say(files.length > 1 ? `Sending photo ${photos.length + 1} of ${files.length}…` : "Sending the photo…");
      photos.push(await sent(file));
    }
    say("Looking…");
    const point = form.querySelector("input[name=aiface-point]:checked").value;
    props.value = { photos, operating_point: point, detail };
    trigger("submit");
  } catch (error) {
    done(`The photo could not be sent (${error?.message || error}); try again.`);
  }
}

function choose(files) {
  files = [...files];
  if (!busy && files.length && files.length <= maxPhotos) chosen = files;
  ask(files, false);
}

function done(text) {
  busy = false;
  form.removeAttribute("aria-busy");
  say(text);
}

window.addEventListener("aiface:failed", () => done("There was no answer; try again in a moment."));
window.addEventListener("aiface:answered", () => {
  hideOld(false);
  const answer = [...document.querySelectorAll("[data-summary]")].at(inTable ? -1 : 0);
  done(answer.dataset.summary);
  if (inTable) answer.querySelector("[tabindex]")?.focus();
});

form.querySelector("input[type=file]").addEventListener("change", (event) => {
  choose(event.target.files);
  event.target.value = ""; // so that the same photo can be chosen again
});

for (const radio of form.querySelectorAll("input[name=aiface-point]"))
  radio.addEventListener("change", () => { if (chosen.length) ask(chosen, false); });

for (const button of form.querySelectorAll("[data-example]"))
  button.addEventListener("click", async () => {
    const data = await (await fetch(button.querySelector("img").src)).blob();
    choose([new File([data], button.dataset.example, { type: data.type })]);
  });

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-photo]");
  if (button && chosen[button.dataset.photo]) ask([chosen[button.dataset.photo]], true);
});

const drop = form.querySelector(".aiface-drop");
for (const type of ["dragover", "drop"]) window.addEventListener(type, (event) => event.preventDefault()); // a near miss
drop.addEventListener("dragover", () => drop.classList.add("aiface-over"));
drop.addEventListener("dragleave", () => drop.classList.remove("aiface-over"));
drop.addEventListener("drop", (event) => {
  drop.classList.remove("aiface-over");
  choose(event.dataTransfer.files);
});

document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) choose(event.clipboardData.files);
});

form.querySelector("[data-paste]").addEventListener("click", async () => {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((name) => name.startsWith("image/"));
      if (type) return choose([new File([await item.getType(type)], `pasted.${type.slice(6)}`, { type })]);
    }
    say("There is no picture in the clipboard.");
  } catch {
    say("The browser does not hand over the clipboard here; press Ctrl+V instead.");
  }
});

function closeCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = video.srcObject = null;
  camera.hidden = true;
  cameraButton.setAttribute("aria-expanded", "false");
}

cameraButton.addEventListener("click", async () => {
  if (stream) return closeCamera();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: true });
    video.srcObject = stream;
    camera.hidden = false;
    cameraButton.setAttribute("aria-expanded", "true");
    camera.querySelector("[data-shoot]").focus();
  } catch {
    say("The browser gives this page no camera; allow it, or choose a photo.");
  }
});

form.querySelector("[data-close]").addEventListener("click", () => {
  closeCamera();
  cameraButton.focus();
});

form.querySelector("[data-shoot]").addEventListener("click", () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  if (!canvas.width) return say("The camera shows nothing yet; wait a moment.");
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((data) => {
    closeCamera();
    cameraButton.focus();
    choose([new File([data], "camera.png", { type: "image/png" })]);
  }, "image/png");
});
