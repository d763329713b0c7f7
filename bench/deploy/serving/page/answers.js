// What the API answered, put on the page. Text is set as text: names may hold anything.

const MOST_COLUMNS = 12; // classes that a table has room for; of more the most probable are listed
const $ = (id) => document.getElementById(id);

export function unpack({ shape, pixels }) {
  const bytes = Uint8Array.from(atob(pixels), (character) => character.charCodeAt(0));
  return { shape, bytes };
}

// One image, (C, H, W) bytes, onto a canvas of its size.
export function paint(canvas, { shape: [channels, height, width], bytes }, { sheet = 0 } = {}) {
  const across = sheet || 1;
  const count = sheet ? channels : 1;
  const gap = sheet ? 1 : 0;
  canvas.width = across * (width + gap) - gap;
  canvas.height = Math.ceil(count / across) * (height + gap) - gap;
  const context = canvas.getContext("2d");
  for (let at = 0; at < count; at += 1) {
    const image = context.createImageData(width, height);
    for (let pixel = 0; pixel < width * height; pixel += 1) {
      for (let colour = 0; colour < 3; colour += 1) {
        const plane = sheet ? at : channels === 3 ? colour : 0;
        image.data[4 * pixel + colour] = bytes[plane * width * height + pixel];
      }
      image.data[4 * pixel + 3] = 255;
    }
    context.putImageData(image, (at % across) * (width + gap), Math.floor(at / across) * (height + gap));
  }
}

function element(name, text, classes = "") {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

const percent = (share, digits = 0) => (100 * share).toFixed(digits);
const listing = (words) => (words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0]);

// The table's frame: one row an architecture, made once for each set of nets.
export function frame(nets) {
  const { classes } = nets.dataset;
  const wide = classes.length <= MOST_COLUMNS;
  const heads = ["Architecture", "Says", "ms", ...(wide ? classes : ["Most probable"])];
  $("nets").tHead.rows[0].replaceChildren(...heads.map((text, at) => {
    const head = element("th", text, at === 2 ? "n" : at > 2 && wide ? "p" : "");
    head.scope = "col";
    return head;
  }));
  $("nets").tBodies[0].replaceChildren(...nets.architectures.map((net) => {
    const row = element("tr");
    row.dataset.name = net.name;
    const head = element("th", net.name);
    head.scope = "row";
    const accuracy = net.test_accuracy === null ? "" : `${percent(net.test_accuracy, 2)} %, `;
    const note = element("small", `${accuracy}seed ${net.seed}`);
    note.title = `${net.chosen}; by ${net.runtime}`;
    head.append(note);
    row.append(head, element("td", "", "says"), element("td", "", "n ms"));
    if (wide) {
      for (const label of classes) {
        const cell = element("td", "", "p");
        cell.dataset.head = label;
        row.append(cell);
      }
    } else row.append(element("td", "", "list"));
    return row;
  }));
  const before = $("watched").value;
  $("watched").replaceChildren(...nets.architectures.map((net) => new Option(net.name, net.name)));
  if (nets.architectures.some((net) => net.name === before)) $("watched").value = before;
}

export function about(nets) {
  const { name, classes } = nets.dataset;
  const count = nets.architectures.length;
  const trained = `trained on ${name}, ${classes.length} classes`;
  $("about").textContent = [`Study ${nets.study}: ${count} ${count === 1 ? "net" : "nets"} ${trained}.`, ...nets.notes].join(" ");
}

// One sentence: what they say together, and who says something else.
export function sentence({ label, architectures }) {
  const most = architectures.filter((net) => net.agrees);
  const others = architectures.filter((net) => !net.agrees);
  if (architectures.length === 1) return `${label}, with ${percent(most[0].confidence)} % confidence`;
  if (!others.length) return `${architectures.length === 2 ? "Both" : `All ${architectures.length}`} say ${label}`;
  const said = (net) => `${net.name} says ${net.label} (${percent(net.confidence)} %)`;
  const first = most.length > 1 ? `${most.length} of ${architectures.length} say ${label}` : said(most[0]);
  return `${first}; ${listing(others.map(said))}`;
}

