/* The tab "Log": the failure with its traceback, warnings, and messages of the inspector. The last ones are kept. */

const MOST_ENTRIES = 200;

class LogTab {
  constructor(place, unread) {
    Object.assign(this, { unread, seen: true, fresh: 0, dropped: 0 });
    this.failure = make("div");
    this.hint = make("p", { class: "hint" });
    this.list = make("ol", { class: "log" });
    place.append(this.failure, this.hint, this.list);
    this.clear();
  }

  clear() {
    [this.dropped, this.fresh] = [0, 0];
    this.list.replaceChildren();
    this.failure.replaceChildren();
    this.#tell();
  }

  /** Add an entry. `time` is in nanoseconds since the origin; null for now. */
  add({ level, text, logger = "", time = null, clock = "" }) {
    this.list.prepend(make("li", { class: level.toLowerCase() },
      make("small", { class: "when" }, time === null ? clock : momentText(time)),
      make("span", { class: "chip" }, level.toLowerCase()), logger ? make("small", {}, logger) : null,
      make("span", { class: "said" }, text)));
    if (this.list.childElementCount > MOST_ENTRIES) {
      this.list.lastChild.remove();
      this.dropped++;
    }
    if (!this.seen) this.fresh++;
    this.#tell();
  }

  /** Show the exception that ended the run of an engine. */
  fail(failure, phase, name) {
    this.failure.querySelector(`[data-engine="${failure.engine}"]`)?.remove();
    this.failure.prepend(make("section", { class: "card failed", "data-engine": failure.engine },
      make("h3", {}, `${name} failed in `, phase ? goLink(phase) : failure.phase),
      make("p", { class: "error" }, failure.error),
      make("p", { class: "hint" }, countersText(failure)),
      make("pre", { class: "traceback", tabindex: 0 }, failure.traceback)));
    if (!this.seen) this.fresh++;
    this.#tell();
  }

  /** Remember whether the reader sees the tab. */
  look(seen) {
    this.seen = seen;
    if (seen) this.fresh = 0;
    this.#tell();
  }

  #tell() {
    write(this.hint, this.dropped ? `Showing the last ${MOST_ENTRIES} of ${NUMBER.format(this.dropped + MOST_ENTRIES)} messages.`
      : this.list.childElementCount ? "" : "No warnings so far.");
    this.hint.hidden = !this.hint.textContent;
    this.unread.hidden = !this.fresh;
    write(this.unread, this.fresh > 99 ? "99+" : String(this.fresh));
  }
}
