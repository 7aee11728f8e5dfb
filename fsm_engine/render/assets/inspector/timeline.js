/* The timeline at the bottom. It follows the run at its right end, or stays where the reader has moved it. */

const [SHOWN_TIME, SHOWN_MOVES] = [10 * SECOND, 24]; // shown at first: of a run that goes on, and of a paused one

class Timeline {
  constructor(transport, { highlight, picked }) {
    this.transport = transport;
    this.canvas = byId("lanes");
    this.chart = this.canvas.chart = new Chart(this.canvas, byId("probe"), [], [], { overview: 0 });
    this.chart.changed = () => this.#changed();
    this.pointing = new Pointing(this.chart, byId("tip"), byId("selected"), { highlight, picked });
    [this.wide, this.paused, this.isFree] = [null, null, false];
    new ResizeObserver(() => this.chart.touch()).observe(this.canvas);
    const read = () => this.chart.readColours();
    new MutationObserver(read).observe(document.documentElement, { attributeFilter: ["data-mode"] });
    systemDark.addEventListener("change", read);
  }

  /** Show these tracks. `paused` is the time around the last moves of a paused run; null if it is not paused. */
  update(tracks, paused) {
    const isFirst = !this.chart.tracks.length;
    if (paused?.start !== this.paused?.start) this.isFree = false;
    this.paused = paused;
    byId("no-moves").hidden = tracks.length > 0;
    this.canvas.hidden = !tracks.length;
    this.chart.update(tracks);
    if (this.transport.isReplay && isFirst) this.chart.fit(false);
    else if (this.transport.time === null) this.place();
    this.pointing.hide();
  }

  /** Bring the shown moment into view. */
  place() {
    const { chart, transport } = this;
    chart.playhead = transport.time;
    if (!chart.tracks.length) return;
    if (transport.time === null) {
      const wide = this.wide ?? Math.min(SHOWN_TIME, chart.last - chart.first);
      if (!this.paused) this.#show(chart.last - wide, chart.last);
      else if (!this.isFree) this.#show(this.paused.start, this.paused.end);
    } else if (transport.time < chart.start || transport.time > chart.end) {
      const wide = chart.end - chart.start;
      this.#show(transport.time - wide * 0.3, transport.time + wide * 0.7);
    } else chart.touch();
  }

  #show(start, end) {
    this.moves = true;
    this.chart.show(start, end);
    this.moves = false;
    this.shownWide = this.chart.end - this.chart.start;
  }

  /** The reader has moved the chart. In a run that goes on, a zoom goes on following, and a pan holds the moment. */
  #changed() {
    this.pointing.hide();
    if (this.moves || this.transport.time !== null) return;
    const wide = this.chart.end - this.chart.start;
    if (this.paused) this.isFree = true;
    else if (Math.abs(wide - this.shownWide) > 1e-6 * wide) {
      this.wide = wide;
      this.#show(this.chart.last - wide, this.chart.last);
    } else if (this.chart.end < this.chart.last) this.transport.hold(this.chart.end);
  }
}

/** The time around the last moves of a paused engine; null unless it is paused. */
function lastMoves(records) {
  if (records?.status !== "paused" || records.moves.length < 2) return null;
  const times = records.moves.column(0);
  const begin = times[Math.max(times.length - SHOWN_MOVES, 0)];
  const wide = Math.max(times.at(-1) - begin, SHORTEST);
  return { start: begin - 0.02 * wide, end: times.at(-1) + 0.2 * wide };
}
