/* The page of the live inspector: messages of the server, the shown engine and moment, selection, and keys. */

const tabs = new Tabs(["run", "phase", "curves", "handlers", "log"], openTab);
const transport = new Transport(momentChanged);
const timeline = new Timeline(transport, { highlight: highlightPhase, picked });
const engines = new Engines(byId("engine"), showEngine);
const bar = new Bar(run);
const curvesTab = new CurvesTab(byId("curves"), timeline.chart);
const curves = new Curves(timeline.chart, curvesTab.smoothing, 4);
const runTab = new RunTab(byId("run"), { send: run, readLog: () => tabs.show("log"), curves });
const handlersTab = new HandlersTab(byId("handlers"));
const logTab = new LogTab(byId("log"), byId("unread"));
const form = new BreakpointForm(addBreakpoint);
const frame = byId("view");
const search = new Search(byId("query"), byId("results"), [], { preview, go: choose });
const shown = { hello: null, now: 0, offers: [], breakpoints: [], connected: false, selected: "", exit: null, heat: false, fitted: null };
let [picture, overlay, view, phaseTab] = [null, null, null, null];
const SMALL_SCREEN = 760; // pixels, as in the style sheet

/* Work per frame */

const paintPicture = new Throttle(90, () => {
  const records = engines.current;
  if (!overlay || !records) return;
  const moment = momentOf(records, transport.time);
  const moves = transport.time === null ? records.status === "running" : transport.playing;
  overlay.show(moment, { trail: moves, lit: records.isRunning || records.status === "suspended" || transport.time !== null || moment.move < 0 });
  overlay.count(moment, records.kinds);
  picture.mark("failed", (records.status === "failed" && picture.nodes.get(engines.failures.get(records.id)?.phase)) || []);
  showBar(records, moment);
});
const paintTimeline = new Throttle(250, () => {
  const [begin, end] = engines.range(shown.now);
  transport.range(begin, end);
  const all = engines.ordered();
  timeline.update(all.map((one) => one.track(shown.now)).filter(Boolean), lastMoves(engines.current));
  const text = leftOutText(all);
  byId("left-out").hidden = !text;
  write(byId("left-out"), text);
});
const paintTab = new Throttle(250, showTab);
const paintHeat = new Throttle(1000, () => overlay?.heat(shown.heat ? phaseTimes(engines.current) : null));

function paint() {
  paintPicture.request();
  paintTimeline.request();
  paintTab.request();
  if (shown.heat) paintHeat.request();
}

function showBar(records, moment) {
  const phase = records.phases.find(({ id }) => id === moment.phase)?.name ?? "";
  const { connected, hello } = shown;
  const held = transport.time === null ? null : transport.playing ? "playing" : transport.isReplay ? "recording" : "held";
  const locked = !hello || hello.readOnly || transport.isReplay;
  bar.show(records, moment, { shown: held, phase, locked, connected });
  document.title = `${STATUS_WORDS[records.status] ?? records.status} \u00b7 ${hello?.title ?? ""}`;
}

/** Show the open tab. */
function showTab() {
  const records = engines.current;
  if (!records) return;
  const { time } = transport;
  if (tabs.current === "run") showRun(records);
  if (tabs.current === "phase") phaseTab.count(shown.selected, momentOf(records, time).visits, phaseTimes(records));
  if (tabs.current === "curves") curvesTab.show(records.series, time);
  if (tabs.current === "handlers") handlersTab.show(records.handlers, callsOf(records, time));
}

function showRun(records) {
  const held = transport.time !== null;
  const failure = records.status === "failed" ? engines.failures.get(records.id) : null;
  runTab.showFailure(failure ?? null, failure && phaseOf(records, failure.phase));
  runTab.showProgress(records, momentOf(records, transport.time), { held, now: shown.now });
  runTab.showTimes(timeline.chart.tracks.find(({ id }) => id === records.id));
  curves.show(records.series, transport.time);
  runTab.showLook(records.status === "paused" && !held ? (engines.looks.get(records.id) ?? null) : null);
  runTab.showOffers(shown.offers, !shown.hello || shown.hello.readOnly);
  runTab.showBreakpoints(shown.breakpoints, !shown.hello || shown.hello.readOnly);
}

const phaseOf = (records, id) => records.phases.find((phase) => phase.id === id) ?? null;

function openTab(name) {
  logTab.look(name === "log");
  markSelection();
  byId("sheet").scrollTop = 0;
  paintTab.request();
}

function momentChanged() {
  timeline.place();
  paintPicture.request();
  paintTab.request();
}

/* The shown engine */

