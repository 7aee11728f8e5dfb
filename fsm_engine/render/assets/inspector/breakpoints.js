/* The form that pauses a run at a phase or an exit, always or under a condition. */

/** The conditions on counters, each with its text. */
const conditionsOf = (counters) => [["", "always"], ...counters.flatMap((name) => [
  [`${name} ==`, `at ${name}`],
  [`${name} >=`, `from ${name}`],
  [`${name} every`, `every \u2026 ${name.replace(/s$/, "")}s`],
])];

class BreakpointForm {
  /** `add` is called with the details of a breakpoint. */
  constructor(add) {
    this.add = add;
    this.title = make("h3");
    this.condition = make("select", { "aria-label": "Condition" });
    this.number = make("input", { type: "number", min: 1, step: 1, value: 1, "aria-label": "Number", hidden: true });
    this.stop = make("button", { type: "submit", class: "stop-here" }, "Pause here");
    this.until = make("button", { type: "button", title: "Continue, and pause there once (r)" }, "Run until here");
    this.note = make("p", { class: "hint" });
    this.element = make("form", { class: "card stop-form" }, this.title,
      make("div", { class: "fields" }, this.condition, this.number, this.stop, this.until), this.note);
    this.condition.addEventListener("change", () => (this.number.hidden = !this.condition.value));
    this.until.addEventListener("click", () => this.submit(true));
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(false);
    });
  }

  /** Offer conditions on the counters of a lifecycle. */
  offer(counters) {
    if (counters.join() === this.counters) return;
    this.counters = counters.join();
    this.condition.replaceChildren(...conditionsOf(counters).map(([key, text]) => make("option", { value: key }, text)));
    this.number.hidden = true;
  }

  /** Show the form for a place, with the reason if a run cannot pause there. */
  show(place, reason) {
    this.place = place;
    this.reason = reason;
    this.title.textContent = `Pause ${placeText(place)}`;
    this.note.textContent = reason || (place.via ? "This exit leaves a scope. The run pauses wherever it enters the phase." : "");
    for (const part of [this.condition, this.number, this.stop, this.until]) part.disabled = Boolean(reason);
  }

  submit(once) {
    if (!this.place || this.reason || !this.element.reportValidity()) return;
    const [counter, is] = this.condition.value.split(/ (?=\S+$)/);
    const { event, edge } = this.place;
    this.add({
      ...(edge ? { edge } : { event }),
      ...(counter && { when: { counter, is, value: Number(this.number.value) } }),
      ...(once && { once: true }),
    });
  }
}

/** The place of a breakpoint: a phase, or one of its exits. An exit of a scope stands for its target. */
function placeOf(phase, exit, nameOf) {
  if (!exit) return { event: phase.id, name: phase.name };
  const ends = { name: phase.name, target: nameOf(exit.target) || "the phase before" };
  return exit.via ? { ...ends, event: exit.target, via: exit.via } : { ...ends, edge: [phase.id, exit.target] };
}

const placeText = ({ name, target, via }) =>
  target === undefined ? `when ${name} is entered` : via ? `when ${target} is entered` : `on the way from ${name} to ${target}`;

/** Whether a breakpoint without a condition is at a place. */
const isAt = (breakpoint, place) =>
  place.edge ? moveKey(...(breakpoint.edge ?? [])) === moveKey(...place.edge) : breakpoint.event === place.event;
