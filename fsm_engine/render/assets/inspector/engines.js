/* The engines of the page: their records, and which of them is shown. */

class Engines {
  /** `chosen` is called when the reader selects another engine. */
  constructor(select, chosen) {
    Object.assign(this, { select, all: new Map(), shown: null, failures: new Map(), looks: new Map(), kept: KEPT_LIVE });
    select.addEventListener("change", () => {
      this.shown = Number(select.value);
      chosen();
    });
  }

  get current() {
    return this.all.get(this.shown);
  }

  /** Forget all engines. */
  reset(kept) {
    for (const known of [this.all, this.failures, this.looks]) known.clear();
    this.kept = kept;
  }

  /** Take the description of an engine. Return true if the picture that is shown has to change. */
  describe(message) {
    const known = this.all.get(message.id);
    const isNew = known ? known.describe(message) : Boolean(this.all.set(message.id, new EngineRecords(message, this.kept)));
    if (!this.all.has(this.shown)) this.shown = message.id;
    this.#list();
    return isNew && message.id === this.shown;
  }

  /** Forget an engine that the server has forgotten. Return true if it was shown. */
  forget(id) {
    const wasShown = id === this.shown;
    for (const known of [this.all, this.failures, this.looks]) known.delete(id);
    if (wasShown) this.shown = this.all.keys().next().value;
    this.#list();
    return wasShown && this.all.size > 0;
  }

  show(id) {
    if (!this.all.has(id) || id === this.shown) return false;
    this.shown = id;
    this.#list();
    return true;
  }

  /** The engines, each followed by the engines that ran inside it. */
  ordered(parent = null) {
    const inside = [...this.all.values()].filter((one) => (this.all.has(one.parent) ? one.parent : null) === parent);
    return inside.flatMap((one) => [one, ...this.ordered(one.id)]);
  }

  /** The time of the kept moves of all engines. */
  range(now) {
    const moved = [...this.all.values()].filter((one) => one.moves.length);
    const begin = Math.min(...moved.map((one) => one.moves.column(0)[0]), Infinity);
    const goesOn = moved.some((one) => one.isRunning);
    const ends = moved.map((one) => one.moves.column(0).at(-1));
    return moved.length ? [begin, Math.max(...ends, goesOn ? now : 0)] : [0, 0];
  }

  #list() {
    const options = this.ordered().map((one) =>
      make("option", { value: one.id, selected: one.id === this.shown }, one.heading || one.name));
    this.select.replaceChildren(...options);
    this.select.hidden = options.length < 2;
  }
}

/** How many moves of the engines the page shows, if it does not show all; "" if it does. */
function leftOutText(engines) {
  const texts = engines.map((one) => {
    const [kept, all] = one.known;
    const name = engines.length > 1 ? `${one.heading}: ` : "";
    const counts = one.uncounted ? `; the counts are without ${NUMBER.format(one.uncounted)} of them` : "; the counts are complete";
    return kept < all ? `${name}showing ${NUMBER.format(kept)} of ${NUMBER.format(all)} moves${counts}` : "";
  });
  return texts.filter(Boolean).join(". ");
}
