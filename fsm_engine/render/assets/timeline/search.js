/* Search: by phase, scope, handler, epoch and iteration. */

const MOST_SHOWN = 40;

/** Something that can be found in a lane or along the moves of a track, with where it is; `items` is made when asked. */
class Found {
  constructor(track, kind, text, find) {
    Object.assign(this, { track, kind, text, find });
  }

  /** Where it is: `[lane, place]` of an item, or the number of a move that took no time. */
  get items() {
    return (this.list ??= this.find());
  }
}

class Search extends Listbox {
  constructor(input, list, tracks, { go, light, now }) {
    super(input, list, MOST_SHOWN);
    Object.assign(this, { tracks, go, lightLanes: light, now, current: null });
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
    this.show(found, row, wanted !== "", "Nothing has such a name or number.");
    this.lightLanes(null, "");
  }

  #named(wanted) {
    const words = wanted.split(/\s+/);
    const fitting = this.entries.filter(({ text }) => words.every((word) => text.toLowerCase().includes(word)));
    const rank = ({ text }) => (lastOf(text).toLowerCase().startsWith(words[0]) ? 0 : 1);
    return fitting.sort((one, other) => rank(one) - rank(other));
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

  /** Go to the next of what was found, or back. */
  step(by) {
    if (!this.current) return;
    const { length } = this.current.items;
    this.number = (this.number + by + length) % length;
    this.#go();
  }

  #go() {
    const { track, items, text } = this.current;
    const lanes = new Set(items.slice(0, 1).map(({ lane }) => lane));
    this.lightLanes(lanes, `${NUMBER.format(this.number + 1)} of ${NUMBER.format(items.length)}`);
    announce(`${text}, ${this.number + 1} of ${items.length}`);
    this.go(track, items[this.number]);
  }
}

const startOf = (track, { lane, place }) => lane.starts[place];

/** What has a name in a track, and is there. */
function entriesOf(track) {
  const entries = [];
  const inLanes = (role, fits) => {
    const items = [];
    for (const lane of track.lanes.filter((lane) => lane.role === role)) {
      for (let place = 0; place < lane.length; place++) if (fits(lane.refs[place])) items.push({ lane, place });
    }
    return items.sort((one, other) => one.lane.starts[one.place] - other.lane.starts[other.place]);
  };
  const came = new Set(track.numbers);
  const spent = new Map([...came].map((number) => track.kinds[number]).filter((kind) => !kind.rests)
    .map((kind) => [kind.target, kind.spent]));
  for (const [phase, role] of spent) {
    const numbers = new Set(track.kinds.flatMap((kind, number) => (kind.target === phase ? [number] : [])));
    entries.push(new Found(track, "phase", phase, () => inLanes(role, (move) => numbers.has(track.numbers[move]))));
  }
  const handlers = new Map();
  track.handlers.forEach(({ name, event }, number) => {
    const full = `${name} on ${event}`;
    handlers.set(full, [...(handlers.get(full) ?? []), number]);
  });
  for (const [name, numbers] of handlers) {
    entries.push(new Found(track, "handler", name, () => inLanes("handler", (call) => numbers.includes(track.called[call]))));
  }
  for (const lane of track.lanes.filter((lane) => lane.role === "scope")) {
    const items = () => Array.from({ length: lane.length }, (_, place) => ({ lane, place }));
    for (const name of lane.name.split(", ")) entries.push(new Found(track, "scope", name, items));
  }
  return entries.filter((entry) => entry.items.length);
}

/** The epoch or the iteration of a number, by the word before it, or both. */
function numbered(track, wanted) {
  const read = /^(?:(e)(?:poch)?|(i)(?:teration)?)?\s*#?([\d,]+)$/.exec(wanted);
  if (!read) return [];
  const number = Number(read[3].replaceAll(",", ""));
  const names = read[1] ? ["epoch"] : read[2] ? ["iteration"] : ["epoch", "iteration"];
  return names.flatMap((name) => {
    const lane = track.lanes.find((lane) => lane.role === "scope" && lane.name.split(", ").includes(name));
    if (!lane) return [];
    const find = () => placesOf(track, lane, name, number).map((place) => ({ lane, place }));
    const found = new Found(track, name, `${name} ${NUMBER.format(number)}`, find);
    return found.items.length ? [found] : [];
  });
}

function placesOf(track, lane, name, number) {
  const places = [];
  for (let place = 0; place < lane.length; place++) {
    if (track.countersOf(lane.refs[place])[name] === number) places.push(place);
  }
  return places;
}
