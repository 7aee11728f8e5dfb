/* Pan and zoom of the picture in its frame. */

const [SMALLEST, LARGEST] = [0.05, 4];

class View {
  constructor(frame, picture, shown, margin = 28) {
    Object.assign(this, { frame, picture, shown, margin });
    this.pointers = new Map();
    this.#listen();
    this.load();
  }

  /** Show the picture that the element contains now. */
  load() {
    const [svg] = this.picture.children;
    const box = svg.viewBox.baseVal;
    [this.width, this.height] = [box.width, box.height];
    svg.setAttribute("width", box.width);
    svg.setAttribute("height", box.height);
    const nodes = [...svg.querySelectorAll("g.node")];
    this.bounds = new Map(nodes.map((node) => [node, node.getBBox()])); // read once, because each call forces a layout
    this.open();
  }

  /** Show the whole picture. */
  fit(glide = true) {
    this.#centre(Math.min(this.#whole(), 1.25), glide);
  }

  /** Show the whole picture if it is legible then; else its beginning, at full width if that is legible. */
  open() {
    const whole = this.#whole();
    const across = (this.frame.clientWidth - 2 * this.margin) / this.width;
    const scale = Math.min(Math.max(whole, 0.62), Math.max(across, 0.5), 1.25);
    this.#centre(scale, false);
    this.#place(Math.max(this.x, this.margin), Math.max(this.y, this.margin), scale, false);
  }

  zoom(factor, x = this.frame.clientWidth / 2, y = this.frame.clientHeight / 2, glide = false) {
    const scale = Math.min(Math.max(this.scale * factor, SMALLEST), LARGEST);
    const grown = scale / this.scale;
    this.#place(x - (x - this.x) * grown, y - (y - this.y) * grown, scale, glide);
  }

  pan(dx, dy, glide = false) {
    this.#place(this.x + dx, this.y + dy, this.scale, glide);
  }

  /** Scroll a node into view, unless it is visible; do nothing without a node, as for phases that are not drawn. */
  show(node) {
    if (!node) return;
    const box = this.bounds.get(node);
    const scale = this.scale < 0.45 ? 0.8 : this.scale;
    const [left, top] = [box.x * scale + this.x, box.y * scale + this.y];
    const [width, height] = [box.width * scale, box.height * scale];
    const inside = left > this.margin && top > this.margin && left + width < this.frame.clientWidth - this.margin &&
      top + height < this.frame.clientHeight - this.margin;
    if (inside && scale === this.scale) return;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    this.#place(this.frame.clientWidth / 2 - x * scale, this.frame.clientHeight / 2 - y * scale, scale, true);
  }

  #whole() {
    const [width, height] = [this.frame.clientWidth - 2 * this.margin, this.frame.clientHeight - 2 * this.margin];
    return Math.min(Math.max(Math.min(width / this.width, height / this.height), SMALLEST), LARGEST);
  }

  #centre(scale, glide) {
    const x = (this.frame.clientWidth - this.width * scale) / 2;
    this.#place(x, (this.frame.clientHeight - this.height * scale) / 2, scale, glide);
  }

  /** Move the picture. Some of it always stays visible. */
  #place(x, y, scale, glide) {
    const clamp = (at, size, frame) => Math.min(Math.max(at, 60 - size), frame - 60);
    this.x = clamp(x, this.width * scale, this.frame.clientWidth);
    this.y = clamp(y, this.height * scale, this.frame.clientHeight);
    this.scale = scale;
    this.picture.classList.toggle("gliding", glide);
    this.picture.style.transform = `translate(${this.x}px, ${this.y}px) scale(${scale})`;
    this.shown(scale, this.#hidden());
  }

  /** The sides at which the frame hides a part of the picture. */
  #hidden() {
    const [right, bottom] = [this.x + this.width * this.scale, this.y + this.height * this.scale];
    return [
      this.y < -1 && "above",
      bottom > this.frame.clientHeight + 1 && "below",
      this.x < -1 && "left",
      right > this.frame.clientWidth + 1 && "right",
    ].filter(Boolean);
  }

  #listen() {
    const { frame } = this;
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#moved(event));
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, (event) => this.#up(event));
    frame.addEventListener("click", (event) => this.#click(event), { capture: true });
    let [width, height] = [frame.clientWidth, frame.clientHeight];
    new ResizeObserver(() => {
      this.pan((frame.clientWidth - width) / 2, (frame.clientHeight - height) / 2);
      [width, height] = [frame.clientWidth, frame.clientHeight];
    }).observe(frame);
  }

  #at(event) {
    const room = this.frame.getBoundingClientRect();
    return { x: event.clientX - room.left, y: event.clientY - room.top };
  }

  #wheel(event) {
    event.preventDefault();
    const lines = [1, 16, 100][event.deltaMode];
    const { x, y } = this.#at(event);
    if (event.shiftKey) this.pan(-(event.deltaX || event.deltaY) * lines, 0);
    else this.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), x, y);
  }

  #down(event) {
    if (event.button !== 0 || event.target.closest(".zoom")) return;
    if (!this.pointers.size) this.dragged = false;
    this.pointers.set(event.pointerId, this.#at(event));
  }

  #moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#at(event);
    if (!this.dragged) {
      if (this.pointers.size === 1 && Math.hypot(now.x - before.x, now.y - before.y) < 4) return;
      this.dragged = true;
      for (const id of this.pointers.keys()) this.frame.setPointerCapture(id);
      this.frame.classList.add("dragging");
    }
    this.pointers.set(event.pointerId, now);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pan((now.x - before.x) / this.pointers.size, (now.y - before.y) / this.pointers.size);
    if (!other) return;
    const apart = (one) => Math.max(Math.hypot(one.x - other.x, one.y - other.y), 1);
    this.zoom(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.frame.classList.remove("dragging");
  }

  /** Suppress the click at the end of a drag. */
  #click(event) {
    if (this.dragged) event.stopPropagation();
    this.dragged = false;
  }
}
