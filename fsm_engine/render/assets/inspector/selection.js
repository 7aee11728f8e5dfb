/* The selected phase or exit, and what the reader points at. */

function select(id, exit = null) {
  [shown.selected, shown.exit] = [id, id ? exit : null];
  phaseTab?.open(id, reasonAgainst);
  markSelection();
  paintTab.request();
  if (id && exit === null) view.show(picture.nodes.get(id)[0]);
}

function choose(id, exit = null) {
  if (!picture) return;
  if (id) {
    tabs.show("phase");
    unfold();
  }
  select(id, exit);
}

function markSelection() {
  if (!picture) return;
  const id = tabs.current === "phase" ? shown.selected : "";
  picture.select(id);
  highlight();
}

/** Highlight a phase or an exit, or else the selection. */
function highlight(id = null, exit = null) {
  if (!picture || frame.classList.contains("dragging")) return;
  const selected = tabs.current === "phase" ? shown.selected : "";
  const phase = engines.current.phases.find((one) => one.id === selected);
  if (id === null && exit === null && phase && shown.exit !== null) picture.highlight(selected, phase.exits[shown.exit]);
  else picture.highlight(id ?? selected, exit);
}

function preview(ids, id) {
  picture?.find(ids);
  highlight(id);
  if (id) view.show(picture.nodes.get(id)[0]);
}

/** Highlight the phase of an item of the timeline, if its engine is shown. */
function highlightPhase(found) {
  const isShown = found && found.track.id === engines.shown && timeline.chart.cursor !== null;
  highlight((isShown && phaseAt(found)) || null);
}

/** Hold the page at the moment of a selected item. */
function picked(found) {
  if (!found) return;
  if (engines.show(found.track.id)) showEngine();
  transport.hold(found.lane.starts[found.place]);
}

frame.addEventListener("click", (event) => {
  if (!picture) return;
  const id = picture.phaseOf(event.target);
  const found = id ? null : overlay.exitAt(event.target);
  if (id) choose(id);
  else if (found) choose(found.phase.id, found.number);
});
frame.addEventListener("pointerover", (event) => {
  const id = picture?.phaseOf(event.target);
  const found = id || !overlay ? null : overlay.exitAt(event.target);
  if (found) highlight(found.phase.id, found.phase.exits[found.number]);
  else highlight(id ?? null);
});
frame.addEventListener("pointerleave", () => highlight());
frame.addEventListener("focusin", (event) => {
  const id = picture?.phaseOf(event.target);
  highlight(id ?? null);
  if (id && event.target.matches(":focus-visible")) view.show(picture.nodes.get(id)[0]);
});
frame.addEventListener("focusout", () => highlight());
byId("panel").addEventListener("click", (event) => {
  const link = event.target.closest("[data-go]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(link.dataset.go);
});
for (const kind of ["pointerover", "focusin"]) {
  byId("panel").addEventListener(kind, (event) => {
    const exit = event.target.closest("[data-exit]");
    const phase = engines.current?.phases.find(({ id }) => id === shown.selected);
    if (exit && phase) highlight(shown.selected, phase.exits[exit.dataset.exit]);
    else highlight(event.target.closest("[data-go]")?.dataset.go ?? null);
  });
}
byId("panel").addEventListener("pointerleave", () => highlight());
