/* The records of an engine: its newest moves and handler calls, and its counts, which are complete. */

const [KEPT_LIVE, KEPT_REPLAY] = [20_000, 200_000];

/** A kind for the place where moves are missing, and for the present moment of a run that goes on. */
const NO_MOVE = {
  source: "", label: "", target: "", scopes: [], category: "phase", isTransition: false, startsVisit: false, startsRun: false,
};
const MISSING = -1;
const BUILT_IN = ["iteration", "epoch"]; // counters, the finest first

/** Rows of numbers, stored in columns. Only the newest `most` rows are kept. */
class Columns {
  constructor(width, most) {
    Object.assign(this, { most, start: 0, end: 0, dropped: 0 });
    this.arrays = Array.from({ length: width }, () => new Float64Array(256));
  }

  get length() {
    return this.end - this.start;
  }

  push(row) {
    if (this.end === this.arrays[0].length) this.#makeRoom();
    this.arrays.forEach((array, number) => (array[this.end] = row[number]));
    this.end++;
    if (this.length <= this.most) return;
    this.start++;
    this.dropped++;
  }

  /** The kept numbers of a column. They are valid until the next row is added. */
  column(number) {
    return this.arrays[number].subarray(this.start, this.end);
  }

  #makeRoom() {
    const { start, end } = this;
    const size = start >= end / 2 ? end : end * 2;
    this.arrays = this.arrays.map((array) => {
      const larger = size === end ? array : new Float64Array(size);
      larger.set(array.subarray(start, end));
      return larger;
    });
    [this.start, this.end] = [0, end - start];
  }
}

class EngineRecords {
  constructor(message, kept) {
    this.moves = new Columns(4, kept); // time, number of the kind, epoch, iteration
    this.spans = new Columns(4, kept); // start, duration, number of the handler, 1 if it raised
    this.series = new Map();
    Object.assign(this, { status: "idle", phase: null, since: null, state: {}, progress: {}, taken: [], calls: [], pauses: [] });
    this.leftOut = { moves: 0, spans: 0 };
    this.describe(message);
  }

  /** Take the description of the engine. Return true if its picture has changed. */
  describe({ id, name, heading, parent, svg, phases, kinds, handlers, counters = BUILT_IN, canPause = true, canSave = true }) {
    const isNew = svg !== this.svg || JSON.stringify(phases) !== JSON.stringify(this.phases);
    Object.assign(this, { id, name, heading, parent, svg, phases, kinds, handlers, counters, canPause, canSave });
    return isNew;
  }

