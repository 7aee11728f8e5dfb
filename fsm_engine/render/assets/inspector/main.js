/* The page of the live inspector: its parts, the shown engine and moment, and the work per frame. */

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
const shown = { hello: null, now: 0, offers: [], breakpoints: [], connected: false, closed: "", selected: "", exit: null, heat: false, fitted: null };
let [picture, overlay, view, phaseTab] = [null, null, null, null];
const SMALL_SCREEN = 760; // pixels, as in the style sheet

/* Work per frame */

const paintPicture = new Throttle(90, () => {
  const records = engines.current;
  if (!overlay || !records) return;
  const moment = momentOf(records, transport.time);
  const moves = transport.time === null ? records.status === "running" : transport.playing;
  const isInPhase = records.isRunning || records.status === "suspended" || moment.move < 0;
  overlay.show(moment, { trail: moves, lit: isInPhase || transport.time !== null });
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
new MutationObserver(() => paintTab.request()).observe(document.documentElement, { attributeFilter: ["data-mode"] });
systemDark.addEventListener("change", () => paintTab.request());
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
  showTitle();
}

/** Show the status in the title, which the reader sees while another tab of the browser is open. */
function showTitle() {
  document.title = `${statusText(engines.current?.status ?? "idle")} \u00b7 ${shown.hello?.title ?? ""} \u00b7 inspector`;
}

/** Show the open tab. */
function showTab() {
  const records = engines.current;
  if (!records) return;
  const { time } = transport;
  if (tabs.current === "run") showRun(records);
  if (tabs.current === "phase") phaseTab.count(shown.selected, momentOf(records, time).visits, phaseTimes(records));
  if (tabs.current === "curves") curvesTab.show(records, time);
  if (tabs.current === "handlers") handlersTab.show(records.handlers, callsOf(records, time));
}

function showRun(records) {
  const held = transport.time !== null;
  const failure = records.status === "failed" ? engines.failures.get(records.id) : null;
  runTab.showFailure(failure ?? null, failure && phaseOf(records, failure.phase));
  runTab.showProgress(records, momentOf(records, transport.time), { held, now: shown.now });
  runTab.showTimes(timeline.chart.tracks.find(({ id }) => id === records.id));
  curves.show(records, transport.time);
  runTab.showLook(records.status === "paused" && !held ? (engines.looks.get(records.id) ?? null) : null);
  runTab.showOffers(shown.offers, !shown.hello || shown.hello.readOnly);
  const named = shown.breakpoints.map((one) => ({ ...one, of: one.engine === engines.shown ? "" : engines.all.get(one.engine)?.heading }));
  runTab.showBreakpoints(named, !shown.hello || shown.hello.readOnly);
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
  form.offer(engines.current.counters);
  const chooseExit = (exit) => choose(shown.selected, exit);
  phaseTab = new PhaseTab(byId("phase"), engines.current, { form, selectedExit: () => shown.exit, chooseExit });
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
