// A canvas to draw on with mouse, finger, pen or the keyboard. Ink is dark on white paper; where the page is dark, the
// style sheet shows it the other way round, and it is sent as it is seen.

const WIDTH = 0.075; // of the paper's side: about what MNIST's strokes are to their field
const STEP = 1 / 28;

export class Drawing {
  constructor(canvas, { changed }) {
    this.canvas = canvas;
    this.paper = canvas.getContext("2d", { willReadFrequently: true });
    this.changed = changed;
    this.strokes = []; // lists of points, of which each has x, y from 0 to 1 and the pen's pressure
    this.image = null; // a picture that lies on the paper instead
    this.pen = { x: 0.5, y: 0.5, down: false, shown: false }; // the keyboard's
    this.listen();
    this.render();
  }

  get empty() {
    return this.strokes.length === 0 && this.image === null;
  }

  clear() {
    this.strokes = [];
    this.image = null;
    this.pen = { ...this.pen, x: 0.5, y: 0.5, down: false };
    this.update();
  }

  undo() {
    if (this.image) this.image = null;
    else this.strokes.pop();
    this.pen.down = false;
    this.update();
  }

  show(image) {
    this.strokes = [];
    this.image = image;
    this.pen.down = false;
    this.render();
  }

  update() {
    this.render();
    this.changed();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      this.image = null;
      this.pen.shown = this.pen.down = false;
      this.drawing = event.pointerId;
      this.strokes.push([this.place(event)]);
      this.update();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.drawing) return;
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) this.strokes.at(-1).push(this.place(each));
      this.update();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => { if (event.pointerId === this.drawing) this.drawing = null; });
    }
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("blur", () => { this.pen.shown = false; this.render(); });
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? event.pressure : 0.5;
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height, pressure };
  }

  press(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const { pen } = this;
    if (moves[event.key]) {
      const far = STEP * (event.shiftKey ? 4 : 1);
      const [x, y] = moves[event.key];
      pen.x = Math.min(1, Math.max(0, pen.x + x * far));
      pen.y = Math.min(1, Math.max(0, pen.y + y * far));
      pen.shown = true;
      if (pen.down) {
        this.strokes.at(-1).push({ x: pen.x, y: pen.y, pressure: 0.5 });
        this.update();
      } else this.render();
    } else if (event.key === " ") {
      pen.down = !pen.down;
      pen.shown = true;
      if (pen.down) {
        this.image = null;
        this.strokes.push([{ x: pen.x, y: pen.y, pressure: 0.5 }]);
        this.update();
      } else this.render();
    } else if (event.key === "Backspace") this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  render() {
    this.ink();
    const { paper, canvas, pen } = this;
    canvas.classList.toggle("picture", this.image !== null);
    if (!pen.shown) return;
    paper.beginPath();
    paper.arc(pen.x * canvas.width, pen.y * canvas.height, 0.6 * WIDTH * canvas.width, 0, 2 * Math.PI);
    paper.lineWidth = 4;
    paper.strokeStyle = pen.down ? "#c42b1c" : "#0b5c9e";
    paper.stroke();
  }

  // The paper with what is drawn, and without the keyboard's pen.
  ink() {
    const { paper, canvas } = this;
    const side = canvas.width;
    paper.fillStyle = "#fff";
    paper.fillRect(0, 0, side, side);
    if (this.image) {
      const scale = Math.min(side / this.image.width, side / this.image.height);
      const [width, height] = [this.image.width * scale, this.image.height * scale];
      paper.imageSmoothingEnabled = scale < 1;
      paper.drawImage(this.image, (side - width) / 2, (side - height) / 2, width, height);
      return;
    }
    paper.lineCap = paper.lineJoin = "round";
    paper.strokeStyle = paper.fillStyle = "#111";
    for (const points of this.strokes) {
      for (let at = 0; at < points.length; at += 1) {
        const [from, to] = [points[Math.max(0, at - 1)], points[at]];
        paper.lineWidth = WIDTH * side * (0.5 + to.pressure);
        paper.beginPath();
        paper.moveTo(from.x * side, from.y * side);
        paper.lineTo(to.x * side, to.y * side + (points.length === 1 ? 0.01 : 0));
        paper.stroke();
      }
    }
  }

  // What is drawn as a PNG, half as large: the nets see 28 pixels of it. Not by toBlob, which waits for an idle page.
  toBytes() {
    this.ink();
    const copy = document.createElement("canvas");
    copy.width = copy.height = this.canvas.width / 2;
    const context = copy.getContext("2d");
    if (!this.image && matchMedia("(prefers-color-scheme: dark)").matches) context.filter = "invert(1)";
    context.drawImage(this.canvas, 0, 0, copy.width, copy.height);
    this.render();
    const encoded = copy.toDataURL("image/png").split(",")[1];
    return Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  }
}
