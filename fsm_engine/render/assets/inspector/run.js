/* The tab "Run": the failure or the pause, the progress, the offered scalars, and the breakpoints. */

const FACTS = ["epoch", "iteration", "counters", "speed", "running time", "remaining", "paused for"];

class RunTab {
  /** `send` sends a command, `readLog` opens the log; `curves` shows the first values. */
  constructor(place, { send, readLog, curves }) {
    Object.assign(this, { send, readLog, curves, shown: {} });
    this.alert = make("div");
    this.facts = new Map(FACTS.map((name) => [name, make("dd")]));
    this.note = make("p", { class: "hint" });
    this.offers = make("section");
    this.breakpoints = make("section");
    this.look = make("div", { class: "look" });
    const facts = make("dl", { class: "facts" }, [...this.facts].map(([name, value]) => [make("dt", {}, name), value]));
    this.shares = make("dl", { class: "shares" });
    this.times = make("section", { hidden: true }, make("h3", {}, "Time of the shown moves"), this.shares);
    this.progress = make("section", {}, make("h3", {}, "Progress"), facts, this.note);
    const steer = make("div", { class: "steer" }, this.offers, this.breakpoints);
    const cards = make("div", { class: "cards" }, this.progress, this.times, steer);
    place.append(this.alert, this.look, cards, make("div", { class: "preview" }, curves.grid));
  }

  showProgress(records, moment, { held, now }) {
    const { state, progress } = records;
    const [seconds, remaining] = [progress.seconds ?? null, progress.remaining ?? null];
    const texts = {
      epoch: ofTotal("", moment.epoch, state.max_epochs).trim(),
      iteration: ofTotal("", moment.iteration, progress.total).trim(),
      counters: held ? "" : records.ownCounts.map(([name, count]) => ofTotal(name, count)).join(", "),
      speed: progress.rate && !held ? `${value3(progress.rate)} it/s` : "",
      "running time": seconds === null || held ? "" : duration(roundTime(seconds)),
      remaining: remaining === null || held ? "" : `about ${duration(estimate(remaining))}`,
      "paused for": pausedText(records, now),
    };
    for (const [name, element] of this.facts) {
      write(element, texts[name]);
      element.hidden = element.previousElementSibling.hidden = !texts[name];
    }
    write(this.note, progressNote(records));
  }

  /** Show the shares of the time that the lanes of a track have; nothing without a track. */
  showTimes(track) {
    this.times.hidden = !track?.total;
    if (!track?.total) return;
    const parts = Object.entries(track.spent);
    while (this.shares.childElementCount < parts.length) {
      this.shares.append(make("div", {}, make("dt"), make("dd"), make("span", { class: "bar-frame" }, make("i", { class: "bar-of" }))));
    }
    parts.forEach(([name, time], number) => {
      const [term, text, frame] = this.shares.children[number].children;
      write(term, name);
      write(text, `${duration(time)}, ${Math.round((100 * time) / track.total)}%`);
      frame.firstElementChild.className = `bar-of of-${name}`;
      frame.firstElementChild.style.width = `${((100 * time) / track.total).toFixed(1)}%`;
    });
  }

