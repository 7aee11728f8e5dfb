/* Search: by phase, scope, handler, epoch and iteration. */

const MOST_SHOWN = 40;

/** A search result: the items of a lane with the same name or number. They are collected when they are read. */
class Result {
  constructor(track, kind, text, find) {
    Object.assign(this, { track, kind, text, find });
  }

  /** The items, each with its lane and its index there. */
  get items() {
    return (this.list ??= this.find());
  }
}

class Search extends Listbox {
  constructor(input, list, tracks, { go, highlightLanes, now }) {
    super(input, list, MOST_SHOWN);
    Object.assign(this, { tracks, go, highlightLanes, now, current: null });
    this.entries = tracks.flatMap(entriesOf);
  }

  get isWorthOpening() {
    return this.found.length > 0 && !this.current;
  }

  search() {
    const wanted = this.input.value.trim().toLowerCase();
    const found = wanted ? [...this.tracks.flatMap((track) => numbered(track, wanted)), ...this.#named(wanted)] : [];
    const row = (entry, number) => this.#option(entry, number, wanted);
    this.current = null;
    this.show(found, row, wanted !== "", "No results.");
    this.highlightLanes(null, "");
  }

  #named(wanted) {
    const words = wanted.split(/\s+/);
    const matching = this.entries.filter(({ text }) => words.every((word) => text.toLowerCase().includes(word)));
    const rank = ({ text }) => (lastOf(text).toLowerCase().startsWith(words[0]) ? 0 : 1);
    return matching.sort((one, other) => rank(one) - rank(other));
  }

  #option(entry, number, wanted) {
    const several = this.tracks.length > 1;
    return make("li", { role: "option", id: `found-${number}`, "data-number": number, "aria-selected": "false" },
      make("span", { class: "kind" }, entry.kind),
      make("span", { class: "found-text" }, marked(entry.text, wanted.split(/\s+/)[0])),
      make("small", {}, `${NUMBER.format(entry.items.length)}\u00d7`, several ? ` in ${entry.track.heading}` : ""));
  }

  key(event) {
    const turn = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") this.clear();
    else if (event.key === "Enter" && this.current) this.step(event.shiftKey ? -1 : 1);
    else if (event.key === "Enter" && this.found.length) this.choose(this.active);
    else if (turn && this.found.length) {
      this.move(turn);
      this.current = null;
      this.open(true);
      this.highlight();
    } else return false;
    return true;
  }

  choose(number) {
    [this.active, this.current] = [number, this.found[number]];
    this.open(false);
    const { items } = this.current;
    const place = items.findIndex((item) => startOf(this.current.track, item) >= this.now());
    this.number = place < 0 ? 0 : place;
    this.#go();
  }

  /** Go to the next or previous item of the result. */
  step(by) {
    if (!this.current) return;
    const { length } = this.current.items;
    this.number = (this.number + by + length) % length;
    this.#go();
  }

  #go() {
    const { track, items, text } = this.current;
    const lanes = new Set(items.slice(0, 1).map(({ lane }) => lane));
    this.highlightLanes(lanes, `${NUMBER.format(this.number + 1)} of ${NUMBER.format(items.length)}`);
    announce(`${text}, ${this.number + 1} of ${items.length}`);
    this.go(track, items[this.number]);
  }
}

const startOf = (track, { lane, place }) => lane.starts[place];

/** The phases, handlers and scopes of a track that have items. */
function entriesOf(track) {
  const entries = [];
  const inLanes = (role, matches) => {
    const items = [];
    for (const lane of track.lanes.filter((lane) => lane.role === role)) {
      for (let place = 0; place < lane.length; place++) if (matches(lane.refs[place])) items.push({ lane, place });
    }
    return items.sort((one, other) => one.lane.starts[one.place] - other.lane.starts[other.place]);
  };
  const taken = new Set(track.numbers);
  const roles = new Map([...taken].map((number) => track.kinds[number]).filter((kind) => kind.isTransition)
    .map((kind) => [kind.target, kind.category]));
  for (const [phase, role] of roles) {
    const numbers = new Set(track.kinds.flatMap((kind, number) => (kind.target === phase ? [number] : [])));
    entries.push(new Result(track, "phase", phase, () => inLanes(role, (move) => numbers.has(track.numbers[move]))));
  }
  const handlers = new Map();
  track.handlers.forEach(({ name, event }, number) => {
    const full = `${name} on ${event}`;
    handlers.set(full, [...(handlers.get(full) ?? []), number]);
  });
  for (const [name, numbers] of handlers) {
    entries.push(new Result(track, "handler", name, () => inLanes("handler", (call) => numbers.includes(track.called[call]))));
  }
  track.waits.forEach((name, number) => {
    entries.push(new Result(track, "wait", name, () => inLanes("wait", (wait) => track.causes[wait] === number)));
  });
  for (const lane of track.lanes.filter((lane) => lane.role === "scope")) {
    const items = () => Array.from({ length: lane.length }, (_, place) => ({ lane, place }));
    for (const name of lane.name.split(", ")) entries.push(new Result(track, "scope", name, items));
  }
  return entries.filter((entry) => entry.items.length);
}

/** The epoch and the iteration with a number; only one of them if its name is before the number. */
function numbered(track, wanted) {
  const read = /^(?:(e)(?:poch)?|(i)(?:teration)?)?\s*#?([\d,]+)$/.exec(wanted);
  if (!read) return [];
  const number = Number(read[3].replaceAll(",", ""));
  const names = read[1] ? ["epoch"] : read[2] ? ["iteration"] : ["epoch", "iteration"];
  return names.flatMap((name) => {
    const lane = track.lanes.find((lane) => lane.role === "scope" && lane.name.split(", ").includes(name));
    if (!lane) return [];
    const find = () => placesOf(track, lane, name, number).map((place) => ({ lane, place }));
    const result = new Result(track, name, `${name} ${NUMBER.format(number)}`, find);
    return result.items.length ? [result] : [];
  });
}

function placesOf(track, lane, name, number) {
  const places = [];
  for (let place = 0; place < lane.length; place++) {
    if (track.countersOf(lane.refs[place])[name] === number) places.push(place);
  }
  return places;
}
