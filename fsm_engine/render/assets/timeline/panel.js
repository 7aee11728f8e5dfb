/* What is told beside the lanes: of one item, of the phase in the lifecycle, and of all in numbers. */

/** What is known of an item, or of a moment, as names and texts. */
function told({ track, time, lane, place, count }, curves, wall) {
  const facts = [];
  const [start, end] = lane ? [lane.starts[place], lane.ends[place]] : [time, time];
  const move = lane && lane.role !== "handler" ? lane.refs[place] : track.moveAt(time);
  if (lane) facts.push(["took", duration(end - start)]);
  facts.push([lane ? "began" : "at", moment(start, lane ? Math.max((end - start) / 100, 1) : 1) || "0"]);
  if (move >= 0) {
    const { epoch, iteration } = track.countersOf(move);
    facts.push(["epoch", NUMBER.format(epoch)], ["iteration", NUMBER.format(iteration)]);
  }
  if (lane?.role === "handler") {
    const handler = track.handlers[track.called[lane.refs[place]]];
    facts.push(["on", handler.event], ["defined", handler.place]);
    if (track.raised[lane.refs[place]]) facts.push(["ended", "raised"]);
  }
  for (const curve of curves) {
    const number = curve.at(lane ? end : time);
    if (number !== undefined) facts.push([curve.name, value(number)]);
  }
  facts.push(["clock", new Date(wall + start / 1e6).toLocaleString(undefined, { hour12: false })]);
  if (count > 1) facts.push(["here", `${NUMBER.format(count)} in this pixel: zoom in`]);
  return facts;
}

/** The name of an item. */
function titleOf({ track, lane, place, time }) {
  if (!lane) {
    const move = track.moveAt(time);
    return move < 0 ? "no phase" : lastOf(track.phaseOf(move));
  }
  if (lane.role === "handler") return track.handlers[track.called[lane.refs[place]]].name;
  return namesOf(track, lane, place)[0];
}

function facts(pairs) {
  return make("dl", { class: "facts" }, pairs.map(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
}

/** The pictures of lifecycles, of which one is shown. */
class Graphs {
  constructor(place, tracks) {
    this.svgs = [...place.querySelectorAll(":scope > svg")];
    this.nodes = this.svgs.map((svg) => new Map([...svg.querySelectorAll("g.node")].map((node) => [node.dataset.node, node])));
    this.lit = null;
    for (const svg of this.svgs) svg.setAttribute("aria-label", "The lifecycle, as far as it was run through");
    this.show(tracks[0], "");
  }

  /** Light a phase of a track, none for "". */
  show(track, phase) {
    this.svgs.forEach((svg, number) => svg.toggleAttribute("data-shown", number === track.picture));
    const node = this.nodes[track.picture].get(plain(phase));
    if (node === this.lit) return;
    this.lit?.classList.remove("here");
    this.svgs[track.picture].classList.toggle("lighting", Boolean(node));
    node?.classList.add("here");
    this.lit = node ?? null;
  }
}

/** A text as the browser reads it from a page. */
function plain(text) {
  return text.replace(/\r\n?/g, "\n").replaceAll("\0", "\ufffd");
}

const TABLES = { phases: "Phases", transitions: "Transitions: what came before them", handlers: "Handlers" };
const COLUMNS = { count: NUMBER.format, total: duration, mean: duration, p50: duration, p95: duration, max: duration };

/** The tables of `Timeline.summary()`. */
function summary(tracks, dropped) {
  const forgotten = dropped[0] || dropped[1];
  return [
    forgotten ? make("p", { class: "hint" }, `${plural(NUMBER.format(dropped[0]), "move")} and ${plural(NUMBER.format(dropped[1]), "call")} of handlers were not kept: only what came after them is here.`) : null,
    ...tracks.map((track) => make("section", {},
      make("h2", {}, track.heading),
      make("p", { class: "lead" }, duration(track.total)),
      track.leftOut ? make("p", { class: "hint" }, `${track.leftOut}: shares take them to be like the others.`) : null,
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
