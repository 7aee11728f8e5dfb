/* The canvas. Drawing a frame reads only a few items per pixel, however many items there are. */

const [GUTTER, EDGE, OVERVIEW, AXIS] = [138, 14, 40, 26]; // left and right margin; heights of the overview and of the axis
const [LANE, LANE_GAP, HEADING, EVENTS, CURVE] = [19, 7, 26, 17, 44];
const SHORTEST = 20; // nanoseconds; the least time that the whole width shows
const THIN = 3; // pixels; narrower items are drawn together with their neighbours
const SHADES = 16; // of items that are drawn together, by their share of the time
const FONT = 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif';
const ROLES = { scope: "phase", step: "main", data: "custom", phase: "phase", handler: "changed", wait: "removed" };
const COLOURS = ["page", "surface", "raised", "edge", "ink", "quiet", "accent", "walk", "line", "error",
  ...new Set(Object.values(ROLES).flatMap((role) => ["fill", "text", "border"].map((part) => `${role}-${part}`)))];

class Chart {
  /** `overview` is the height of the overview above the axis; 0 for none. */
  constructor(canvas, probe, tracks, curves, { overview = OVERVIEW } = {}) {
    Object.assign(this, { canvas, probe, curves, head: overview, changed: () => {} });
    this.pen = canvas.getContext("2d");
    [this.scroll, this.cursor, this.hovered, this.selected, this.found, this.playhead, this.range] = [0, null, null, null, null, null, null];
    this.widths = new Map();
    this.#take(tracks);
    this.readColours();
    this.fit(false);
  }

  /** Replace the tracks by longer ones. The selected item stays selected, unless it is no longer there. */
  update(tracks) {
    const again = (item) => item && sameItem(item, tracks.find((track) => track.id === item.track.id));
    [this.selected, this.hovered] = [again(this.selected), again(this.hovered)];
    this.#take(tracks);
    this.image = null;
    this.touch();
  }

