/* Search for phases, exits, guards, actions, handlers and errors by name. */

const MOST_SHOWN = 50;

class Search extends Listbox {
  constructor(input, list, phases, { preview, go }) {
    super(input, list, MOST_SHOWN);
    Object.assign(this, { preview, go });
    this.load(phases);
  }

  /** Search these phases from now on. */
  load(phases) {
    this.entries = phases.flatMap(entriesOf);
  }

  search() {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const ranked = this.entries.map((entry) => [rank(entry, words), entry]).filter(([rank]) => rank < Infinity);
    const found = words.length ? ranked.sort(([one], [other]) => one - other).map(([, entry]) => entry) : [];
    const row = (entry, number) => option(entry, number, words);
    this.show(found, row, words.length > 0, "No results.");
    this.preview(words.length ? new Set(this.found.map((entry) => entry.phase)) : null, null);
  }

  key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && this.found.length) {
      if (this.list.hidden) this.open(true);
      else this.move(by);
      this.highlight();
      this.preview(new Set(this.found.map((entry) => entry.phase)), this.found[this.active].phase);
    } else if (event.key === "Enter" && this.found.length) this.choose(this.active);
    else if (event.key === "Escape") this.clear();
    else return false;
    return true;
  }

  choose(number) {
    const { phase } = this.found[number];
    this.active = number;
    this.preview(null, null);
    this.input.blur();
    this.go(phase);
  }
}

/** The search entries of a phase, each text once. */
function entriesOf(phase) {
  const texts = new Map([[`phase ${phase.id}`, ["phase", phase.id]]]);
  const add = (kind, text) => text && texts.set(`${kind} ${text}`, [kind, text]);
  const addHandler = (handler) => add("handler", `${handler.name}  ${handler.place}`);
  phase.handlers.forEach(addHandler);
  for (const exit of phase.exits) {
    exit.handlers.forEach(addHandler);
    add("guard", exit.guard);
    add("action", exit.action);
    for (const error of exit.errors) add("error", error);
    if (!exit.via) add("exit", exit.label);
  }
  for (const entry of phase.entry) add("entry", entry);
  add("activity", phase.activity);
  return [...texts.values()].map(([kind, text]) => ({ kind, text, phase: phase.id, name: phase.name }));
}

/**
 * Rank of an entry, 0 for the best: phases come first, then entries whose text starts with the first word.
 *
 * The text has the first word; each other word is in the text or in the name of the phase.
 */
function rank({ kind, text, name }, words) {
  const low = text.toLowerCase();
  const where = `${low} ${name.toLowerCase()}`;
  if (!words.every((word) => where.includes(word))) return Infinity;
  const place = low.indexOf(words[0]);
  if (place < 0) return Infinity;
  const begins = place === 0 || (kind === "phase" && name.toLowerCase().startsWith(words[0]));
  const beginsWord = place > 0 && !/[\p{L}\p{N}]/u.test(low[place - 1]);
  return (kind === "phase" ? 0 : 10) + (begins ? 0 : beginsWord ? 1 : 2);
}

function option({ kind, text, phase, name }, number, words) {
  return make("li", { role: "option", id: `found-${number}`, "data-number": number, "aria-selected": "false" },
    make("span", { class: "kind" }, kind),
    make("span", { class: "found-text" }, marked(text, words[0])),
    kind === "phase" ? null : make("small", { title: phase }, name));
}
