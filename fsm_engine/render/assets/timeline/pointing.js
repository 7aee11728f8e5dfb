/* Pointing at items of the chart, and selecting them. */

class Pointing {
  /**
   * `box` shows the selected item, `tip` the item at the pointer. `highlight` is called with an item, or a moment, that
   * the reader points at or has selected; `picked` with a selected item, or null; `mark` with a range that the
   * reader drags.
   */
  constructor(chart, tip, box, { curves = [], wall = null, highlight = () => {}, picked = () => {}, mark = null }) {
    Object.assign(this, { chart, tip, box, curves, wall, highlight, picked });
    this.gestures = new Gestures(chart, {
      hover: (at) => this.hover(at),
      select: (at) => this.#selectAt(at),
      open: (at) => this.#zoomAt(at),
      mark,
    });
  }

  hover(at) {
    const { chart, tip } = this;
    const found = at && chart.at(at.x, at.y);
    chart.cursor = found ? found.time : null;
    chart.hovered = found?.lane ? found : null;
    chart.touch();
    tip.hidden = !found;
    if (found) {
      tip.replaceChildren(make("strong", {}, titleOf(found)), this.#details(found));
      this.#placeTip(at);
    }
    this.highlight(found ?? chart.selected);
  }

  /** Hide the tooltip, because its item has moved. */
  hide() {
    if (!this.tip.hidden) this.hover(null);
  }

  select(found) {
    this.chart.selected = found;
    this.chart.touch();
    this.box.hidden = !found;
    this.picked(found);
    if (!found) return;
    this.box.replaceChildren(make("h2", { class: "name" }, titleOf(found)), this.#details({ ...found, count: 1 }));
    this.highlight(found);
    announce(`${titleOf(found)}: ${duration(found.lane.ends[found.place] - found.lane.starts[found.place])}`);
  }

  /** Select an item and bring it into view. */
  go(track, { lane, place }) {
    const [start, end] = [lane.starts[place], lane.ends[place]];
    this.chart.reveal(start, end);
    this.select({ track, lane, place, time: start, count: 1 });
  }

  /** Select the next or previous item of the lane. */
  step(by) {
    const { selected } = this.chart;
    if (!selected) return;
    const place = selected.place + by;
    if (place >= 0 && place < selected.lane.length) this.go(selected.track, { lane: selected.lane, place });
  }

  zoomToSelected() {
    if (this.chart.selected) this.#zoomTo(this.chart.selected);
  }

  #selectAt(at) {
    const found = this.chart.at(at.x, at.y);
    this.select(found?.lane ? found : null);
  }

  #zoomAt(at) {
    const found = this.chart.at(at.x, at.y);
    if (found?.lane) this.#zoomTo(found);
  }

  #zoomTo({ lane, place }) {
    const [start, end] = [lane.starts[place], lane.ends[place]];
    this.chart.show(start - (end - start) * 0.06, end + (end - start) * 0.06, true);
  }

  #details(found) {
    return definitionList(detailsOf(found, this.curves, this.wall));
  }

  /** Place the tooltip beside the pointer, inside the page. */
  #placeTip({ x, y }) {
    const { tip } = this;
    const { clientWidth, clientHeight } = this.chart.canvas;
    const [width, height] = [tip.offsetWidth, tip.offsetHeight];
    const left = x + 18 + width > clientWidth ? x - width - 14 : x + 18;
    tip.style.left = `${Math.max(left, 4)}px`;
    tip.style.top = `${Math.max(Math.min(y + 18, clientHeight - height - 6), 4)}px`;
  }
}
