// The playground: what is drawn or given goes to the API, one request at a time, the newest last.

import { about, frame, nothing, paint, show, trouble, unpack } from "./answers.js";
import { Drawing } from "./drawing.js";

const $ = (id) => document.getElementById(id);
const state = { nets: null, wanted: null, busy: false, given: null };

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw new Error(body.error ?? `The server answered ${response.status}.`);
  return body;
}

async function loadNets() {
  state.nets = await ask("/api/architectures");
  about(state.nets);
  frame(state.nets);
}

// Only the newest picture is worth an answer: what was drawn meanwhile replaces what waits.
async function predict(source) {
  state.wanted = source;
  if (state.busy) return;
  state.busy = true;
  try {
    while (state.wanted) {
      const next = state.wanted;
      state.wanted = null;
      await answer(next); // eslint-disable-line no-await-in-loop
    }
  } finally {
    state.busy = false;
  }
}

async function answer(source) {
  const started = performance.now();
  try {
    const body = source();
    const query = new URLSearchParams({ layers: $("watched").value });
    const found = await ask(`/api/predict?${query}`, {
      method: "POST", body, headers: { "Content-Type": "application/octet-stream" },
    });
    if (found.version !== state.nets.version) {
      await loadNets(); // the results were replaced
      await loadExamples();
    }
    if (drawing.empty && !state.given) return; // cleared meanwhile
    trouble("");
    show(found, { milliseconds: performance.now() - started });
  } catch (fault) {
    trouble(fault instanceof TypeError ? "The server does not answer; is it still running?" : fault.message);
  }
}

const drawing = new Drawing($("pad"), {
  changed: () => {
    state.given = null;
    offer();
    if (drawing.empty) nothing();
    else predict(() => drawing.toBytes());
  },
});

function offer() {
  const empty = drawing.empty && !state.given;
  $("pad-hint").hidden = !empty;
  for (const id of ["undo", "clear"]) $(id).disabled = empty;
}

// The file itself is sent, as it is; the paper only shows it.
async function give(file) {
  state.given = file;
  try {
    drawing.show(await createImageBitmap(file));
  } catch {
    drawing.show(null); // the server may know the format all the same, or says what is wrong
  }
  offer();
  predict(() => file);
}

async function loadExamples() {
  const { examples } = await ask("/api/examples");
  $("example-list").replaceChildren(...examples.map((example) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const canvas = document.createElement("canvas");
    button.type = "button";
    button.setAttribute("aria-label", `Example of ${example.label}`);
    button.title = example.label;
    paint(canvas, unpack(example));
    button.append(canvas);
    button.addEventListener("click", () => canvas.toBlob((blob) => give(blob)));
    item.append(button);
    return item;
  }));
  $("examples").hidden = examples.length === 0;
}

function listen() {
  $("undo").addEventListener("click", () => { state.given = null; drawing.undo(); });
  $("clear").addEventListener("click", () => { state.given = null; drawing.clear(); });
  $("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) give(file);
    event.target.value = "";
  });
  $("watched").addEventListener("change", () => {
    if (!drawing.empty || state.given) predict(() => (state.given ?? drawing.toBytes()));
  });
  for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    $("drop").addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", over);
    });
  }
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault()); // not to leave the page
  addEventListener("drop", (event) => { if (event.dataTransfer.files.length) give(event.dataTransfer.files[0]); });
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
    if (file) give(file);
  });
}

listen();
offer();
loadNets().then(loadExamples).catch((fault) => {
  $("about").textContent = "";
  trouble(fault.message);
});
