/* The tab "Phase": the selected phase or exit, its counts, and the form for breakpoints. */

class PhaseTab extends Panel {
  /** `selected` returns the number of the selected exit, or null. */
  constructor(place, records, { form, selectedExit, chooseExit }) {
    super(make("div"), records.phases, records.heading, "");
    Object.assign(this, { records, form, selectedExit, chooseExit });
    this.counts = make("p", { class: "counts" });
    this.formPlace = make("div");
    place.replaceChildren(byId("selected"), this.formPlace, this.place);
    this.place.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-stop]");
      if (chosen) this.chooseExit(Number(chosen.dataset.stop));
    });
  }

  get lead() {
    return "Select a phase or an exit, here or in the picture, to see its details and to pause there.";
  }

  /** Show a phase with its form; an overview for "". */
  open(id, reason) {
    this.show(id);
    const phase = this.phases.get(id);
    this.formPlace.replaceChildren(...(phase ? [this.form.element] : []));
    if (!phase) return;
    this.place.querySelector("h2").after(this.counts);
    const number = this.selectedExit();
    const exit = phase.exits[number];
    this.form.show(placeOf(phase, exit, (target) => this.phases.get(target)?.name ?? target), reason(phase, exit));
    this.place.querySelector(`[data-exit="${number}"]`)?.classList.add("chosen");
  }

  /** Show how often the selected phase was visited, and how long its visits took. */
  count(id, visits, times) {
    const spent = times.get(id);
    const number = visits.get(id) ?? 0;
    const mean = spent ? `, ${duration(spent.total / spent.count)} on average` : "";
    write(this.counts, number ? `${plural(NUMBER.format(number), "visit")}${mean}` : "not visited yet");
  }

  exitControl(exit, number) {
    if (!exit.target) return null;
    const name = this.phases.get(exit.target).name;
    const texts = { "aria-label": `Pause on the exit to ${name}`, title: "Pause on this exit" };
    return make("button", { type: "button", class: "round small spot-button", "data-stop": number, ...texts });
  }
}
