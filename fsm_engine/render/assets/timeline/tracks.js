/* The tracks of engines: columns become lanes. */

const CATEGORIES = { data: "data", step: "step", phase: "other phases" };

class Track {
  constructor(data, columns) {
    Object.assign(this, data);
    [this.times, this.numbers, this.epochs, this.iterations] = Array.from({ length: 4 }, () => columns.next().value);
    [this.starts, this.durations, this.called, this.raised] = Array.from({ length: 4 }, () => columns.next().value);
    this.waits ??= [];
    [this.waitStarts, this.waitDurations, this.causes, this.measured] = Array.from({ length: 4 }, () => (this.waits.length ? columns.next().value : []));
    const calls = handlerLanes(this);
    this.lanes = [...scopeLanes(this), ...activityLanes(this, calls[0]), ...calls, waitLane(this)].filter((lane) => lane.length);
    this.end = Math.max(this.times.at(-1), ...this.lanes.map((lane) => lane.ends.at(-1)));
  }

  /** The index of the move that entered the phase at a time; -1 if the engine was in no phase. */
  moveAt(time) {
    const move = indexAbove(this.times, time) - 1;
    return this.isVisit(move) ? move : -1;
  }

  /** Whether a visit of a phase begins with a move, and ends with the next one. */
  isVisit(move) {
    return move >= 0 && move + 1 < this.times.length && this.kinds[this.numbers[move]].startsVisit &&
      !this.kinds[this.numbers[move + 1]].startsRun;
  }

  phaseOf(move) {
    return this.kinds[this.numbers[move]].target;
  }

  /** The epoch and the iteration after a move. The entry action of its phase counts, so the next move has them. */
  countersOf(move) {
    const next = Math.min(move + 1, this.times.length - 1);
    return { epoch: this.epochs[next], iteration: this.iterations[next] };
  }
}

/** The lanes of scopes, from the move that enters a scope to the move that leaves it. */
function scopeLanes(track) {
  const { kinds, times, numbers } = track;
  const paths = new Map();
  const chains = kinds.map((kind) => kind.scopes.map((_, depth) => scopeLane(paths, kind.scopes.slice(0, depth + 1))));
  let [around, entered] = [[], 0];
  let open = [];
  const close = (kept, time) => {
    while (open.length > kept) {
      const [lane, move] = open.pop();
      lane.push(times[move], time, move);
    }
  };
  for (let move = 0; move < times.length; move++) {
    const kind = kinds[numbers[move]];
    const scopes = kind.isTransition ? chains[numbers[move]] : [];
    if (kind.startsRun) {
      close(0, entered);
      around = [];
    }
    if (scopes !== around) {
      let kept = 0;
      while (kept < open.length && kept < scopes.length && open[kept][0] === scopes[kept]) kept++;
      close(kept, times[move]);
      for (const lane of scopes.slice(kept)) open.push([lane, move]);
      around = scopes;
    }
    entered = times[move];
  }
  close(0, entered);
  return mergeLanes([...paths.values()].map((lane) => lane.close()).filter((lane) => lane.length));
}

function scopeLane(paths, path) {
  const key = JSON.stringify(path);
  if (!paths.has(key)) paths.set(key, Object.assign(new Lane(path.at(-1), "scope", 64), { depth: path.length }));
  return paths.get(key);
}

/** Merge the lanes of scopes that begin and end together. Their items have the counters of the innermost scope. */
function mergeLanes(lanes) {
  const merged = [];
  for (const lane of lanes.sort((one, other) => one.depth - other.depth)) {
    const last = merged.at(-1);
    const same = last && last.length === lane.length && lane.total > 0.98 * last.total;
    if (same) Object.assign(last, { name: `${last.name}, ${lane.name}`, refs: lane.refs });
    else merged.push(lane);
  }
  return merged;
}

/** A lane for each category of activities, without the time of handler calls. */
function activityLanes(track, calls) {
  const lanes = Object.fromEntries(Object.entries(CATEGORIES).map(([role, name]) => [role, new Lane(name, role, 1024)]));
  let call = 0;
  for (let move = 0; move + 1 < track.times.length; move++) {
    if (!track.isVisit(move)) continue;
    const lane = lanes[track.kinds[track.numbers[move]].category];
    let time = track.times[move];
    const left = track.times[move + 1];
    while (call < calls.length && calls.starts[call] < time) call++;
    for (; call < calls.length && calls.starts[call] < left; call++) {
      if (calls.starts[call] > time) lane.push(time, calls.starts[call], move);
      time = calls.ends[call];
    }
    if (left > time) lane.push(time, left, move);
  }
  return Object.values(lanes).map((lane) => lane.close());
}

/** The lanes of handler calls. Calls inside other calls, or at the same time in other threads, get further lanes. */
function handlerLanes(track) {
  const lanes = [new Lane("handlers", "handler", 1024)];
  for (let call = 0; call < track.starts.length; call++) {
    const [start, end] = [track.starts[call], track.starts[call] + track.durations[call]];
    let lane = lanes.find((lane) => !lane.length || lane.ends[lane.length - 1] <= start);
    if (!lane) {
      lane = Object.assign(new Lane(`handlers ${lanes.length + 1}`, "handler", 64), { isFurther: true });
      lanes.push(lane);
    }
    lane.push(start, end, call);
  }
  return lanes.map((lane) => lane.close());
}

/** The lane of waits for other ranks. */
function waitLane(track) {
  const lane = new Lane("waits", "wait", 64);
  track.waitStarts.forEach((start, wait) => lane.push(start, start + track.waitDurations[wait], wait));
  return lane.close();
}

/** The values of a counter over time. The lowest and highest value of any range are found in a few steps. */
class Curve {
  constructor(name, times, values) {
    const finite = values.map((value) => (Number.isFinite(value) ? value : NaN));
    Object.assign(this, { name, times, values, levels: [{ low: finite, high: finite }] });
    while (this.levels.at(-1).low.length > 32) this.levels.push(coarseLevel(this.levels.at(-1)));
    const [low, high] = this.range(0, values.length);
    [this.low, this.high] = low <= high ? [low, high] : [0, 0];
  }

  /** The last value before a time; undefined before the first. */
  at(time) {
    return this.values[indexAbove(this.times, time) - 1];
  }

  /** The lowest and the highest value from one index up to another. */
  range(from, to) {
    let [low, high] = [Infinity, -Infinity];
    let level = 0;
    const add = (at) => {
      if (this.levels[level].low[at] < low) low = this.levels[level].low[at];
      if (this.levels[level].high[at] > high) high = this.levels[level].high[at];
    };
    while (from < to) {
      const last = level === this.levels.length - 1;
      while (from < to && (last || from % GROUP)) add(from++);
      while (from < to && to % GROUP) add(--to);
      [from, to] = [from / GROUP, to / GROUP];
      level++;
    }
    return [low, high];
  }
}

const GROUP = 16;

/** The lowest and highest value of each group of values. NaN is ignored. */
function coarseLevel({ low, high }) {
  const count = Math.ceil(low.length / GROUP);
  const next = { low: new Float64Array(count).fill(Infinity), high: new Float64Array(count).fill(-Infinity) };
  for (let at = 0; at < low.length; at++) {
    const group = Math.floor(at / GROUP);
    if (low[at] < next.low[group]) next.low[group] = low[at];
    if (high[at] > next.high[group]) next.high[group] = high[at];
  }
  return next;
}