  #take(tracks) {
    this.tracks = tracks;
    const begin = tracks.length ? Math.min(...tracks.map((track) => track.times[0])) : 0;
    this.whole = Math.max(...tracks.map((track) => track.end - begin), 1);
    [this.first, this.last] = [begin - 0.01 * this.whole, begin + 1.01 * this.whole];
  }

  /* The shown time */

  get width() {
    return Math.max(this.canvas.clientWidth - GUTTER - EDGE, 1);
  }

  get height() {
    return this.canvas.clientHeight;
  }

  x(time) {
    return GUTTER + ((time - this.start) / (this.end - this.start)) * this.width;
  }

  timeAt(x) {
    return this.start + ((x - GUTTER) / this.width) * (this.end - this.start);
  }

  fit(glide = true) {
    this.show(this.first, this.last, glide);
  }

  /** Show the time from `start` to `end`, within the run. */
  show(start, end, glide = false) {
    const wide = Math.min(Math.max(end - start, SHORTEST), this.last - this.first);
    const middle = (start + end) / 2;
    const from = Math.min(Math.max(middle - wide / 2, this.first), this.last - wide);
    cancelAnimationFrame(this.gliding);
    if (glide && !matchMedia("(prefers-reduced-motion: reduce)").matches) this.#glide(from, from + wide, performance.now());
    else this.#place(from, from + wide);
  }

  #place(start, end) {
    [this.start, this.end] = [start, end];
    this.touch();
    this.changed();
  }

  #glide(start, end, since) {
    const [first, last] = [this.start, this.end];
    const step = (now) => {
      const part = Math.min(Math.max((now - since) / 220, 0), 1);
      const done = 1 - (1 - part) ** 3;
      const wide = Math.exp(Math.log(last - first) * (1 - done) + Math.log(end - start) * done);
      const [before, after] = [last - first, end - start];
      const way = Math.abs(after - before) < 1e-9 * before ? done : (wide - before) / (after - before);
      const from = first + (start - first) * way;
      this.#place(part < 1 ? from : start, part < 1 ? from + wide : end);
      if (part < 1) this.gliding = requestAnimationFrame(step);
    };
    this.gliding = requestAnimationFrame(step);
  }

  zoom(factor, x = GUTTER + this.width / 2, glide = false) {
    const at = this.timeAt(Math.min(Math.max(x, GUTTER), GUTTER + this.width));
    this.show(at - (at - this.start) / factor, at + (this.end - at) / factor, glide);
  }

  pan(pixels, down = 0, glide = false) {
    const by = (pixels / this.width) * (this.end - this.start);
    this.scroll = Math.min(Math.max(this.scroll + down, 0), Math.max(this.tall - this.height, 0));
    this.show(this.start + by, this.end + by, glide);
  }

  /** Bring an item into view, at a visible size. */
  reveal(start, end) {
    const wide = Math.max(end - start, SHORTEST / 4);
    const pixels = (wide / (this.end - this.start)) * this.width;
    if (pixels >= 24 && pixels <= this.width && start >= this.start && end <= this.end) this.touch();
    else this.show(start - wide * 1.2, start + wide * 2.2, true);
  }

  /** Read the colours of the page. */
  readColours() {
    const read = (name) => {
      this.probe.style.color = `var(--${name})`;
      return getComputedStyle(this.probe).color;
    };
    this.colours = Object.fromEntries(COLOURS.map((name) => [name, read(name)]));
    this.hatches = {};
    this.image = null;
    this.touch();
  }

  touch() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.draw();
    });
  }

  /* Layout */

  /** The rows from top to bottom, with their positions. They fill the height of the canvas. */
  rows() {
    const found = [];
    const several = this.tracks.length > 1;
    let lanes = 0;
    for (const track of this.tracks) {
      if (several) found.push({ kind: "heading", track, tall: HEADING });
      found.push({ kind: "events", track, tall: EVENTS });
      for (const lane of track.lanes) found.push({ kind: "lane", track, lane, tall: LANE + LANE_GAP });
      lanes += track.lanes.length;
    }
    for (const curve of this.curves) found.push({ kind: "curve", curve, tall: CURVE + LANE_GAP });
    const top = this.head + AXIS;
    const used = found.reduce((sum, row) => sum + row.tall, top + EDGE);
    const free = Math.max(this.height - used, 0) / (lanes + 2.5 * this.curves.length);
    this.laneTall = LANE + LANE_GAP + Math.min(free, 26);
    let y = top;
    for (const row of found) {
      row.tall += row.kind === "lane" ? Math.min(free, 26) : row.kind === "curve" ? Math.min(2.5 * free, 90) : 0;
      row.top = y;
      y += row.tall;
    }
    this.tall = y + EDGE;
    this.scroll = Math.min(this.scroll, Math.max(this.tall - this.height, 0));
    for (const row of found) row.top -= this.scroll;
    return found;
  }

  /** The row, the time and the item at a position, or the nearest item that is drawn there. */
  at(x, y) {
    if (x < GUTTER || x > GUTTER + this.width || y < this.head + AXIS) return null;
    const row = this.rows().find((row) => y >= row.top && y < row.top + row.tall);
    if (!row) return null;
    const time = this.timeAt(x);
    const item = row.kind === "lane" ? this.#itemAt(row.lane, time) : null;
    return { row, time, track: row.track ?? this.tracks[0], ...item };
  }

  isOnAxis(y) {
    return y >= this.head && y < this.head + AXIS;
  }

  #itemAt(lane, time) {
    const near = ((this.end - this.start) / this.width) * 0.75;
    const first = lane.from(time - near);
    const count = lane.firstAt(time + near, first) - first;
    if (count <= 0) return null;
    const exact = lane.from(time);
    if (count === 1) return { lane, place: first, count };
    if (exact < lane.length && lane.starts[exact] <= time) return { lane, place: exact, count };
    return { lane, place: Math.min(exact, first + count - 1), count };
  }

  /* Drawing */

  draw() {
    const scale = devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.height];
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const { pen } = this;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const rows = this.rows();
    this.#clipped(0, this.head, width, height - this.head, () => this.#ticks(rows));
    this.#clipped(0, this.head + AXIS, width, height, () => rows.forEach((row) => this.#row(row)));
    for (const track of this.tracks) this.#pauses(track, rows.filter((row) => row.track === track));
    this.#range(rows);
    this.#cursor();
    this.#playhead();
    if (this.head) this.#overview();
    document.documentElement.dataset.painted ??= Math.round(performance.now());
  }

  #clipped(x, y, width, height, paint) {
    this.pen.save();
    this.pen.beginPath();
    this.pen.rect(x, y, width, height);
    this.pen.clip();
    paint();
    this.pen.restore();
  }

  #ticks(rows) {
    const { pen } = this;
    const step = stepFor(((this.end - this.start) / this.width) * 96);
    const bottom = Math.min(Math.max(...rows.map((row) => row.top + row.tall)), this.height);
    pen.font = `11px ${FONT}`;
    pen.textBaseline = "middle";
    for (let number = Math.ceil(this.start / step); number * step <= this.end; number++) {
      const x = Math.round(this.x(number * step)) + 0.5;
      pen.fillStyle = this.colours.edge;
      pen.globalAlpha = 0.6;
      pen.fillRect(x, this.head + AXIS - 5, 1, bottom - this.head - AXIS + 5);
      pen.globalAlpha = 1;
      pen.fillStyle = this.colours.quiet;
      const text = moment(number * step, step);
      const left = Math.min(Math.max(x - this.textWidth(text, 11) / 2, GUTTER), GUTTER + this.width - this.textWidth(text, 11));
      pen.fillText(text, left, this.head + AXIS / 2 - 1);
    }
  }

  #row(row) {
    if (row.top + row.tall < this.head + AXIS || row.top > this.height) return;
    if (row.kind === "heading") this.#text(row.track.heading, 14, row.top + 15, this.colours.ink, 12, 650, this.canvas.clientWidth - 28);
    if (row.kind === "events") this.#clipped(GUTTER, 0, this.width, this.height, () => this.#events(row));
    if (row.kind === "lane") this.#lane(row);
    if (row.kind === "curve") this.#curve(row);
  }

  /** The names of phases where they are entered, as many as fit. */
  #events({ track, top }) {
    const { pen } = this;
    const { times } = track;
    const first = indexAbove(times, this.start, { equal: true });
    const last = indexAbove(times, this.end, { from: first });
    if (last - first > this.width / 4) return;
    const height = EVENTS + track.lanes.length * this.laneTall - LANE_GAP;
    const names = [];
    let before = -Infinity;
    for (let move = first; move < last; move++) {
      if (!track.isVisit(move)) continue;
      const x = this.x(times[move]);
      names.push([x, lastOf(track.phaseOf(move))]);
      if (x - before < 4) continue;
      before = x;
      pen.fillStyle = this.colours.line;
      pen.globalAlpha = 0.35;
      pen.fillRect(Math.round(x), top + 3, 1, height);
    }
    pen.globalAlpha = 1;
    let free = GUTTER + this.width;
    for (const [x, name] of names.reverse()) {
      if (x + 4 + this.textWidth(name, 10.5) < free - 5) this.#text(name, x + 4, top + 8, this.colours.quiet, 10.5);
      free = x;
    }
  }

  #lane({ track, lane, top, tall }) {
    const height = tall - LANE_GAP;
    this.#text(lane.name, 14, top + height / 2, this.colours.ink, 12, 400, GUTTER - 50);
    const share = lane.role === "wait" ? track.waiting : track.spent[lane.role === "handler" ? "handlers" : lane.role === "phase" ? "other" : lane.role];
    if (share !== undefined && !lane.isFurther) {
      const part = share / (track.total || 1);
      const text = part >= 0.005 ? `${Math.round(part * 100)}%` : part ? "<1%" : "0%";
      this.#text(text, GUTTER - 10 - this.textWidth(text, 11), top + height / 2, this.colours.quiet, 11);
    }
    this.pen.fillStyle = this.colours.raised;
    this.pen.fillRect(GUTTER, top, this.width, height);
    this.#clipped(GUTTER, top - 2, this.width, height + 4, () => this.#items(track, lane, top, height));
  }

  #items(track, lane, top, height) {
    const paint = this.paint(lane.role);
    const pixel = (this.end - this.start) / this.width;
    const dim = this.found && !this.found.lanes.has(lane) ? 0.4 : 1;
    let at = lane.from(this.start);
    const thin = { from: 0, to: 0, shade: 0 }; // columns of pixels with the same look, drawn at once
    const flush = (from, shade) => {
      this.pen.fillStyle = paint.solid;
      this.pen.globalAlpha = dim * (0.3 + 0.7 * (thin.shade / SHADES));
      if (thin.to > thin.from) this.pen.fillRect(thin.from, top, thin.to - thin.from, height);
      this.pen.globalAlpha = 1;
      Object.assign(thin, { from, to: from, shade });
    };
    while (at < lane.length && lane.starts[at] < this.end) {
      const left = this.x(lane.starts[at]);
      if (this.x(lane.ends[at]) - left >= THIN) {
        flush(0, 0);
        this.#bar(track, lane, at, top, height, dim);
        at++;
        continue;
      }
      const column = Math.floor(left);
      const next = Math.max(lane.firstAt(this.timeAt(column + 1), at), at + 1);
      const wide = next - 1 > at && this.x(lane.ends[next - 1]) - this.x(lane.starts[next - 1]) >= THIN;
      const stop = wide ? next - 1 : next;
      const shade = Math.round(Math.min((lane.busy[stop] - lane.busy[at]) / pixel, 1) * SHADES);
      if (column !== thin.to || shade !== thin.shade) flush(column, shade);
      thin.to = column + 1;
      at = stop;
    }
    flush(0, 0);
    for (const [one, strong] of [[this.hovered, false], [this.selected, true]]) {
      if (one?.lane === lane) this.#outline(lane, one.place, top, height, strong);
    }
  }

  #bar(track, lane, at, top, height, dim) {
    const { pen } = this;
    const paint = this.paint(lane.role);
    const left = Math.max(this.x(lane.starts[at]), GUTTER - 8);
    const right = Math.min(this.x(lane.ends[at]), GUTTER + this.width + 8);
    const failed = lane.role === "handler" && track.raised[lane.refs[at]];
    pen.globalAlpha = dim;
    pen.beginPath();
    pen.roundRect(left, top + 0.5, Math.max(right - left - 1, 1), height - 1, Math.min(3, (right - left) / 4));
    pen.fillStyle = isHatched(lane) ? this.hatch(lane.role, paint) : paint.fill;
    pen.fill();
    pen.strokeStyle = failed ? this.colours.error : paint.border;
    pen.lineWidth = failed ? 2 : 1;
    pen.stroke();
    pen.globalAlpha = 1;
    if (right - left > 14) this.#nameIn(track, lane, at, left, right, top, height, paint);
  }

  /** The longest name that fits into a bar. */
  #nameIn(track, lane, at, left, right, top, height, paint) {
    const [from, to] = [Math.max(left, GUTTER), Math.min(right, GUTTER + this.width)];
    const name = namesOf(track, lane, at).find((name) => this.textWidth(name, 11.5) + 8 <= to - from);
    if (!name) return;
    const wide = this.textWidth(name, 11.5);
    const x = (from + to - wide) / 2;
    if (isHatched(lane)) {
      this.pen.fillStyle = this.colours.surface;
      this.pen.fillRect(x - 3, top + 2.5, wide + 6, height - 5);
    }
    this.#text(name, x, top + height / 2 + 0.5, isHatched(lane) ? this.colours.ink : paint.text, 11.5);
  }

  #outline(lane, place, top, height, strong) {
    const left = Math.max(this.x(lane.starts[place]), GUTTER - 8);
    const right = Math.min(this.x(lane.ends[place]), GUTTER + this.width + 8);
    this.pen.strokeStyle = this.colours[strong ? "accent" : "ink"];
    this.pen.lineWidth = strong ? 2.5 : 1.5;
    this.pen.strokeRect(left - 1, top - 0.5, Math.max(right - left + 1, 3), height + 1);
  }

  #curve({ curve, top, tall }) {
    const { pen } = this;
    const height = tall - LANE_GAP;
    this.#text(curve.name, 14, top + 9, this.colours.ink, 12, 400, GUTTER - 28);
    const [low, high] = curve.low < curve.high ? [curve.low, curve.high] : [curve.low - 1, curve.high + 1];
    const y = (value) => top + 4 + (1 - (value - low) / (high - low)) * (height - 8);
    this.#text(`${value(curve.low)} \u2013 ${value(curve.high)}`, 14, top + 26, this.colours.quiet, 11, 400, GUTTER - 28);
    pen.fillStyle = this.colours.raised;
    pen.fillRect(GUTTER, top, this.width, height);
    this.#clipped(GUTTER, top, this.width, height, () => this.#line(curve, y));
  }

  /** A line through the values; in a pixel with several values, from the lowest to the highest. */
  #line(curve, y) {
    const { pen } = this;
    let at = Math.max(indexAbove(curve.times, this.start) - 1, 0);
    pen.beginPath();
    let drawn = false;
    while (at < curve.times.length) {
      const x = this.x(curve.times[at]);
      const next = Math.max(indexAbove(curve.times, this.timeAt(Math.floor(x) + 1), { from: at, equal: true }), at + 1);
      const [low, high] = curve.range(at, next);
      if (low <= high) {
        if (drawn) pen.lineTo(x, y(low));
        else pen.moveTo(x, y(low));
        if (high > low) pen.lineTo(x, y(high));
        drawn = true;
      }
      if (curve.times[at] > this.end) break;
      at = next;
    }
    pen.strokeStyle = this.colours.accent;
    pen.lineWidth = 1.4;
    pen.lineJoin = "round";
    pen.stroke();
  }

  #cursor() {
    if (this.cursor === null || this.cursor < this.start || this.cursor > this.end) return;
    this.pen.fillStyle = this.colours.ink;
    this.pen.globalAlpha = 0.5;
    this.pen.fillRect(Math.round(this.x(this.cursor)), this.head + AXIS - 5, 1, this.height);
    this.pen.globalAlpha = 1;
  }

  /** The range that the reader has marked, on the axis and in the lanes. */
  #range(rows) {
    if (!this.range) return;
    const { pen } = this;
    const [left, right] = this.range.map((time) => this.x(time));
    const [top, bottom] = [this.head, Math.min(rows.at(-1).top + rows.at(-1).tall, this.height)];
    this.#clipped(GUTTER, top, this.width, bottom - top, () => {
      pen.fillStyle = this.colours.accent;
      pen.globalAlpha = 0.14;
      pen.fillRect(left, top, right - left, bottom - top);
      pen.globalAlpha = 1;
      for (const x of [left, right]) pen.fillRect(x - 0.75, top, 1.5, bottom - top);
    });
  }

  /** Mark the times at which a run was paused. */
  #pauses(track, rows) {
    if (!track.pauses?.length || !rows.length) return;
    const [top, bottom] = [Math.max(rows[0].top, this.head + AXIS), rows.at(-1).top + rows.at(-1).tall];
    const { pen } = this;
    this.#clipped(GUTTER, top, this.width, bottom - top, () => {
      for (const [start, end] of track.pauses) {
        const [left, right] = [this.x(start), this.x(end ?? track.end)];
        if (right < GUTTER || left > GUTTER + this.width) continue;
        pen.fillStyle = this.colours.walk;
        pen.globalAlpha = 0.16;
        pen.fillRect(left, top, Math.max(right - left, 1), bottom - top);
        pen.globalAlpha = 1;
        pen.fillRect(left, top, 1.5, bottom - top);
        if (right - left > 60) this.#text("paused", Math.max(left, GUTTER) + 5, bottom - 10, this.colours.walk, 11, 600);
      }
    });
  }

  /** The moment that the rest of the page shows. */
  #playhead() {
    const { pen } = this;
    if (this.playhead === null || this.playhead < this.start || this.playhead > this.end) return;
    const [x, top] = [Math.round(this.x(this.playhead)), this.head + AXIS];
    pen.fillStyle = this.colours.walk;
    pen.fillRect(x - 1, top - 6, 2, this.height);
    pen.beginPath();
    pen.moveTo(x - 6, top - 10);
    pen.lineTo(x + 6, top - 10);
    pen.lineTo(x, top - 2);
    pen.fill();
  }

  /* The overview of the whole run */

  overviewX(time) {
    return GUTTER + ((time - this.first) / (this.last - this.first)) * this.width;
  }

  overviewTime(x) {
    return this.first + ((x - GUTTER) / this.width) * (this.last - this.first);
  }

  #overview() {
    const { pen } = this;
    const [top, height] = [6, OVERVIEW - 10];
    pen.fillStyle = this.colours.raised;
    pen.fillRect(GUTTER, top, this.width, height);
    this.#text("whole run", 14, top + height / 2 - 6, this.colours.ink, 12);
    this.#text(duration(this.whole), 14, top + height / 2 + 8, this.colours.quiet, 11);
    pen.drawImage(this.#wholeRun(height), GUTTER, top, this.width, height);
    const [left, right] = [this.overviewX(this.start), this.overviewX(this.end)];
    const wide = Math.max(right - left, 3);
    pen.fillStyle = this.colours.page;
    pen.globalAlpha = 0.68;
    pen.fillRect(GUTTER, top, left - GUTTER, height);
    pen.fillRect(left + wide, top, GUTTER + this.width - left - wide, height);
    pen.globalAlpha = 1;
    pen.strokeStyle = this.colours.accent;
    pen.lineWidth = 1.5;
    pen.strokeRect(left, top - 1, wide, height + 2);
  }

  /** The shares of the lanes over the whole run, as an image that is reused until the width changes. */
  #wholeRun(height) {
    const scale = devicePixelRatio || 1;
    const wide = Math.round(this.width * scale);
    if (this.image?.width === wide) return this.image;
    this.image = Object.assign(document.createElement("canvas"), { width: wide, height: Math.round(height * scale) });
    const ranks = this.tracks.filter((track, number) => number === this.tracks.findIndex((other) => other.rank === track.rank));
    const tall = this.image.height / ranks.length;
    ranks.forEach((track, number) => this.#wholeTrack(track, number * tall, tall - (number + 1 < ranks.length ? scale : 0)));
    return this.image;
  }

  /** The shares of the lanes of a track. A wait for other ranks covers the step or handler that waits. */
  #wholeTrack(track, top, height) {
    const pen = this.image.getContext("2d");
    const pixel = (this.last - this.first) / this.image.width;
    const shares = (lane, from) => (x) => {
      const busy = lane.busyUntil(this.first + (x + 1) * pixel);
      const part = Math.min((busy - from) / pixel, 1);
      from = busy;
      return part * height;
    };
    const lanes = track.lanes.filter((lane) => lane.role !== "scope" && !lane.isFurther)
      .map((lane) => ({ lane, share: shares(lane, lane.busyUntil(this.first)) }));
    for (let x = 0; x < this.image.width; x++) {
      let bottom = top + height;
      for (const { lane, share } of lanes) {
        const tall = share(x);
        if (lane.role === "wait") bottom = top + height;
        pen.fillStyle = this.paint(lane.role).solid;
        pen.fillRect(x, bottom - tall, 1, tall);
        bottom -= tall;
      }
    }
  }

  /* Paint and text */

  paint(role) {
    const [fill, text, border] = ["fill", "text", "border"].map((part) => this.colours[`${ROLES[role]}-${part}`]);
    return { fill, text, border, solid: role === "step" ? fill : border };
  }

  /** The pattern for waits, which makes them recognizable without colours: it rises for data, and falls for ranks. */
  hatch(role, paint) {
    if (!this.hatches[role]) {
      const tile = Object.assign(document.createElement("canvas"), { width: 12, height: 12 });
      const pen = tile.getContext("2d");
      pen.fillStyle = this.colours.surface;
      pen.fillRect(0, 0, 12, 12);
      pen.strokeStyle = paint.border;
      pen.lineWidth = 1.5;
      for (const by of [-12, -6, 0, 6, 12]) {
        pen.moveTo(by, role === "data" ? 12 : 0);
        pen.lineTo(by + 12, role === "data" ? 0 : 12);
      }
      pen.stroke();
      this.hatches[role] = this.pen.createPattern(tile, "repeat");
    }
    return this.hatches[role];
  }

  #text(text, x, y, colour, size, weight = 400, width = Infinity) {
    const { pen } = this;
    pen.fillStyle = colour;
    pen.textBaseline = "middle";
    let shown = text;
    while (shown.length > 1 && this.textWidth(shown === text ? text : `${shown}\u2026`, size, weight) > width) {
      shown = shown.slice(0, -1);
    }
    pen.font = `${weight} ${size}px ${FONT}`;
    pen.fillText(shown === text ? text : `${shown}\u2026`, x, y);
  }

  textWidth(text, size, weight = 400) {
    const key = `${size} ${weight} ${text}`;
    let width = this.widths.get(key);
    if (width === undefined) {
      if (this.widths.size > 20000) this.widths.clear();
      this.pen.font = `${weight} ${size}px ${FONT}`;
      width = this.pen.measureText(text).width;
      this.widths.set(key, width);
    }
    return width;
  }
}

