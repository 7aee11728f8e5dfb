/* Keys and buttons. */

const ZOOMS = { "+": 1.3, "=": 1.3, "-": 1 / 1.3 };
const KEYS = {
  "/": () => byId("query").select(),
  "?": () => byId("keys").showModal(),
  " ": () => (transport.isReplay ? transport.toggle() : void bar.toggle()),
  s: () => bar.step("phase"),
  i: () => bar.step("iteration"),
  e: () => bar.step("epoch"),
  b: () => toggleBreakpoint(),
  r: () => shown.selected && form.submit(true),
  f: () => transport.toggleFollow(),
  p: () => transport.toggle(),
  ",": () => stepMove(-1),
  ".": () => stepMove(1),
  h: () => toggleHeat(),
  d: () => toggleMode(),
  Escape: () => choose(""),
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (event.target.matches("input:not([type=range]), select") || byId("ending").matches(":popover-open")) return;
  if (event.target.matches("input") && /^(Arrow|Page|Home|End)/.test(event.key)) return;
  if (handleKey(event)) event.preventDefault();
});

/** Handle a key, and return true if it has a meaning. */
function handleKey(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const id = picture && event.target.closest(".view g.node") && picture.phaseOf(event.target);
  if (id && (key === "Enter" || key === " ")) choose(id);
  else if (event.target.matches("button, a") && (key === "Enter" || key === " ")) return false;
  else if (event.target.matches("[role=tab]") && ["ArrowLeft", "ArrowRight"].includes(key)) tabs.turn(key === "ArrowLeft" ? -1 : 1);
  else if (key in ARROWS && !event.target.closest(".panel, .bar")) move(...ARROWS[key]);
  else if (key in ZOOMS) zoom(ZOOMS[key]);
  else if (key === "0") fit();
  else if (key >= "1" && key <= "5" && key.length === 1) tabs.show(tabs.names[Number(key) - 1]);
  else if (Object.hasOwn(KEYS, key)) KEYS[key]();
  else return false;
  return true;
}

const onTimeline = () => Boolean(document.activeElement?.closest(".timeline"));

function move(x, y) {
  if (onTimeline()) timeline.chart.pan(x * 0.15 * timeline.chart.width, y * 40);
  else view?.pan(-90 * x, -90 * y);
}

function zoom(by) {
  if (onTimeline()) timeline.chart.zoom(by);
  else view?.zoom(by, undefined, undefined, true);
}

function fit() {
  if (onTimeline()) timeline.chart.fit();
  else view?.fit();
}

/** Show the move of the engine before or after the shown moment. */
function stepMove(by) {
  const times = engines.current?.moves.column(0) ?? [];
  if (!times.length) return;
  const at = transport.time === null ? times.length - 1 : indexAbove(times, transport.time) - 1;
  transport.hold(times[Math.min(Math.max(at + by, 0), times.length - 1)]);
}

function toggleHeat() {
  shown.heat = !shown.heat;
  byId("heat").setAttribute("aria-pressed", shown.heat);
  byId("scale").hidden = !shown.heat;
  paintHeat.request();
}

byId("heat").addEventListener("click", toggleHeat);
byId("back").addEventListener("click", () => stepMove(-1));
byId("forth").addEventListener("click", () => stepMove(1));
byId("in").addEventListener("click", () => view?.zoom(ZOOMS["+"], undefined, undefined, true));
byId("out").addEventListener("click", () => view?.zoom(ZOOMS["-"], undefined, undefined, true));
byId("fit").addEventListener("click", () => view?.fit());
byId("help").addEventListener("click", KEYS["?"]);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("panel").focus();
});
byId("scale").append(...HEAT.map((least, level) =>
  make("li", { class: `heat-${level}` }, level ? `${least * 100}%` : `<${HEAT[1] * 100}%`)));
