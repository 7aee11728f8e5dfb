/* Gestures on the canvas: pointers and the wheel. */

class Gestures {
  /** `mark` is called with a range of time, and true at the end of the drag; without it, every drag moves the chart. */
  constructor(chart, { hover, select, open, mark = null }) {
    Object.assign(this, { chart, hover, select, open, mark, pointers: new Map(), dragged: false, held: null });
    const { canvas } = chart;
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#moved(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.#up(event));
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("dblclick", (event) => this.open(this.#at(event)));
  }

  #at(event) {
    const box = this.chart.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #wheel(event) {
    event.preventDefault();
    const lines = [1, 16, 100][event.deltaMode];
    const { x } = this.#at(event);
    if (event.shiftKey) this.chart.pan((event.deltaX || event.deltaY) * lines);
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.chart.pan(event.deltaX * lines);
    else this.chart.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), x);
    this.hover(this.#at(event));
  }

  #down(event) {
    if (event.button !== 0) return;
    const at = this.#at(event);
    if (!this.pointers.size) {
      this.dragged = false;
      this.held = at.y < this.chart.head ? "overview" : this.#marks(event, at) ? "range" : "lanes";
      this.from = this.chart.timeAt(at.x);
      if (this.held === "overview") this.#centre(at.x);
    }
    this.pointers.set(event.pointerId, at);
    this.chart.canvas.setPointerCapture(event.pointerId);
  }

  /** Whether a drag from here marks a range: on the axis, or with Shift. */
  #marks(event, at) {
    return Boolean(this.mark) && (event.shiftKey || this.chart.isOnAxis(at.y));
  }

  /** Show the part of the run around a position in the overview. */
  #centre(x) {
    const { chart } = this;
    const half = (chart.end - chart.start) / 2;
    const time = chart.overviewTime(x);
    chart.show(time - half, time + half);
  }

  #moved(event) {
    const now = this.#at(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.hover(now);
      return;
    }
    if (!this.dragged && this.pointers.size === 1 && Math.hypot(now.x - before.x, now.y - before.y) < 4) return;
    this.dragged = true;
    this.pointers.set(event.pointerId, now);
    if (this.held === "overview") {
      this.#centre(now.x);
      return;
    }
    this.hover(null);
    if (this.held === "range") {
      this.mark(this.from, this.chart.timeAt(now.x), false);
      return;
    }
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.chart.pan((before.x - now.x) / this.pointers.size, (before.y - now.y) / this.pointers.size);
    if (!other) return;
    const distance = (one) => Math.max(Math.abs(one.x - other.x), 1);
    this.chart.zoom(distance(now) / distance(before), (now.x + other.x) / 2);
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
    if (this.dragged && this.held === "range") this.mark(this.from, this.chart.timeAt(this.#at(event).x), true);
    if (!this.dragged && this.held === "lanes" && event.type === "pointerup") this.select(this.#at(event));
  }
}
