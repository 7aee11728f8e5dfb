/* The diagram of the visited phases, and the summary. */

/** The diagrams of the visited phases; one of them is shown. */
class Diagrams {
  constructor(container, tracks) {
    this.svgs = [...container.querySelectorAll(":scope > svg")];
    this.nodes = this.svgs.map((svg) => new Map([...svg.querySelectorAll("g.node")].map((node) => [node.dataset.node, node])));
    this.highlighted = null;
    for (const svg of this.svgs) svg.setAttribute("aria-label", "Phases that the run visited");
    this.show(tracks[0], "");
  }

  /** Highlight a phase of a track; none for "". */
  show(track, phase) {
    this.svgs.forEach((svg, number) => svg.toggleAttribute("data-shown", number === track.picture));
    const node = this.nodes[track.picture].get(asInPage(phase));
    if (node === this.highlighted) return;
    this.highlighted?.classList.remove("here");
    this.svgs[track.picture].classList.toggle("highlighting", Boolean(node));
    node?.classList.add("here");
    this.highlighted = node ?? null;
  }
}

/** A text as the browser reads it from a page. */
function asInPage(text) {
  return text.replace(/\r\n?/g, "\n").replaceAll("\0", "\ufffd");
}

const TABLES = { phases: "Phases", transitions: "Transitions, with the activities that they ended", handlers: "Handlers" };
const COLUMNS = { count: NUMBER.format, total: duration, mean: duration, p50: duration, p95: duration, max: duration };

/** The tables of `Timeline.summary()`. */
function summary(tracks, { dropped, notes }) {
  const [moves, calls] = dropped;
  return [
    ...notes.map((note) => make("p", { class: "hint" }, note)),
    moves || calls ? make("p", { class: "hint" }, `The first ${plural(NUMBER.format(moves), "move")} and ${plural(NUMBER.format(calls), "handler call")} were not kept.`) : null,
    ...tracks.map((track) => make("section", {},
      make("h2", {}, track.heading),
      make("p", { class: "lead" }, duration(track.total)),
      track.waiting === null ? null : make("p", { class: "hint" }, `${duration(track.waiting)} (${Math.round((track.waiting / (track.total || 1)) * 100)}%) of it waited for other ranks.`),
      track.leftOut ? make("p", { class: "hint" }, `${track.leftOut}: times and shares are estimates.`) : null,
      make("dl", { class: "spent" }, Object.entries(track.spent).map(([name, time]) => [
        make("dt", { class: name }, name),
        make("dd", {}, `${duration(time)} `, make("small", {}, `${Math.round((time / (track.total || 1)) * 100)}%`)),
      ])),
      ...Object.entries(track.tables).filter(([, rows]) => rows.length).map(([name, rows]) => table(name, rows)))),
  ];
}

function table(name, rows) {
  const columns = rows.some((row) => row.device !== null) ? { ...COLUMNS, device: duration } : COLUMNS;
  const cell = (column, read, row) => (row[column] === null ? "" : read(row[column]));
  const numbers = (row) => Object.entries(columns).map(([column, read]) => make("td", { "data-column": column }, cell(column, read, row)));
  const share = (row) => `${(row.share * 100).toFixed(1)}%`;
  return make("table", { class: "times", "data-table": name },
    make("caption", {}, TABLES[name]),
    make("thead", {}, make("tr", {}, Object.keys(columns).map((column) => make("th", { scope: "col" }, column)), make("th", { scope: "col" }, "share"))),
    rows.map((row) => make("tbody", {},
      make("tr", { class: "name" }, make("th", { scope: "rowgroup", colspan: 8 }, row.name)),
      make("tr", {}, numbers(row), make("td", { "data-column": "share" }, share(row))))));
}
