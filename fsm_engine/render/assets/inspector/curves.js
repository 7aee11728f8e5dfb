/* The tab "Curves": a small chart for each value, with its latest number and the smoothed line. */

const [CURVE_HEIGHT, PAD, AXIS_HEIGHT] = [120, 6, 16];
const MOST_CURVES = 60;

class CurvesTab {
  constructor(place, chart) {
    this.smoothing = make("input", { id: "smoothing", type: "range", min: 0, max: 0.99, step: 0.01, value: 0.6 });
    this.amount = make("output", { for: "smoothing" }, "0.6");
    this.empty = make("p", { class: "lead" }, "No values yet. The loss, the learning rates and the metrics appear here.");
    this.curves = new Curves(chart, this.smoothing);
    const label = make("label", { for: "smoothing" }, "Smoothing");
    place.append(make("div", { class: "smoothing" }, label, this.smoothing, this.amount), this.empty, this.curves.grid);
    this.smoothing.addEventListener("input", () => {
      write(this.amount, String(Number(this.smoothing.value)));
      this.curves.redraw();
    });
  }

  show(records, time) {
    this.empty.hidden = records.series.size > 0;
    this.curves.show(records, time);
  }
}

/** A grid of small charts: of all values, or of the first `most`. `smoothing` is the field with the amount. */
class Curves {
  constructor(chart, smoothing, most = MOST_CURVES) {
    Object.assign(this, { chart, smoothing, most, cards: new Map(), time: null }); // the chart knows the colours
    this.grid = make("div", { class: "curve-grid" });
    new ResizeObserver(() => this.redraw()).observe(this.grid);
  }

  /** Show the values of an engine up to a time; all for null. */
  show({ series, counters }, time) {
    this.counter = counters[0] ?? "value";
    const ordered = [...series].sort(([one], [other]) => rankOf(one) - rankOf(other));
    this.series = new Map(ordered.slice(0, this.most));
    this.time = time;
    this.redraw();
  }

  redraw() {
    if (!this.series || !this.grid.clientWidth) return;
    for (const [name, card] of this.cards) {
      if (this.series.has(name)) continue;
      card.element.remove();
      this.cards.delete(name);
    }
    let place = 0;
    for (const [name, one] of this.series) {
      if (!this.cards.has(name)) this.#add(name);
      const { element } = this.cards.get(name);
      if (element !== this.grid.children[place]) this.grid.insertBefore(element, this.grid.children[place]);
      place++;
      this.#draw(this.cards.get(name), one);
    }
  }

  #add(name) {
    const card = { latest: make("output"), canvas: make("canvas", { role: "img" }), pointer: null };
    card.element = make("figure", { class: "curve" }, make("figcaption", {}, make("strong", {}, name), card.latest), card.canvas);
    card.canvas.addEventListener("pointermove", (event) => {
      card.pointer = event.offsetX;
      this.#draw(card, this.series.get(name));
    });
    card.canvas.addEventListener("pointerleave", () => {
      card.pointer = null;
      this.#draw(card, this.series.get(name));
    });
    this.cards.set(name, card);
    this.grid.append(card.element);
  }

  #draw(card, series) {
    if (!series) return;
    const points = series.until(this.time ?? Infinity, Number(this.smoothing.value));
    const drawn = points.filter((point) => point.finite);
    const { canvas } = card;
    const scale = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, CURVE_HEIGHT];
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const last = points.at(-1);
    const found = drawn.length ? this.#paint(pen, drawn, width, height - AXIS_HEIGHT, card.pointer) : null;
    const name = series.hasIterations ? this.counter : "value";
    const latest = last ? value(this.time === null ? series.last : last.mean) : "";
    write(card.latest, found ? `${value(found.mean)} at ${name} ${NUMBER.format(found.x)}` : latest);
    canvas.setAttribute("aria-label", `${series.name}: ${plural(NUMBER.format(points.length), "point")}, last ${latest || "none"}`);
    if (drawn.length) this.#axis(pen, drawn, name, width, height);
  }

  /** Paint the range and the smoothed line. Return the point under the pointer. */
  #paint(pen, points, width, height, pointer) {
    const { colours } = this.chart;
    const [first, last] = [points[0].x, points.at(-1).x];
    const [low, high] = rangeOf(points);
    const x = (at) => PAD + ((at - first) / (last - first || 1)) * (width - 2 * PAD);
    const y = (number) => PAD + (1 - (number - low) / (high - low)) * (height - 2 * PAD);
    pen.strokeStyle = colours.edge;
    pen.lineWidth = 1;
    for (const part of [0, 0.5, 1]) pen.strokeRect(PAD, Math.round(PAD + part * (height - 2 * PAD)) + 0.5, width - 2 * PAD, 0);
    this.#band(pen, points, x, y);
    pen.beginPath();
    for (const point of points) pen.lineTo(x(point.x), y(point.smooth));
    pen.strokeStyle = colours.accent;
    pen.lineWidth = 1.8;
    pen.lineJoin = "round";
    pen.stroke();
    const end = points.at(-1);
    pen.fillStyle = colours.accent;
    dot(pen, x(end.x), y(end.smooth), points.length === 1 ? 3 : 2.5);
    if (pointer === null) return null;
    const found = points.reduce((best, point) => (Math.abs(x(point.x) - pointer) < Math.abs(x(best.x) - pointer) ? point : best));
    pen.fillStyle = colours.ink;
    pen.globalAlpha = 0.4;
    pen.fillRect(Math.round(x(found.x)), 0, 1, height);
    pen.globalAlpha = 1;
    dot(pen, x(found.x), y(Math.min(Math.max(found.mean, low), high)), 3);
    return found;
  }

  /** The values themselves, behind the smoothed line: a line, or the range of joined points. */
  #band(pen, points, x, y) {
    pen.beginPath();
    for (const point of points) {
      pen.lineTo(x(point.x), y(point.low));
      if (point.high > point.low) pen.lineTo(x(point.x), y(point.high));
    }
    pen.strokeStyle = this.chart.colours.accent;
    pen.globalAlpha = 0.3;
    pen.lineWidth = 1.2;
    pen.lineJoin = "round";
    pen.stroke();
    pen.globalAlpha = 1;
  }

  #axis(pen, points, name, width, height) {
    const [low, high] = rangeOf(points);
    pen.font = `11px ${FONT}`;
    pen.fillStyle = this.chart.colours.quiet;
    pen.textBaseline = "alphabetic";
    const texts = [`${name} ${NUMBER.format(points[0].x)}`, NUMBER.format(points.at(-1).x)];
    pen.fillText(texts[0], PAD, height - 4);
    pen.fillText(texts[1], width - PAD - pen.measureText(texts[1]).width, height - 4);
    const range = low === points[0].mean && high === low ? value(low) : `${short3(low)} \u2026 ${short3(high)}`;
    pen.fillText(range, (width - pen.measureText(range).width) / 2, height - 4);
  }
}

/** The rank of a value by its name: the loss or the output comes first, then metrics, then others. */
const rankOf = (name) => (/^(loss|output)/.test(name) ? 0 : name.startsWith("metrics/") ? 1 : 2);

function rangeOf(points) {
  let [low, high] = [Infinity, -Infinity];
  for (const point of points) {
    low = Math.min(low, point.low);
    high = Math.max(high, point.high);
  }
  return low < high ? [low, high] : [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
}

function dot(pen, x, y, radius) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

const short3 = (number) => String(Number(number.toPrecision(3)));