export function show(answer, { milliseconds }) {
  const text = sentence(answer);
  if ($("answer").textContent !== text) $("answer").textContent = text; // or it would be read out again
  $("results").hidden = false;
  for (const net of answer.architectures) {
    const row = [...$("nets").tBodies[0].rows].find((each) => each.dataset.name === net.name);
    if (row) fill(row, net, answer.classes);
  }
  const { image } = answer;
  $("far").hidden = image.far !== true;
  if (image.far) {
    $("far").textContent = "This is far from the data that the nets were trained on, so that what they say means little: "
      + `${image.why}.`;
  }
  paint($("seen"), unpack(image));
  const [, height, width] = image.shape;
  const done = image.said.length ? image.said : ["taken as it is"];
  $("said").replaceChildren(...[`${width}×${height} pixels`, ...done].map((phrase) => element("li", phrase)));
  $("timing").textContent = `Answered in ${milliseconds.toFixed(0)} ms, of which ${answer.milliseconds.toFixed(1)} ms on the server.`;
  if (answer.layers) inside(answer.layers, answer.classes);
}

function fill(row, net, classes) {
  row.classList.toggle("other", !net.agrees);
  row.cells[1].textContent = net.label;
  row.cells[2].textContent = net.milliseconds.toFixed(1);
  if (row.cells.length === 4 && classes.length > MOST_COLUMNS) {
    const order = net.probabilities.map((share, at) => [share, classes[at]]).sort(([a], [b]) => b - a).slice(0, 5);
    row.cells[3].textContent = order.map(([share, label]) => `${label} ${percent(share)} %`).join(", ");
    return;
  }
  const best = Math.max(...net.probabilities);
  net.probabilities.forEach((share, at) => {
    const cell = row.cells[3 + at];
    cell.textContent = percent(share);
    cell.style.setProperty("--p", share.toFixed(3));
    cell.classList.toggle("top", share === best);
    cell.classList.toggle("none", share < 0.005);
  });
}

const short = (value) => String(Number(value.toPrecision(3)));

function inside({ architecture, layers }, classes) {
  const room = $("layers");
  if (!layers.length) {
    room.replaceChildren(element("p", `The layers of ${architecture} cannot be watched.`, "help"));
    return;
  }
  room.replaceChildren(...layers.map((layer) => {
    const figure = element("figure", undefined, "layer");
    const size = layer.output_shape.join("×");
    const [shown, height, width] = layer.shape;
    const flat = layer.output_shape.length === 1;
    const some = !flat && shown < layer.output_shape[0] ? `, the first ${shown} maps` : "";
    const caption = `${layer.layer || architecture} (${layer.kind}): ${size}${some}, ${short(layer.low)} to ${short(layer.high)}`;
    const canvas = element("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `What ${layer.layer || architecture} makes of the picture, ${size}`);
    const across = flat ? Math.min(shown, 64) : Math.min(shown, 8);
    const logits = flat && shown === classes.length && shown <= MOST_COLUMNS;
    paint(canvas, unpack(layer), { sheet: across });
    const zoom = logits ? 16 : flat ? 8 : Math.max(1, Math.round(56 / Math.max(height, width)));
    canvas.style.width = `${canvas.width * zoom}px`;
    figure.append(element("figcaption", caption), canvas);
    if (logits) figure.append(element("p", `from left to right ${classes.join(", ")}`, "help"));
    return figure;
  }));
}

export function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

function forget(text) {
  $("answer").textContent = text;
  for (const id of ["results", "far"]) $(id).hidden = true;
}

export function nothing() {
  forget("Nothing yet: draw, or choose a picture.");
  trouble("");
}

// No answer: that of a picture before must not stand beside this one.
export function refused(text) {
  forget("No answer.");
  trouble(text);
}