  /** Take an update of the server. Times are in nanoseconds. A recording comes without counts, so its moves are counted. */
  update({ id, moves = [], spans = [], values = {}, ...present }, now) {
    Object.assign(this, present);
    for (const move of moves) this.moves.push(move ?? this.#gap());
    for (const span of spans) this.spans.push(span);
    this.hasCounts = Boolean(present.taken);
    if (!this.hasCounts) this.#count(moves, spans);
    for (const [name, points] of Object.entries(values)) this.#extend(name, points, now);
  }

  /** Whether the run is in a phase now. */
  get isRunning() {
    return this.status === "running" || this.status === "paused";
  }

  /** The values of the counters of the user's phases, by name. They are known for the present only. */
  get ownCounts() {
    const own = this.counters.filter((name) => !BUILT_IN.includes(name));
    return own.map((name) => [name, this.state[name] ?? null]).filter(([, count]) => count !== null);
  }

  /** The number of moves that the page has, and the number of all moves. */
  get known() {
    const kept = this.moves.column(1).reduce((count, number) => count + (number === MISSING ? 0 : 1), 0);
    const counted = this.taken.reduce((sum, count) => sum + count, 0);
    return [kept, counted + this.uncounted];
  }

  /** The kind of a move by its number. */
  kind(number) {
    return this.kinds[number] ?? NO_MOVE;
  }

  /** The number of moves that the counts are without. */
  get uncounted() {
    return (this.hasCounts ? this.leftOut.uncounted : this.leftOut.moves) ?? 0;
  }

  /** The lanes of the kept moves up to `now`; null before the first move. */
  track(now) {
    const { length } = this.moves;
    if (!length) return null;
    const goesOn = this.isRunning ? 1 : 0;
    const [times, numbers, epochs, iterations] = [0, 1, 2, 3].map((column) => {
      const copy = new Float64Array(length + goesOn);
      copy.set(this.moves.column(column));
      if (goesOn) copy[length] = copy[length - 1];
      return copy;
    });
    if (goesOn) [times[length], numbers[length]] = [Math.max(now, times[length - 1]), MISSING];
    for (let move = 0; move < numbers.length; move++) if (!this.kinds[numbers[move]]) numbers[move] = this.kinds.length;
    const { id, heading, handlers, pauses } = this;
    const data = { id, heading, handlers: [...handlers, PAUSE], pauses, kinds: [...this.kinds, NO_MOVE] };
    return withShares(new Track(data, [times, numbers, epochs, iterations, ...this.#sortedSpans(now)].values()));
  }

  #count(moves, spans) {
    for (const [, kind] of moves.filter(Boolean)) this.taken[kind] = (this.taken[kind] ?? 0) + 1;
    for (const [, took, handler, raised] of spans) {
      const calls = (this.calls[handler] ??= [0, 0, 0]);
      calls[0]++;
      calls[1] += took;
      calls[2] += raised ? 1 : 0;
    }
  }

  #gap() {
    const { length } = this.moves;
    const [time, , epoch, iteration] = [0, 1, 2, 3].map((column) => (length ? this.moves.column(column)[length - 1] : 0));
    return [time, MISSING, epoch, iteration];
  }

  #extend(name, points, now) {
    if (!this.series.has(name)) this.series.set(name, new Series(name));
    for (const [iteration, value, time = now] of points) this.series.get(name).push(iteration, Number(value), time);
  }

  /**
   * The columns of the handler calls by their start. The server sends them in the order in which they ended, the pauses of
   * the inspector among them. A pause that goes on is added here.
   */
  #sortedSpans(now) {
    const starts = this.spans.column(0);
    const order = Array.from(starts.keys());
    if (!order.every((at) => !at || starts[at - 1] <= starts[at])) order.sort((one, other) => starts[one] - starts[other]);
    const [start, end] = this.pauses.at(-1) ?? [0, 0];
    const open = end === null ? [start, Math.max(now - start, 0), this.handlers.length, 0] : null;
    return [0, 1, 2, 3].map((column) => {
      const numbers = this.spans.column(column);
      const sorted = order.map((at) => numbers[at]);
      return Float64Array.from(open ? [...sorted, open[column]] : sorted);
    });
  }
}

/** The handler that stands for the pauses of the inspector. */
const PAUSE = { name: "paused", event: "", place: "" };
const isPause = ({ name, event }) => event === "" && name === "paused";

/** Take the pauses out of the lanes of handlers, and sum up the time of each lane. */
function withShares(track) {
  track.lanes = track.lanes.map((lane) => (lane.role === "handler" ? withoutPauses(track, lane) : lane)).filter((lane) => lane.length);
  const sum = (role) => track.lanes.filter((lane) => lane.role === role).reduce((all, lane) => all + lane.total, 0);
  track.spent = { data: sum("data"), step: sum("step"), handlers: sum("handler"), other: sum("phase") };
  track.total = Object.values(track.spent).reduce((all, part) => all + part, 0);
  return track;
}

function withoutPauses(track, lane) {
  if (!track.handlers.some(isPause)) return lane;
  const kept = Object.assign(new Lane(lane.name, lane.role, lane.length), { isFurther: lane.isFurther });
  for (let at = 0; at < lane.length; at++) {
    if (!isPause(track.handlers[track.called[lane.refs[at]]])) kept.push(lane.starts[at], lane.ends[at], lane.refs[at]);
  }
  return kept.close();
}
