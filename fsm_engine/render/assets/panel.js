/* What is told of a phase, and of the whole lifecycle while none is chosen. */

const SIGNS = [
  ["automatic", "by itself, when the activity ends", "a straight line, its head filled"],
  ["fired", "fired by the step", "its head open"],
  ["signal", "on a signal", "dotted"],
  ["error", "on an error", "in the colour of errors"],
  ["discovered", "seen in a run, not declared", "dashed"],
];
const EXITS = [
  ["automatic", "Exits", "The first whose guard holds is taken when the activity ends."],
  ["fired", "Fired by the step", "Taken when the step fires the event."],
  ["signal", "On a signal", ""],
  ["error", "On an error", "Tried in this order."],
];

/** Shows a phase; links to phases have `data-go`, exits have `data-exit`, which is their number in the phase. */
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

  show(id) {
    const phase = this.phases.get(id);
    this.place.replaceChildren(...(phase ? this.#phase(phase) : this.#overview()));
    this.place.parentElement.scrollTop = 0;
  }

  #overview() {
    const phases = [...this.phases.values()];
    return [
      make("h2", {}, "Overview"),
      make("p", { class: "lead" }, "Choose a phase to see where it leads, or simulate a run step by step."),
      section("Phases", make("ol", { class: "phases" }, phases.map((phase) => this.#listed(phase)))),
      section("Signs", make("ul", { class: "signs" }, signs(phases))),
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
      this.#doing(phase),
      phase.handlers.length ? section("Handlers, in order", handlers(phase.handlers)) : null,
      ...EXITS.map(([kind, title, help]) => this.#exits(phase, kind, title, help)),
      this.#entered(phase),
    ].filter(Boolean);
  }

  #badges(phase) {
    const badges = [
      phase.id === this.current ? "the engine is here" : "",
      phase.fired ? "part of a step" : "",
      phase.terminal ? "left by the next run" : "",
    ].filter(Boolean);
    return badges.length ? make("p", { class: "badges" }, badges.map((text) => make("span", {}, text))) : null;
  }

  #doing(phase) {
    const rows = [
      ["On entry", phase.entry.join("; ")],
      ["Activity", phase.activity],
      ["Counted in", phase.counter ? `state.${phase.counter}` : ""],
      ["Signals wait while", phase.defer],
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
      make("div", { class: "way" }, this.#target(exit), make("code", { class: "label" }, exit.label)),
      conditions(exit),
      exit.handlers.length ? handlers(exit.handlers) : null);
  }

  #target(exit) {
    return exit.target ? this.#link(exit.target, "\u2192 ") : make("span", {}, `\u2192 ${backTo(exit)}`);
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

/** When an exit is taken and what is done then, as a line of small marks; null if there is nothing to say. */
function conditions(exit) {
  const marks = [
    exit.errors.length ? make("span", { class: "chip bad" }, exit.errors.join(" or ")) : null,
    exit.guard ? make("span", { class: "chip" }, `[${exit.guard}]`) : null,
    exit.limit === null ? null : make("span", { class: "chip" }, `at most ${counted(exit.limit, "time")}`),
    exit.action ? make("span", { class: "chip plain" }, `/ ${exit.action}`) : null,
    exit.via ? make("span", { class: "chip plain" }, `from any phase of ${lastOf(exit.via)}`) : null,
  ].filter(Boolean);
  return marks.length ? make("div", { class: "conditions" }, marks) : null;
}

const backTo = (exit) => `the phase left in ${lastOf(exit.history)}`;

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

/** The signs that are in the picture, drawn as lines. */
function signs(phases) {
  const kinds = new Set(phases.flatMap((phase) => phase.exits.map((exit) => exit.kind)));
  if (document.querySelector(".edge.discovered")) kinds.add("discovered");
  return SIGNS.filter(([kind]) => kinds.has(kind)).map(([kind, what, look]) =>
    make("li", {}, sign(kind), make("span", {}, what), make("small", { class: "unseen" }, `: ${look}`)));
}

function sign(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 44 12");
  svg.setAttribute("class", `sign ${kind}`);
  svg.setAttribute("aria-hidden", "true");
  for (const [tag, values] of [["path", { d: "M1 6H36" }], ["polyline", { points: "34,2 43,6 34,10" }]]) {
    const part = document.createElementNS(svg.namespaceURI, tag);
    for (const [name, value] of Object.entries(values)) part.setAttribute(name, value);
    svg.append(part);
  }
  return svg;
}
