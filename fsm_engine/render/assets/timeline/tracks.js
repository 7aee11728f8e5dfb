/* From columns to lanes: what one engine did. */

const SPENT = { data: "data", step: "step", phase: "other phases" };

class Track {
  constructor(told, columns) {
    Object.assign(this, told);
    [this.times, this.numbers, this.epochs, this.iterations] = Array.from({ length: 4 }, () => columns.next().value);
    [this.starts, this.lasting, this.called, this.raised] = Array.from({ length: 4 }, () => columns.next().value);
    const calls = handlerLanes(this);
    this.lanes = [...scopeLanes(this), ...activityLanes(this, calls[0]), ...calls].filter((lane) => lane.length);
    this.end = Math.max(this.times.at(-1), ...this.lanes.map((lane) => lane.ends.at(-1)));
  }

  /** The number of the move that entered the phase in which the engine was at a time; -1 if it was in none. */
  moveAt(time) {
    const move = placeAbove(this.times, time) - 1;
    return this.isVisit(move) ? move : -1;
  }

  /** Whether a move entered a phase that the next one left. */
  isVisit(move) {
    return move >= 0 && move + 1 < this.times.length && !this.kinds[this.numbers[move]].last &&
      !this.kinds[this.numbers[move + 1]].begins;
  }

  phaseOf(move) {
    return this.kinds[this.numbers[move]].target;
  }

  /** The epoch and the iteration of what a move began: they count in its entry action, so the next move has them. */
  countersOf(move) {
    const next = Math.min(move + 1, this.times.length - 1);
    return { epoch: this.epochs[next], iteration: this.iterations[next] };
  }
}

/** A lane per scope, from the move that enters it to the one that leaves it; those that are the same share one. */
function scopeLanes(track) {
  const { kinds, times, numbers } = track;
  const paths = new Map();
  const chains = kinds.map((kind) => kind.scopes.map((_, depth) => scopeLane(paths, kind.scopes.slice(0, depth + 1))));
  let [around, entered] = [[], 0];
  let open = [];
  const close = (stays, time) => {
    while (open.length > stays) {
      const [lane, move] = open.pop();
      lane.push(times[move], time, move);
    }
  };
  for (let move = 0; move < times.length; move++) {
    const kind = kinds[numbers[move]];
    const wanted = kind.rests ? [] : chains[numbers[move]];
    if (kind.begins) {
      close(0, entered);
      around = [];
    }
    if (wanted !== around) {
      let stays = 0;
      while (stays < open.length && stays < wanted.length && open[stays][0] === wanted[stays]) stays++;
      close(stays, times[move]);
      for (const lane of wanted.slice(stays)) open.push([lane, move]);
      around = wanted;
    }
    entered = times[move];
  }
  close(0, entered);
  return joined([...paths.values()].map((lane) => lane.close()).filter((lane) => lane.length));
}

function scopeLane(paths, path) {
  const key = JSON.stringify(path);
  if (!paths.has(key)) paths.set(key, Object.assign(new Lane(path.at(-1), "scope", 64), { depth: path.length }));
  return paths.get(key);
}

/** Scopes that begin and end together have one lane. */
function joined(lanes) {
  const found = [];
  for (const lane of lanes.sort((one, other) => one.depth - other.depth)) {
    const last = found.at(-1);
    const same = last && last.length === lane.length && lane.total > 0.98 * last.total;
    if (same) last.name = `${last.name}, ${lane.name}`;
    else found.push(lane);
  }
  return found;
}

/** A lane for what time was spent on where no handler was called. */
function activityLanes(track, calls) {
  const lanes = Object.fromEntries(Object.entries(SPENT).map(([spent, name]) => [spent, new Lane(name, spent, 1024)]));
  let place = 0;
  for (let move = 0; move + 1 < track.times.length; move++) {
    if (!track.isVisit(move)) continue;
    const lane = lanes[track.kinds[track.numbers[move]].spent];
    let time = track.times[move];
    const left = track.times[move + 1];
    while (place < calls.length && calls.starts[place] < time) place++;
    for (; place < calls.length && calls.starts[place] < left; place++) {
      if (calls.starts[place] > time) lane.push(time, calls.starts[place], move);
      time = calls.ends[place];
    }
    if (left > time) lane.push(time, left, move);
  }
  return Object.values(lanes).map((lane) => lane.close());
}

/** The calls of handlers; those inside others, or at the same time in other threads, have lanes of their own. */
function handlerLanes(track) {
  const lanes = [new Lane("handlers", "handler", 1024)];
  for (let call = 0; call < track.starts.length; call++) {
    const [start, end] = [track.starts[call], track.starts[call] + track.lasting[call]];
    let lane = lanes.find((lane) => !lane.length || lane.ends[lane.length - 1] <= start);
    if (!lane) {
      lane = Object.assign(new Lane(`handlers ${lanes.length + 1}`, "handler", 64), { isFurther: true });
      lanes.push(lane);
    }
    lane.push(start, end, call);
  }
  return lanes.map((lane) => lane.close());
}

/** A value over time; the lowest and the highest of any stretch of it are found in a few steps. */
class Curve {
  constructor(name, times, values) {
    const finite = values.map((value) => (Number.isFinite(value) ? value : NaN));
    Object.assign(this, { name, times, values, levels: [{ low: finite, high: finite }] });
    while (this.levels.at(-1).low.length > 32) this.levels.push(coarser(this.levels.at(-1)));
    const [low, high] = this.within(0, values.length);
    [this.low, this.high] = low <= high ? [low, high] : [0, 0];
  }

  /** The last value until a time; undefined before the first. */
  at(time) {
    return this.values[placeAbove(this.times, time) - 1];
  }

  within(from, to) {
    let [low, high] = [Infinity, -Infinity];
    let level = 0;
    const see = (at) => {
      if (this.levels[level].low[at] < low) low = this.levels[level].low[at];
      if (this.levels[level].high[at] > high) high = this.levels[level].high[at];
    };
    while (from < to) {
      const last = level === this.levels.length - 1;
      while (from < to && (last || from % WIDER)) see(from++);
      while (from < to && to % WIDER) see(--to);
      [from, to] = [from / WIDER, to / WIDER];
      level++;
    }
    return [low, high];
  }
}

const WIDER = 16;

/** The lowest and highest of every so many values; what is no number is left out. */
function coarser({ low, high }) {
  const count = Math.ceil(low.length / WIDER);
  const next = { low: new Float64Array(count).fill(Infinity), high: new Float64Array(count).fill(-Infinity) };
  for (let at = 0; at < low.length; at++) {
    const place = Math.floor(at / WIDER);
    if (low[at] < next.low[place]) next.low[place] = low[at];
    if (high[at] > next.high[place]) next.high[place] = high[at];
  }
  return next;
}
