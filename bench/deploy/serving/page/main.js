// The playground: what is drawn or given goes to the API, one request at a time, the newest last.

import { about, frame, nothing, paint, refused, show, trouble, unpack } from "./answers.js";
import { Drawing } from "./drawing.js";

const $ = (id) => document.getElementById(id);
const MOST_BYTES = 4 << 20; // what the server takes
const RETRY = 3000; // ms
const state = { nets: null, wanted: null, busy: false, given: null, count: 0 }; // count: of what was drawn or given

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({})); // of what is far too large the answer is plain text
  if (response.ok) return body;
  const fault = new Error(body.error ?? `The server answered ${response.status}.`);
  fault.status = response.status;
  throw fault;
}

async function loadNets() {
  state.nets = await ask("/api/architectures");
  about(state.nets);
  frame(state.nets);
}

// After the results were replaced.
async function reload() {
  await loadNets();
  await loadExamples();
}

// Only the newest picture is worth an answer: what was drawn meanwhile replaces what waits.
async function predict(source) {
  state.wanted = source;
  if (state.busy || !state.nets) return;
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
  const body = source();
  const send = () => ask(`/api/predict?${new URLSearchParams({ layers: $("watched").value })}`, {
    method: "POST", body, headers: { "Content-Type": "application/octet-stream" },
  });
  try {
    if (body.size > MOST_BYTES) throw new Error(`The picture has more than ${MOST_BYTES >> 20} MiB; give a smaller one.`);
    let found;
    try {
      found = await send();
    } catch (fault) {
      if (fault.status !== 400) throw fault;
      await reload(); // the net whose layers are shown may have gone
      found = await send();
    }
    if (found.version !== state.nets.version) await reload();
    if (drawing.empty && !state.given) return; // cleared meanwhile
    trouble("");
    show(found, { milliseconds: performance.now() - started });
  } catch (fault) {
    if (!state.wanted && (state.given || !drawing.empty)) refused(fault instanceof TypeError ? "The server does not answer; is it still running?" : fault.message);
  }
}

const drawing = new Drawing($("pad"), {
  changed: () => {
    state.given = null;
    state.count += 1;
    offer();
    if (drawing.empty) {
      state.wanted = null;
      nothing();
    } else predict(() => drawing.toBytes());
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
  state.count += 1;
  const { count } = state;
  const picture = await createImageBitmap(file).catch(() => null); // the server may know the format all the same, or says what is wrong
  if (count !== state.count) return; // something newer was drawn or given meanwhile
  drawing.show(picture);
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
// Again and again until the server answers; what was drawn meanwhile is answered then.
async function begin() {
  try {
    await reload();
  } catch (fault) {
    $("about").textContent = "";
    trouble(fault instanceof TypeError ? "The server does not answer; is it still running?" : fault.message);
    setTimeout(begin, RETRY);
    return;
  }
  trouble("");
  if (state.wanted) predict(state.wanted);
}

begin();
