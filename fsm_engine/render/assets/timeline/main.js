/* The timeline page: pointing, selection, keys, and the address, which stores the shown time. */

const data = JSON.parse(byId("details").textContent);
const stream = columns(await decompress(byId("data").textContent), data.shapes);
byId("data").remove();
const tracks = data.tracks.map((one) => new Track(one, stream));
const curves = data.counters.map((name) => new Curve(name, stream.next().value, stream.next().value));
const canvas = byId("lanes");
const tip = byId("tip");
const chart = new Chart(canvas, byId("probe"), tracks, curves);
canvas.chart = chart; // for the console
const diagrams = new Diagrams(byId("graph"), tracks);
const tabs = { lifecycle: byId("tab-lifecycle"), summary: byId("tab-summary") };
const search = new Search(byId("query"), byId("results"), tracks, { go, highlightLanes, now: () => chart.start });
let saving = 0;

/* Pointing and selection */

function hover(at) {
  const found = at && chart.at(at.x, at.y);
  chart.cursor = found ? found.time : null;
  chart.hovered = found?.lane ? found : null;
  chart.touch();
  tip.hidden = !found;
  if (found) {
    tip.replaceChildren(make("strong", {}, titleOf(found)), definitionList(detailsOf(found, curves, data.wall)));
    placeTip(at);
  }
  highlightPhase(found ?? chart.selected);
}

/** Place the tooltip beside the pointer, inside the page. */
function placeTip({ x, y }) {
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  const left = x + 18 + width > canvas.clientWidth ? x - width - 14 : x + 18;
  tip.style.left = `${Math.max(left, 4)}px`;
  tip.style.top = `${Math.max(Math.min(y + 18, canvas.clientHeight - height - 6), 4)}px`;
}

/** Highlight the phase of an item, or of a moment. */
function highlightPhase(found) {
  if (!found) return;
  const move = found.lane && !["handler", "scope"].includes(found.lane.role) ? found.lane.refs[found.place] : found.track.moveAt(found.time);
  const phase = move < 0 ? "" : found.track.phaseOf(move);
  diagrams.show(found.track, phase);
  byId("phase").textContent = phase ? `${found.track.heading}: ${phase}` : found.track.heading;
}

function selectAt(at) {
  const found = chart.at(at.x, at.y);
  select(found?.lane ? found : null);
}

function select(found) {
  chart.selected = found;
  chart.touch();
  const box = byId("selected");
  box.hidden = !found;
  if (!found) return;
  box.replaceChildren(make("h2", { class: "name" }, titleOf(found)), definitionList(detailsOf({ ...found, count: 1 }, curves, data.wall)));
  highlightPhase(found);
  announce(`${titleOf(found)}: ${duration(found.lane.ends[found.place] - found.lane.starts[found.place])}`);
}

/** Zoom to the item at a position. */
function zoomAt(at) {
  const found = chart.at(at.x, at.y);
  if (found?.lane) zoomTo(found);
}

function zoomTo({ lane, place }) {
  const [start, end] = [lane.starts[place], lane.ends[place]];
  chart.show(start - (end - start) * 0.06, end + (end - start) * 0.06, true);
}

/** Select an item and bring it into view. */
function go(track, { lane, place }) {
  const [start, end] = [lane.starts[place], lane.ends[place]];
  chart.reveal(start, end);
  select({ track, lane, place, time: start, count: 1 });
}

function highlightLanes(lanes, text) {
  chart.found = lanes && { lanes };
  byId("number").textContent = text;
  chart.touch();
}

/** Select the next or previous item of the lane. */
function step(by) {
  const { selected } = chart;
  if (!selected) return;
  const place = selected.place + by;
  if (place >= 0 && place < selected.lane.length) go(selected.track, { lane: selected.lane, place });
}

/* The shown time and the address */

function shown() {
  if (!tip.hidden) hover(null); // its item has moved
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
  f: () => chart.selected && zoomTo(chart.selected),
  Enter: () => chart.selected && zoomTo(chart.selected),
  n: () => step(1),
  p: () => step(-1),
  s: () => showTab(tabs.summary.getAttribute("aria-selected") === "true" ? "lifecycle" : "summary"),
  d: () => toggleMode(),
  Home: () => chart.show(chart.first, chart.first + chart.end - chart.start, true),
  End: () => chart.show(chart.last - chart.end + chart.start, chart.last, true),
  Escape: () => select(null),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open || event.target.matches("input")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "Enter" && event.target.matches("button, a")) return;
  if (event.target.matches("[role=tab]") && ["ArrowLeft", "ArrowRight"].includes(key)) KEYS.s();
  else if (key in PANS && !event.target.closest(".panel")) chart.pan(PANS[key][0] * chart.width, PANS[key][1]);
  else if (Object.hasOwn(KEYS, key)) KEYS[key]();
  else return;
  event.preventDefault();
});

function showTab(name) {
  for (const [other, button] of Object.entries(tabs)) {
    button.setAttribute("aria-selected", other === name);
    button.tabIndex = other === name ? 0 : -1;
    byId(other).hidden = other !== name;
  }
}

for (const [name, button] of Object.entries(tabs)) {
  button.addEventListener("click", () => {
    showTab(name);
    unfold();
  });
}

function unfold(open = true) {
  document.body.classList.toggle("folded", !open);
  byId("handle").setAttribute("aria-expanded", open);
}

byId("handle").addEventListener("click", () => unfold(document.body.classList.contains("folded")));
byId("in").addEventListener("click", KEYS["+"]);
byId("out").addEventListener("click", KEYS["-"]);
byId("fit").addEventListener("click", KEYS[0]);
byId("help").addEventListener("click", KEYS["?"]);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("panel").focus();
});

/* Start */

new Gestures(chart, { hover, select: selectAt, open: zoomAt });
new ResizeObserver(() => chart.touch()).observe(canvas);
new MutationObserver(() => chart.readColours()).observe(document.documentElement, { attributeFilter: ["data-mode"] });
systemDark.addEventListener("change", () => chart.readColours());
addEventListener("hashchange", readAddress);
const moves = tracks.reduce((sum, track) => sum + track.times.length, 0);
byId("count").textContent = `${plural(NUMBER.format(moves), "move")} in ${duration(chart.whole)}`;
byId("summary").append(...summary(tracks, data.dropped).filter(Boolean));
byId("phase").textContent = tracks[0].heading;
chart.changed = shown;
readAddress();
shown();
requestAnimationFrame(() => (document.documentElement.dataset.ready = ""));
