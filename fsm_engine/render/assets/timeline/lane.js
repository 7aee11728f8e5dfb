/* A lane: consecutive items. A search by time takes a logarithmic number of steps. */

/** The first index from `from` on with a number above `wanted`, or with `equal` at least `wanted`; `numbers` is sorted. */
function indexAbove(numbers, wanted, { from = 0, equal = false } = {}) {
  let [low, step] = [from, 1];
  while (low + step <= numbers.length && !(numbers[low + step - 1] > wanted || (equal && numbers[low + step - 1] === wanted))) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step, numbers.length);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] > wanted || (equal && numbers[middle] === wanted)) high = middle;
    else low = middle + 1;
  }
  return low;
}

class Lane {
  /** `refs` has the index of each item: of the move that began it, or of the handler call. */
  constructor(name, role, capacity) {
    Object.assign(this, { name, role, length: 0, depth: 0, isFurther: false });
    this.starts = new Float64Array(capacity);
    this.ends = new Float64Array(capacity);
    this.refs = new Int32Array(capacity);
  }

  push(start, end, ref) {
    if (this.length === this.starts.length) this.#grow();
    this.starts[this.length] = start;
    this.ends[this.length] = end;
    this.refs[this.length++] = ref;
  }

  #grow() {
    for (const name of ["starts", "ends", "refs"]) {
      const larger = new this[name].constructor(Math.max(this.length * 2, 64));
      larger.set(this[name]);
      this[name] = larger;
    }
  }

  /** Finish the lane: trim its arrays, and sum up the durations. */
  close() {
    for (const name of ["starts", "ends", "refs"]) this[name] = this[name].slice(0, this.length);
    this.busy = new Float64Array(this.length + 1);
    for (let at = 0; at < this.length; at++) this.busy[at + 1] = this.busy[at] + this.ends[at] - this.starts[at];
    return this;
  }

  /** The index of the first item that ends after a time. */
  from(time) {
    return indexAbove(this.ends, time);
  }

  /** The index of the first item from `from` on that begins at a time or later. */
  firstAt(time, from) {
    return indexAbove(this.starts, time, { from, equal: true });
  }

  /** The time of all items before a time. */
  busyUntil(time) {
    const at = this.from(time);
    return this.busy[at] + (at < this.length ? Math.max(time - this.starts[at], 0) : 0);
  }

  get total() {
    return this.busy[this.length];
  }
}