/** The item of a longer track that began when `item` did; null if there is none. */
function sameItem(item, track) {
  const lane = track?.lanes.find((lane) => lane.name === item.lane.name);
  if (!lane) return null;
  const start = item.lane.starts[item.place];
  const place = lane.firstAt(start, 0);
  return place < lane.length && lane.starts[place] === start ? { ...item, track, lane, place } : null;
}

const isHatched = (lane) => lane.role === "data" || lane.role === "wait";

/** The names that an item may show, longest first. */
function namesOf(track, lane, place) {
  const ref = lane.refs[place];
  if (lane.role === "handler") return [lastOf(track.handlers[track.called[ref]].name)];
  if (lane.role === "wait") return [causeOf(track, ref)];
  if (lane.role !== "scope") return [lastOf(track.phaseOf(ref))];
  const scope = lane.name.split(", ").at(-1);
  const number = track.countersOf(ref)[scope];
  return number === undefined ? [lane.name, scope] : [`${scope} ${NUMBER.format(number)}`, NUMBER.format(number)];
}

/** Why a rank waited: the purpose of a collective, or a phase. */
const causeOf = (track, wait) => (track.measured[wait] ? track.waits[track.causes[wait]] : lastOf(track.waits[track.causes[wait]]));

const value = (number) => (Number.isFinite(number) ? String(Number(number.toPrecision(5))) : String(number));
