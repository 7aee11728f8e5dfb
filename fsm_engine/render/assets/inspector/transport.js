/* The shown moment: the present, or an earlier one that the reader holds or plays from. */

const SPEEDS = [0.001, 0.01, 0.1, 0.25, 1, 4, 16, 64, 256];
const PLAYING_TIME = 30; // seconds; a recording is played in about this time at first

class Transport {
  /** `changed` is called when the shown moment has changed, and with true when that began or ended to move by itself. */
  constructor(changed) {
    Object.assign(this, { changed, time: null, begin: 0, end: 0, playing: false, isReplay: false });
    this.speed = byId("speed");
    const text = (speed) => (speed < 1 ? `1/${Math.round(1 / speed)}\u00d7` : `${speed}\u00d7`);
    this.speed.append(...SPEEDS.map((speed) => make("option", { value: speed }, text(speed))));
    this.speed.value = 1;
    const slider = (this.slider = byId("scrubber"));
    slider.addEventListener("input", () => this.hold(this.begin + (Number(slider.value) / 1000) * (this.end - this.begin)));
    byId("play").addEventListener("click", () => this.toggle());
    byId("follow").addEventListener("click", () => this.toggleFollow());
    this.#show();
  }

  /** Set the time of the kept records. */
  range(begin, end) {
    [this.begin, this.end] = [begin, Math.max(end, begin)];
    if (this.time !== null) this.time = Math.min(Math.max(this.time, begin), this.end);
    this.#show();
  }

  /** Start at the beginning of a recording, at a speed that suits its length. */
  replay() {
    this.isReplay = true;
    byId("follow").hidden = true;
    const wanted = (this.end - this.begin) / SECOND / PLAYING_TIME;
    this.speed.value = SPEEDS.find((speed) => speed >= wanted) ?? SPEEDS.at(-1);
    this.hold(this.begin);
  }

  /** Forget the recording of an earlier process. */
  reset(isReplay) {
    this.isReplay = isReplay;
    byId("follow").hidden = isReplay;
    this.follow();
  }

  /** Show a moment, and stay there. */
  hold(time) {
    this.playing = false;
    this.#set(Math.min(Math.max(time, this.begin), this.end));
  }

  /** Show the present. */
  follow() {
    this.playing = false;
    this.#set(null);
  }

  toggleFollow() {
    if (this.isReplay) return;
    if (this.time === null) this.hold(this.end);
    else this.follow();
  }

  toggle() {
    if (this.playing) this.hold(this.time);
    else this.#play();
  }

  #play() {
    const atEnd = this.time === null || this.time >= this.end;
    this.playing = true;
    this.#set(atEnd ? this.begin : this.time);
    let before = performance.now();
    const frame = (now) => {
      if (!this.playing) return;
      const time = this.time + Math.max(now - before, 0) * 1e6 * Number(this.speed.value);
      before = now;
      if (time < this.end) this.#set(time);
      else if (this.isReplay) this.hold(this.end);
      else this.follow();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  #set(time) {
    this.time = time;
    this.#show();
    this.changed();
  }

  #show() {
    const { time, begin, end, playing } = this;
    const part = time === null ? 1 : (time - begin) / (end - begin || 1);
    this.slider.value = part * 1000;
    const text = time === null ? `${momentText(end)}` : `${momentText(time)} of ${momentText(end)}`;
    write(byId("moment"), text);
    this.slider.setAttribute("aria-valuetext", text);
    byId("play").classList.toggle("playing", playing);
    byId("play").setAttribute("aria-label", playing ? "Stop" : "Play from this moment");
    byId("follow").setAttribute("aria-pressed", time === null);
    document.body.classList.toggle("held", time !== null);
  }
}