function showEngine() {
  const { phases, svg, heading } = engines.current;
  const isFirst = !view;
  byId("picture").replaceChildren(parseSvg(svg));
  byId("waiting").hidden = true;
  const [root] = byId("picture").children;
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", `The lifecycle ${heading}`);
  picture = new Picture(root, phases);
  if (isFirst) openView();
  else view.load();
  fitPicture();
  overlay = new Overlay(picture, phases);
  overlay.stopAt(stopsOf(engines.shown));
  search.load(phases);
  byId("legend").replaceChildren(...legend(phases));
  bar.offerSteps(phases);
  phaseTab = new PhaseTab(byId("phase"), engines.current, { form, selectedExit: () => shown.exit, chooseExit: (exit) => choose(shown.selected, exit) });
  select(phases.some(({ id }) => id === shown.selected) ? shown.selected : "", shown.exit);
  paintHeat.request();
  paint();
}

/** Begin to show pictures. A picture that was shown as a whole stays so when the window changes. */
function openView() {
  view = new View(frame, byId("picture"), (scale) => write(byId("fit"), `${Math.round(scale * 100)}%`), 14);
  new ResizeObserver(() => view.scale === shown.fitted && fitPicture()).observe(frame);
}

/** Show the whole picture, unless the screen is too small for it. */
function fitPicture() {
  if (innerWidth <= SMALL_SCREEN) return;
  view.fit(false);
  shown.fitted = view.scale;
}

const stopsOf = (engine) => shown.breakpoints.filter((one) => one.engine === engine);

/* Messages */

const RECEIVE = {
  hello(message) {
    greet(message);
    const { mode, engines: described, offers, breakpoints, title, process } = message;
    engines.reset(mode === "replay" ? KEPT_REPLAY : KEPT_LIVE);
    logTab.clear();
    Object.assign(shown, { hello: message, offers, breakpoints, now: 0 });
    transport.reset(mode === "replay");
    for (const one of described) engines.describe(one);
    timeline.pointing.wall = message.wall ?? null;
    write(byId("title"), title);
    write(byId("process"), process);
    byId("read-only").hidden = !message.readOnly;
    document.body.classList.toggle("read-only", message.readOnly);
    if (engines.current) showEngine();
  },
  engine({ engine }) {
    if (engines.describe(engine)) showEngine();
    paint();
  },
  update(message) {
    shown.now = message.now;
    for (const one of message.engines) engines.all.get(one.id)?.update(one, message.now);
    for (const warning of message.warnings ?? []) logTab.add(warning);
    paint();
  },
  look(message) {
    engines.looks.set(message.engine, message);
    if (engines.show(message.engine)) showEngine();
    paint();
    const [node] = picture?.nodes.get(momentOf(engines.current, null).phase) ?? [];
    if (node && tabs.current === "run") view.show(node);
  },
  failure(message) {
    engines.failures.set(message.engine, message);
    const records = engines.all.get(message.engine);
    logTab.fail(message, records && phaseOf(records, message.phase), records?.heading ?? "The run");
    paint();
  },
  offers({ offers }) {
    shown.offers = offers;
    paintTab.request();
  },
  breakpoints({ breakpoints }) {
    shown.breakpoints = breakpoints;
    overlay?.stopAt(stopsOf(engines.shown));
    paintTab.request();
  },
  note({ text }) {
    say("note", text);
  },
  end() {
    paintTimeline.work();
    transport.replay();
    timeline.chart.fit(false);
  },
};

/** Say that another process answers, or that the connection is back. */
function greet({ session }) {
  const before = shown.hello?.session;
  if (before && before !== session) banner("The process was restarted. The page shows the new run.", "restarted");
  else banner("", "");
  if (before === session) toast("Connected again");
}

function banner(text, kind) {
  byId("banner").hidden = !text;
  byId("banner").dataset.kind = kind;
  write(byId("banner"), text);
  clearTimeout(banner.end);
  if (kind === "restarted") banner.end = setTimeout(() => banner("", ""), 15_000);
}

function say(level, text) {
  toast(text);
  logTab.add({ level, text, clock: new Date().toLocaleTimeString(undefined, { hour12: false }) });
}

/* Commands */

/** Send a command for the shown engine, and show the reply. */
async function run(command, details = {}) {
  const reply = await connection.send(command, { engine: engines.shown, ...details });
  if (reply.text) say(reply.ok ? "note" : "refused", reply.text);
  return reply;
}

async function addBreakpoint(details) {
  const { ok } = await run("break", details);
  if (ok && details.once && engines.current?.status === "paused") await run("continue");
}

