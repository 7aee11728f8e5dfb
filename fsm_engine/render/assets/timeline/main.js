/* The timeline page: pointing, selection, keys, and the address, which stores the shown time. */

const data = JSON.parse(byId("details").textContent);
const stream = columns(await decompress(byId("data").textContent), data.shapes);
byId("data").remove();
const tracks = data.tracks.map((one) => new Track(one, stream));
const curves = data.counters.map((name) => new Curve(name, stream.next().value, stream.next().value));
const canvas = byId("lanes");
const chart = new Chart(canvas, byId("probe"), tracks, curves);
canvas.chart = chart; // for the console
const diagrams = new Diagrams(byId("graph"), tracks);
const tabs = new Tabs(["lifecycle", "summary"]);
const rangeMark = new MarkedRange(chart, byId("range"), tracks);
const mark = (...range) => rangeMark.mark(...range);
const pointing = new Pointing(chart, byId("tip"), byId("selected"), { curves, wall: data.wall, highlight, mark });
const search = new Search(byId("query"), byId("results"), tracks, { go: (track, item) => pointing.go(track, item), highlightLanes, now: () => chart.start });
let saving = 0;

/* Pointing and selection */

/** Highlight the phase of an item, or of a moment. */
function highlight(found) {
  if (!found) return;
  const phase = phaseAt(found);
  diagrams.show(found.track, phase);
  byId("phase").textContent = phase ? `${found.track.heading}: ${phase}` : found.track.heading;
}

function highlightLanes(lanes, text) {
  chart.found = lanes && { lanes };
  byId("number").textContent = text;
  chart.touch();
}

/* The shown time and the address */

function shown() {
  pointing.hide();
  byId("fit").textContent = duration(Math.min(chart.end - chart.start, chart.whole));
  clearTimeout(saving);
  saving = setTimeout(() => history.replaceState(null, "", address()), 300);
}

function address() {
  const whole = chart.start === chart.first && chart.end === chart.last;
  return whole ? "#" : `#${new URLSearchParams({ from: Math.round(chart.start), to: Math.round(chart.end) })}`;
}

function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const [from, to] = [Number(parts.get("from") ?? NaN), Number(parts.get("to") ?? NaN)];
  if (from < to) chart.show(from, to);
}

/* Keys and buttons */

const PANS = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], PageUp: [-0.9, 0], PageDown: [0.9, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] };
const KEYS = {
  "/": () => byId("query").select(),
  "?": () => byId("keys").showModal(),
  "+": () => chart.zoom(1.7, undefined, true),
  "=": () => chart.zoom(1.7, undefined, true),
  "-": () => chart.zoom(1 / 1.7, undefined, true),
  0: () => chart.fit(),
  f: () => pointing.zoomToSelected(),
  Enter: () => pointing.zoomToSelected(),
  n: () => pointing.step(1),
  p: () => pointing.step(-1),
  t: () => rangeMark.mark(chart.start, chart.end, true),
  s: () => tabs.show(tabs.current === "summary" ? "lifecycle" : "summary"),
  d: () => toggleMode(),
  Home: () => chart.show(chart.first, chart.first + chart.end - chart.start, true),
  End: () => chart.show(chart.last - chart.end + chart.start, chart.last, true),
  Escape: () => {
    pointing.select(null);
    rangeMark.clear();
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open || event.target.matches("input")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "Enter" && event.target.matches("button, a")) return;
  if (event.target.matches("[role=tab]") && ["ArrowLeft", "ArrowRight"].includes(key)) tabs.turn(1);
  else if (key in PANS && !event.target.closest(".panel")) chart.pan(PANS[key][0] * chart.width, PANS[key][1]);
  else if (Object.hasOwn(KEYS, key)) KEYS[key]();
  else return;
  event.preventDefault();
});

byId("in").addEventListener("click", KEYS["+"]);
byId("out").addEventListener("click", KEYS["-"]);
byId("fit").addEventListener("click", KEYS[0]);
byId("help").addEventListener("click", KEYS["?"]);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("panel").focus();
});

/* Start */

new ResizeObserver(() => chart.touch()).observe(canvas);
new MutationObserver(() => chart.readColours()).observe(document.documentElement, { attributeFilter: ["data-mode"] });
systemDark.addEventListener("change", () => chart.readColours());
addEventListener("hashchange", readAddress);
const moves = tracks.reduce((sum, track) => sum + track.times.length, 0);
byId("count").textContent = `${plural(NUMBER.format(moves), "move")} in ${duration(chart.whole)}`;
byId("summary").append(...summary(tracks, data).filter(Boolean));
byId("phase").textContent = tracks[0].heading;
chart.changed = shown;
readAddress();
shown();
requestAnimationFrame(() => (document.documentElement.dataset.ready = ""));
