/* A lane: items that follow each other. It is asked by time, and answers in a few steps however many there are. */

/** The first place from `from` on whose number is larger than `wanted`, or not smaller if `equal`; `numbers` grow. */
function placeAbove(numbers, wanted, { from = 0, equal = false } = {}) {
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
  /** `refs` tells what each item is: the number of the move that began it, or of a call of a handler. */
  constructor(name, role, room) {
    Object.assign(this, { name, role, length: 0, depth: 0, isFurther: false });
    this.starts = new Float64Array(room);
    this.ends = new Float64Array(room);
    this.refs = new Int32Array(room);
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

  /** Let nothing be added any more, and sum up how long the items took. */
  close() {
    for (const name of ["starts", "ends", "refs"]) this[name] = this[name].slice(0, this.length);
    this.busy = new Float64Array(this.length + 1);
    for (let at = 0; at < this.length; at++) this.busy[at + 1] = this.busy[at] + this.ends[at] - this.starts[at];
    return this;
  }

  /** The place of the first item that ends after a time. */
  from(time) {
    return placeAbove(this.ends, time);
  }

  /** The place of the first item, from one on, that begins at a time or after it. */
  behind(time, from) {
    return placeAbove(this.starts, time, { from, equal: true });
  }

  /** How long items took until a time. */
  busyUntil(time) {
    const at = this.from(time);
    return this.busy[at] + (at < this.length ? Math.max(time - this.starts[at], 0) : 0);
  }

  get total() {
    return this.busy[this.length];
  }
}
