/* A range of time that the reader marks, and its totals per phase and handler. */

/** The count and the time of each phase and each handler call of a track, inside a range, the longest first. */
function totalsOf(track, from, to) {
  const [phases, handlers] = [new Map(), new Map()];
  const add = (sums, name, start, end) => {
    const inside = Math.min(end, to) - Math.max(start, from);
    if (inside < 0 || (inside === 0 && end > start)) return;
    const sum = sums.get(name) ?? { name, count: 0, total: 0 };
    sums.set(name, Object.assign(sum, { count: sum.count + 1, total: sum.total + inside }));
  };
  const first = Math.max(indexAbove(track.times, from) - 1, 0);
  const last = indexAbove(track.times, to, { from: first });
  for (let move = first; move < last; move++) {
    if (track.isVisit(move)) add(phases, track.phaseOf(move), track.times[move], track.times[move + 1]);
  }
  for (const lane of track.lanes.filter(({ role }) => role === "handler")) {
    const start = lane.from(from);
    const stop = lane.firstAt(to, start);
    for (let at = start; at < stop; at++) {
      const { name, event } = track.handlers[track.called[lane.refs[at]]];
      add(handlers, `${name} on ${event}`, lane.starts[at], lane.ends[at]);
    }
  }
  const sorted = (sums) => [...sums.values()].sort((one, other) => other.total - one.total);
  return { phases: sorted(phases), handlers: sorted(handlers) };
}

class MarkedRange {
  constructor(chart, box, tracks) {
    Object.assign(this, { chart, box, tracks });
  }

  /** Mark a range while the reader drags; `done` shows its totals. */
  mark(from, to, done) {
    const { first, last } = this.chart;
    const [start, end] = [Math.min(from, to), Math.max(from, to)].map((time) => Math.min(Math.max(time, first), last));
    this.chart.range = [start, end];
    this.chart.touch();
    if (done) this.#show(start, end);
  }

  clear() {
    this.chart.range = null;
    this.chart.touch();
    this.box.hidden = true;
  }

  #show(from, to) {
    const wide = to - from;
    const close = make("button", { class: "round", type: "button", "aria-label": "Clear the range", title: "Clear (Esc)" }, "\u00d7");
    close.addEventListener("click", () => this.clear());
    const step = Math.max(wide / 100, 1);
    this.box.hidden = false;
    this.box.replaceChildren(
      make("div", { class: "titled" }, make("h2", {}, `${duration(wide)} marked`), close),
      make("p", { class: "lead" }, `from ${moment(from, step)} to ${moment(to, step)}`),
      ...this.tracks.flatMap((track) => this.#track(track, from, to)));
    announce(`${duration(wide)} marked`);
  }

  #track(track, from, to) {
    const totals = totalsOf(track, from, to);
    const tables = Object.entries(totals).filter(([, rows]) => rows.length);
    if (!tables.length) return [];
    return [
      make("h3", {}, track.heading),
      track.leftOut ? make("p", { class: "hint" }, `${track.leftOut}: the totals are of the recorded iterations.`) : null,
      ...tables.map(([name, rows]) => rangeTable(name, rows, to - from)),
    ].filter(Boolean);
  }
}

function rangeTable(name, rows, wide) {
  const share = (time) => `${((100 * time) / (wide || 1)).toFixed(1)}%`;
  return make("table", { class: "times", "data-range": name },
    make("thead", {}, make("tr", {}, [TABLES[name], "count", "total", "share"].map((column) => make("th", { scope: "col" }, column)))),
    make("tbody", {}, rows.map((row) => make("tr", { class: "name" },
      make("th", { scope: "row" }, row.name),
      [NUMBER.format(row.count), duration(row.total), share(row.total)].map((cell) => make("td", {}, cell))))));
}
