/* Work for the next frame, at most once in so many milliseconds. */

class Throttle {
  constructor(least, work) {
    Object.assign(this, { least, work, last: -Infinity, waits: false });
  }

  request() {
    if (this.waits) return;
    this.waits = true;
    setTimeout(() => requestAnimationFrame(() => this.#run()), Math.max(this.last + this.least - performance.now(), 0));
  }

  #run() {
    [this.waits, this.last] = [false, performance.now()];
    this.work();
  }
}