  /** Show the exception that ended the run, or nothing for null. */
  showFailure(failure, phase) {
    if (!this.#isNew("failure", failure)) return;
    this.alert.replaceChildren(...(failure ? [make("section", { class: "card failed" },
      make("h3", {}, "The run failed"),
      make("p", { class: "error" }, failure.error),
      make("p", {}, "in ", phase ? goLink(phase) : failure.phase, ", ", countersText(failure)),
      this.#button("Show the traceback", () => this.readLog()))] : []));
  }

  /** Show the paused run, or nothing for null. */
  showLook(look) {
    if (!this.#isNew("look", look)) return;
    this.look.replaceChildren(...(look ? [make("section", { class: "card paused wide" },
      make("div", { class: "titled" }, make("h3", {}, `Paused ${whyText(look.why)}`), this.#button("Look again", () => this.send("look"))),
      make("p", { class: "at" }, make("code", {}, look.at))), ...lookSections(look)] : []));
  }

  showOffers(offers, readOnly) {
    if (!this.#isNew("offers", JSON.stringify([offers, readOnly]))) return;
    if (this.offers.contains(document.activeElement) && document.activeElement.matches("input")) {
      for (const offer of offers) this.#refresh(offer);
      return;
    }
    this.offers.hidden = !offers.length;
    this.offers.replaceChildren(make("h3", {}, "Steer"), ...offers.map((offer, number) => this.#offer(offer, number, readOnly)));
  }

  showBreakpoints(breakpoints, readOnly) {
    if (!this.#isNew("breakpoints", JSON.stringify([breakpoints, readOnly]))) return;
    this.breakpoints.hidden = readOnly && !breakpoints.length;
    this.breakpoints.replaceChildren(make("h3", {}, "Breakpoints"), breakpoints.length
      ? make("ul", { class: "stops" }, breakpoints.map((one) => this.#breakpoint(one, readOnly)))
      : make("p", { class: "hint" }, "None. Select a phase or an exit in the picture to pause there."));
  }

  #offer({ name, label, engine, value, low, high, error }, number, readOnly) {
    const isSlider = low !== null && high !== null;
    const set = (input) => this.send("set", { engine, name, value: Number(input.value) });
    const output = make("output", { for: `offer-${number}` }, value === null ? "\u2013" : short4(value));
    const input = make("input", {
      id: `offer-${number}`, type: isSlider ? "range" : "number", step: "any", value: value ?? "", disabled: readOnly, "data-offer": label,
      ...(low !== null && { min: low }), ...(high !== null && { max: high }),
    });
    input.addEventListener("input", () => isSlider && write(output, short4(Number(input.value))));
    input.addEventListener("change", () => input.value !== "" && set(input));
    return make("div", { class: "offer" }, make("label", { for: `offer-${number}` }, label), isSlider ? output : null, input,
      error ? make("small", { class: "bad" }, error) : isSlider ? make("small", {}, `${short4(low)} \u2026 ${short4(high)}`) : null);
  }

  /** Update a value without replacing the field that the reader uses. */
  #refresh({ label, value }) {
    const input = [...this.offers.querySelectorAll("input")].find((one) => one.dataset.offer === label);
    if (input && input !== document.activeElement) input.value = value ?? "";
  }

  #breakpoint({ number, engine, of, text, once, hits }, readOnly) {
    const label = { "aria-label": `Remove the breakpoint at ${text}` };
    const remove = make("button", { type: "button", class: "round small", ...label, disabled: readOnly }, "\u00d7");
    remove.addEventListener("click", () => this.send("unbreak", { engine, number }));
    return make("li", {}, make("i", { class: "spot", "aria-hidden": "true" }),
      make("span", { class: "stop-text" }, of ? make("small", {}, `${of}: `) : null, text),
      make("small", {}, once ? "once" : `${NUMBER.format(hits)}\u00d7`), remove);
  }

  #button(text, act) {
    const made = make("button", { type: "button" }, text);
    made.addEventListener("click", act);
    return made;
  }

  #isNew(name, content) {
    const differs = this.shown[name] !== content;
    this.shown[name] = content;
    return differs;
  }
}

function progressNote(records) {
  if (!records.moves.length && records.status === "idle") return "The run has not started. The page follows it as soon as it does.";
  if (records.canPause !== true) return String(records.canPause);
  return "";
}

/** The time that a run was paused, in whole seconds; "" for none. */
function pausedText({ pauses }, now) {
  const time = pauses.reduce((sum, [start, end]) => sum + (end ?? Math.max(now, start)) - start, 0);
  return time ? duration(Math.max(Math.round(time / SECOND), 1) * SECOND) : "";
}

const countersText = ({ epoch, iteration }) => [ofTotal("epoch", epoch), ofTotal("iteration", iteration)].filter(Boolean).join(", ");
const whyText = (why) => ({ pause: "on request", step: "after a step", save: "to save" })[why] ?? `at ${why}`;
const value3 = (number) => (number >= 100 ? NUMBER.format(Math.round(number)) : String(Number(number.toPrecision(3))));
const momentText = (time) => moment(time, 1e6);

/** Set a text, only if it differs: the browser then has nothing to do. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const goLink = ({ id, name }) => make("a", { class: "go", href: `#${new URLSearchParams({ phase: id })}`, "data-go": id }, name);
