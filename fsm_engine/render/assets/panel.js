/* The details of the selected phase, or an overview of the lifecycle. */

/** Kinds of nodes; the samples have the colours of the picture. */
const NODE_LEGEND = [
  ["main", "on the main path"],
  ["custom", "phase of your own"],
  ["current", "current phase"],
  ["callback", "callback event"],
];

const EDGE_LEGEND = [
  ["automatic", "automatic, when the activity ends", "solid line, filled arrowhead"],
  ["fired", "fired by the step", "open arrowhead"],
  ["signal", "on a signal", "dotted line"],
  ["error", "on an error", "in the colour of errors"],
  ["discovered", "discovered in a run, not declared", "dashed line"],
];
const EXITS = [
  ["automatic", "Exits", "The first exit whose guard is true is taken when the activity ends."],
  ["fired", "Fired by the step", "Taken when the step fires the event."],
  ["signal", "On a signal", ""],
  ["error", "On an error", "Error edges are tried in this order."],
];

/** Shows a phase. Links to phases have the phase as `data-go`, exits their number in the phase as `data-exit`. */
class Panel {
  constructor(place, phases, title, current) {
    this.place = place;
    this.phases = new Map(phases.map((phase) => [phase.id, phase]));
    this.title = title;
    this.current = current;
    this.entries = new Map(phases.map((phase) => [phase.id, []]));
    for (const phase of phases) {
      for (const exit of phase.exits) if (exit.target) this.entries.get(exit.target).push([phase, exit]);
    }
  }

  get lead() {
    return "Select a phase to see its exits, or simulate a run step by step.";
  }

