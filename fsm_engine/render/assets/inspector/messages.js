/* The messages of the server, and the commands of the reader. */

const RECEIVE = {
  hello(message) {
    greet(message);
    const { mode, engines: described, offers, breakpoints, title, process } = message;
    engines.reset(mode === "replay" ? KEPT_REPLAY : KEPT_LIVE);
    logTab.clear();
    Object.assign(shown, { hello: message, offers, breakpoints, now: 0, closed: "" });
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
  gone({ engine }) {
    if (engines.forget(engine)) showEngine();
  },
  update(message) {
    shown.now = message.now;
    for (const one of message.engines) engines.all.get(one.id)?.update(one, message.now);
    for (const warning of message.warnings ?? []) logTab.add(warning);
    if (document.hidden) showTitle(); // nothing is painted then
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
  closed({ text }) {
    shown.closed = text;
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

/** The text and the kind of the banner without a connection. */
function lostText(delay) {
  if (shown.closed) return [`${shown.closed} The page shows its last state, and connects again if the inspector comes back.`, "closed"];
  return [`Disconnected. Trying again in ${plural(Math.max(Math.round(delay / 1000), 1), "second")}.`, "lost"];
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
  if (exit && !exit.target) return `This exit leads to the phase that the run has left before. Pause at ${phase.name} instead.`;
  const target = exit ? phaseOf(engines.current, exit.target) : phase;
  return target && target.canStop !== false ? "" : `A run cannot pause ${exit ? "on this exit" : `in ${phase.name}`}.`;
}