/** Add a breakpoint at the selection, or remove the ones that are there. */
function toggleBreakpoint() {
  const { place, reason } = form;
  if (!shown.selected || !place || reason) return;
  const there = stopsOf(engines.shown).filter((one) => isAt(one, place));
  if (there.length) for (const { number } of there) void run("unbreak", { number });
  else form.submit(false);
}

/** Why a run cannot pause at a phase or an exit; "" if it can. */
function reasonAgainst(phase, exit) {
  const { hello } = shown;
  if (transport.isReplay) return "This is a recording.";
  if (hello?.readOnly) return "This page is read-only.";
  if (engines.current?.canPause !== true) return String(engines.current?.canPause);
  const target = exit ? phaseOf(engines.current, exit.target) : phase;
  return target && target.canStop !== false ? "" : `A run cannot pause ${exit ? "on this exit" : `in ${phase.name}`}.`;
}

/* Selection */

function select(id, exit = null) {
  [shown.selected, shown.exit] = [id, id ? exit : null];
  phaseTab?.open(id, reasonAgainst);
  markSelection();
  paintTab.request();
  if (id && exit === null) view.show(picture.nodes.get(id)[0]);
}

function choose(id, exit = null) {
  if (!picture) return;
  if (id) {
    tabs.show("phase");
    unfold();
  }
  select(id, exit);
}

function markSelection() {
  if (!picture) return;
  const id = tabs.current === "phase" ? shown.selected : "";
  picture.select(id);
  highlight();
}

/** Highlight a phase or an exit, or else the selection. */
function highlight(id = null, exit = null) {
  if (!picture || frame.classList.contains("dragging")) return;
  const selected = tabs.current === "phase" ? shown.selected : "";
  const phase = engines.current.phases.find((one) => one.id === selected);
  if (id === null && exit === null && phase && shown.exit !== null) picture.highlight(selected, phase.exits[shown.exit]);
  else picture.highlight(id ?? selected, exit);
}

function preview(ids, id) {
  picture?.find(ids);
  highlight(id);
  if (id) view.show(picture.nodes.get(id)[0]);
}

/** Highlight the phase of an item of the timeline, if its engine is shown. */
function highlightPhase(found) {
  const isShown = found && found.track.id === engines.shown && timeline.chart.cursor !== null;
  highlight((isShown && phaseAt(found)) || null);
}

/** Hold the page at the moment of a selected item. */
function picked(found) {
  if (!found) return;
  if (engines.show(found.track.id)) showEngine();
  transport.hold(found.lane.starts[found.place]);
}

frame.addEventListener("click", (event) => {
  if (!picture) return;
  const id = picture.phaseOf(event.target);
  const found = id ? null : overlay.exitAt(event.target);
  if (id) choose(id);
  else if (found) choose(found.phase.id, found.number);
});
frame.addEventListener("pointerover", (event) => {
  const id = picture?.phaseOf(event.target);
  const found = id || !overlay ? null : overlay.exitAt(event.target);
  if (found) highlight(found.phase.id, found.phase.exits[found.number]);
  else highlight(id ?? null);
});
frame.addEventListener("pointerleave", () => highlight());
frame.addEventListener("focusin", (event) => {
  const id = picture?.phaseOf(event.target);
  highlight(id ?? null);
  if (id && event.target.matches(":focus-visible")) view.show(picture.nodes.get(id)[0]);
});
frame.addEventListener("focusout", () => highlight());
byId("panel").addEventListener("click", (event) => {
  const link = event.target.closest("[data-go]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(link.dataset.go);
});
for (const kind of ["pointerover", "focusin"]) {
  byId("panel").addEventListener(kind, (event) => {
    const exit = event.target.closest("[data-exit]");
    const phase = engines.current?.phases.find(({ id }) => id === shown.selected);
    if (exit && phase) highlight(shown.selected, phase.exits[exit.dataset.exit]);
    else highlight(event.target.closest("[data-go]")?.dataset.go ?? null);
  });
}
byId("panel").addEventListener("pointerleave", () => highlight());

/* Keys and buttons */

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
byId("scale").append(...HEAT.map((least, level) => make("li", { class: `heat-${level}` }, `${level ? "" : "<"}${(level ? least : HEAT[1]) * 100}%`)));

/* Start */

const address = new URL("live", location.href);
address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(address.href, {
  receive: (message) => RECEIVE[message.type]?.(message),
  changed(status, delay) {
    shown.connected = status === "open";
    document.body.dataset.connection = status;
    if (status === "lost") banner(`Disconnected. Trying again in ${plural(Math.max(Math.round(delay / 1000), 1), "second")}.`, "lost");
    paint();
  },
});
document.documentElement.dataset.ready = "";