  show(id) {
    const phase = this.phases.get(id);
    this.place.replaceChildren(...(phase ? this.#phase(phase) : this.#overview()));
    this.place.parentElement.scrollTop = 0;
  }

  #overview() {
    const phases = [...this.phases.values()];
    return [
      make("h2", {}, "Overview"),
      make("p", { class: "lead" }, this.lead),
      section("Phases", make("ol", { class: "phases" }, phases.map((phase) => this.#listed(phase)))),
      section("Legend", make("ul", { class: "legend" }, legend(phases))),
    ];
  }

  #listed(phase) {
    const depth = Math.min(phase.scopes.length, 5);
    const scope = phase.scopes.length ? lastOf(phase.scopes.at(-1)) : "";
    return make("li", { class: `depth-${depth}` }, this.#link(phase.id), make("small", {}, scope));
  }

  #phase(phase) {
    const named = phase.id !== phase.name;
    return [
      make("p", { class: "scopes" }, phase.scopes.length ? phase.scopes.map(lastOf).join(" \u203a ") : "outside all scopes"),
      make("h2", { class: "name" }, phase.name),
      named ? make("p", { class: "qualified" }, phase.id) : null,
      this.#badges(phase),
      this.#actions(phase),
      phase.handlers.length ? section("Handlers, in order", handlers(phase.handlers)) : null,
      ...EXITS.map(([kind, title, help]) => this.#exits(phase, kind, title, help)),
      this.#entered(phase),
    ].filter(Boolean);
  }

  #badges(phase) {
    const badges = [
      phase.id === this.current ? "current phase" : "",
      phase.fired ? "fired by the step" : "",
      phase.terminal ? "left by the next run only" : "",
    ].filter(Boolean);
    return badges.length ? make("p", { class: "badges" }, badges.map((text) => make("span", {}, text))) : null;
  }

  #actions(phase) {
    const rows = [
      ["On entry", phase.entry.join("; ")],
      ["Activity", phase.activity],
      ["Counter", phase.counter ? `state.${phase.counter}` : ""],
      ["Signals deferred while", phase.defer],
    ].filter(([, text]) => text);
    return rows.length ? make("dl", { class: "doing" }, rows.map(([term, text]) =>
      [make("dt", {}, term), make("dd", {}, text)])) : null;
  }

  #exits(phase, kind, title, help) {
    const items = phase.exits.flatMap((exit, number) => (exit.kind === kind ? [this.#exit(exit, number)] : []));
    if (!items.length) return null;
    return section(title, help && items.length > 1 ? make("p", { class: "hint" }, help) : null,
      make("ol", { class: "exits" }, items));
  }

  #exit(exit, number) {
    return make("li", { class: exit.kind, "data-exit": number },
      make("div", { class: "way" }, this.#target(exit), make("code", { class: "label" }, exit.label), this.exitControl(exit, number)),
      conditions(exit),
      exit.handlers.length ? handlers(exit.handlers) : null);
  }

  /** Return a control beside an exit; null for none. */
  exitControl() {
    return null;
  }

  #target(exit) {
    return exit.target ? this.#link(exit.target, "\u2192 ") : make("span", {}, `\u2192 ${historyText(exit)}`);
  }

  #entered(phase) {
    const entries = this.entries.get(phase.id);
    const shown = [...new Map(entries.map(([source, exit]) => [exit.via || source.id, [source, exit]])).values()];
    const items = shown.map(([source, exit]) => make("li", {},
      exit.via ? make("span", {}, `any phase of ${lastOf(exit.via)}`) : this.#link(source.id),
      make("code", { class: "label" }, exit.label)));
    return items.length ? section("Entered from", make("ul", { class: "entries" }, items)) : null;
  }

  #link(id, before = "") {
    const href = `#${new URLSearchParams({ phase: id })}`;
    return make("a", { class: "go", href, "data-go": id }, before + this.phases.get(id).name);
  }
}

/** The exceptions, guard, limit, action and scope of an exit as small marks; null if it has none of them. */
function conditions(exit) {
  const marks = [
    exit.errors.length ? make("span", { class: "chip bad" }, exit.errors.join(" or ")) : null,
    exit.guard ? make("span", { class: "chip" }, `[${exit.guard}]`) : null,
    exit.limit === null ? null : make("span", { class: "chip" }, `at most ${plural(exit.limit, "time")}`),
    exit.action ? make("span", { class: "chip plain" }, `/ ${exit.action}`) : null,
    exit.via ? make("span", { class: "chip plain" }, `from any phase of ${lastOf(exit.via)}`) : null,
  ].filter(Boolean);
  return marks.length ? make("div", { class: "conditions" }, marks) : null;
}

const historyText = (exit) => `the last phase in ${lastOf(exit.history)}`;

function handlers(list) {
  return make("ol", { class: "handlers" }, list.map((handler) => make("li", {},
    make("span", { class: "handler" }, handler.name),
    handler.conditions ? make("span", { class: "chip" }, handler.conditions) : null,
    handler.on ? make("small", {}, `on ${handler.on}`) : null,
    make("code", { class: "place" }, handler.place))));
}

function section(title, ...content) {
  return make("section", {}, make("h3", {}, title), ...content);
}

/** The entries of the legend for the kinds of phases and edges in the picture. */
function legend(phases) {
  const shown = NODE_LEGEND.filter(([kind]) => document.querySelector(`.picture .node.${kind}:not(.inner *)`));
  return [...shown.map(([kind, meaning]) =>
    make("li", {}, make("i", { class: `sample ${kind}`, "aria-hidden": "true" }), make("span", {}, meaning))), ...edgeLegend(phases)];
}

function edgeLegend(phases) {
  const kinds = new Set(phases.flatMap((phase) => phase.exits.map((exit) => exit.kind)));
  if (document.querySelector(".edge.discovered")) kinds.add("discovered");
  return EDGE_LEGEND.filter(([kind]) => kinds.has(kind)).map(([kind, meaning, look]) =>
    make("li", {}, sampleLine(kind), make("span", {}, meaning), make("small", { class: "unseen" }, `: ${look}`)));
}

function sampleLine(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 44 12");
  svg.setAttribute("class", `sample ${kind}`);
  svg.setAttribute("aria-hidden", "true");
  for (const [tag, values] of [["path", { d: "M1 6H36" }], ["polyline", { points: "34,2 43,6 34,10" }]]) {
    const part = document.createElementNS(svg.namespaceURI, tag);
    for (const [name, value] of Object.entries(values)) part.setAttribute(name, value);
    svg.append(part);
  }
  return svg;
}
