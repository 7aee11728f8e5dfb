/* The values of a curve. Neighbours are joined when there are too many, so a curve of any length is bounded. */

const MOST_POINTS = 2000;

class Series {
  constructor(name) {
    Object.assign(this, { name, points: [], size: 1, last: undefined, lastAt: -Infinity, rises: true });
  }

  /** Add a value. NaN and infinities are counted, not drawn. */
  push(iteration, value, time) {
    if (iteration < this.lastAt) this.rises = false; // another run began: the points are numbered then
    [this.last, this.lastAt] = [value, iteration];
    const finite = Number.isFinite(value);
    const open = this.points.at(-1);
    const number = (open?.number ?? 0) + 1;
    if (open && open.count < this.size) join(open, { iteration, time, number, count: 1, ...summaryOf(value, finite) });
    else this.points.push({ iteration, time, number, count: 1, ...summaryOf(value, finite) });
    if (this.points.length > MOST_POINTS) this.#halve();
  }

  /** Whether points are placed by their iterations, not by their numbers: not if several runs had the same ones. */
  get hasIterations() {
    const { points, rises } = this;
    return rises && (points.length < 2 || points[0].iteration < points.at(-1).iteration);
  }

  /** The points up to a time, with the smoothed value of each. `smoothing` is from 0 (none) to 1. */
  until(time, smoothing) {
    const shown = [];
    const { hasIterations } = this;
    let [sum, weight] = [0, 0];
    for (const point of this.points) {
      if (point.time > time) break;
      if (point.finite) {
        const keep = smoothing ** point.count;
        sum = keep * sum + (1 - keep) * (point.sum / point.finite);
        weight = keep * weight + (1 - keep);
      }
      const x = hasIterations ? point.iteration : point.number;
      const mean = point.finite ? point.sum / point.finite : NaN;
      shown.push({ ...point, x, mean, smooth: weight ? sum / weight : NaN });
    }
    return shown;
  }

  #halve() {
    const joined = [];
    for (let at = 0; at < this.points.length; at += 2) {
      const [one, other] = [this.points[at], this.points[at + 1]];
      if (other) join(one, other);
      joined.push(one);
    }
    this.points = joined;
    this.size *= 2;
  }
}

const summaryOf = (value, finite) => ({
  sum: finite ? value : 0, finite: finite ? 1 : 0, low: finite ? value : Infinity, high: finite ? value : -Infinity,
});

/** Add a later point to a point. */
function join(one, other) {
  Object.assign(one, {
    iteration: other.iteration, time: other.time, number: other.number, count: one.count + other.count, sum: one.sum + other.sum,
    finite: one.finite + other.finite, low: Math.min(one.low, other.low), high: Math.max(one.high, other.high),
  });
}
