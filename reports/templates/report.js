"use strict";
// The page reads well without this: it only adds sorting, switches for architectures and enlarged pictures.

function addSorting(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const original = [...body.rows];
  if (original.length < 2) return;
  const words = new Intl.Collator("en", { numeric: true });

  // Numbers first, then what is never reached, then what has none: in both directions, so that it never leads.
  const rank = (cell) => (cell.dataset.v === undefined ? 2 : Number.isFinite(Number(cell.dataset.v)) ? 0 : 1);
  function compare(a, b, sign) {
    if (rank(a) !== rank(b)) return rank(a) - rank(b);
    if (rank(a) === 0) return sign * (Number(a.dataset.v) - Number(b.dataset.v));
    return rank(a) === 1 ? 0 : sign * words.compare(a.textContent, b.textContent);
  }

  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = { ascending: "descending", descending: null }[head.ariaSort ?? ""];
      const next = order === undefined ? "ascending" : order;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      table.classList.toggle("sorted", next !== null); // lines between groups hold for the first order alone
      const sign = next === "descending" ? -1 : 1;
      // Always from the first order, so that equal rows keep it.
      body.append(...(next ? original.toSorted((a, b) => compare(a.cells[at], b.cells[at], sign)) : original));
    });
  });
}

function addLegend(legend) {
  const groups = [...document.querySelectorAll("[data-series]")];
  const light = (style) => groups.forEach((group) => {
    group.classList.toggle("dim", style !== null && group.dataset.series !== style);
  });
  for (const label of legend.querySelectorAll("label")) {
    const style = label.dataset.key;
    const box = label.querySelector("input");
    const mine = groups.filter((group) => group.dataset.series === style);
    const show = () => mine.forEach((group) => group.classList.toggle("off", !box.checked));
    box.addEventListener("change", show);
    show(); // a browser may remember what was ticked before the page was loaded again
    for (const event of ["mouseenter", "focusin"]) label.addEventListener(event, () => light(box.checked ? style : null));
    for (const event of ["mouseleave", "focusout"]) label.addEventListener(event, () => light(null));
  }
  legend.hidden = false;
}

function addEnlarging(galleries) {
  const dialog = document.createElement("dialog");
  dialog.innerHTML = '<form method="dialog"><button aria-label="Close">×</button></form><figure></figure><p></p>';
  document.body.append(dialog);
  let shown = null;

  function show(tile) {
    const gallery = tile.closest(".gallery");
    const style = getComputedStyle(gallery);
    const room = Math.min(innerWidth / style.getPropertyValue("--w"), innerHeight / style.getPropertyValue("--h"));
    const copy = tile.closest("figure").cloneNode(true);
    const pixels = copy.querySelector(".pixels");
    pixels.removeAttribute("tabindex");
    pixels.setAttribute("role", "img");
    pixels.setAttribute("aria-label", tile.dataset.alt);
    const figure = dialog.querySelector("figure");
    figure.className = gallery.className.replace("gallery", "large");
    figure.style.cssText = gallery.style.cssText;
    figure.style.setProperty("--s", Math.max(1, Math.floor(0.6 * room)));
    figure.replaceChildren(...copy.childNodes);
    dialog.querySelector("p").textContent = tile.dataset.alt;
    dialog.setAttribute("aria-label", gallery.dataset.title);
    shown = tile;
    if (!dialog.open) dialog.showModal();
  }

  function step(tile, key) {
    const tiles = [...tile.closest(".gallery").querySelectorAll("[role=button]")].filter((one) => one.offsetParent);
    const to = { ArrowLeft: -1, ArrowRight: 1, Home: -tiles.length, End: tiles.length }[key];
    return to && tiles[Math.min(tiles.length - 1, Math.max(0, tiles.indexOf(tile) + to))];
  }

  for (const gallery of galleries) {
    // One stop of the Tab key for each list; arrows go on from there.
    for (const list of gallery.querySelectorAll(".tiles")) list.querySelector(".pixels").tabIndex = 0;
    for (const tile of gallery.querySelectorAll(".pixels")) {
      if (tile.tabIndex !== 0) tile.tabIndex = -1;
      tile.dataset.alt = tile.getAttribute("aria-label");
      tile.setAttribute("role", "button");
      tile.setAttribute("aria-label", `Enlarge: ${tile.dataset.alt}`);
      tile.addEventListener("click", () => show(tile));
      tile.addEventListener("keydown", (event) => {
        const next = step(tile, event.key);
        if (next) next.focus();
        else if (event.key === "Enter" || event.key === " ") show(tile);
        else return;
        event.preventDefault();
      });
    }
  }
  dialog.addEventListener("keydown", (event) => {
    const next = shown && step(shown, event.key);
    if (next) show(next);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the picture
  });
  dialog.addEventListener("close", () => shown.focus());
}

function closeContents(contents) {
  contents.addEventListener("click", (event) => { if (event.target.closest("a")) contents.open = false; });
  document.addEventListener("click", (event) => { if (!contents.contains(event.target)) contents.open = false; });
  contents.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    contents.open = false;
    contents.querySelector("summary").focus();
  });
}

// A link to what is folded away opens it; the browser then goes there.
function openFolds() {
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const own = target.querySelector(":scope > details.fold");
    if (own) own.open = true;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
}

function printWhole() {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((details) => { details.open = false; }));
}

document.querySelectorAll("table").forEach(addSorting);
const legend = document.getElementById("legend");
if (legend) addLegend(legend);
const galleries = document.querySelectorAll(".gallery");
if (galleries.length) addEnlarging(galleries);
closeContents(document.querySelector(".contents"));
openFolds();
printWhole();
