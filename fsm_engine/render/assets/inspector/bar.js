/* The bar at the top: status, progress, and the commands. */

/** The statuses in which the reader may ask for a pause. Before the run, it pauses at its first move. */
const PAUSABLE = ["idle", "running"];
const statusText = (status) => (status === "idle" ? "not started" : status);

class Bar {
  /** `run` sends a command of the reader. */
  constructor(run) {
    this.run = run;
    this.pausing = false;
    byId("pause").addEventListener("click", () => this.toggle());
    byId("save").addEventListener("click", () => this.run("save"));
    byId("steps").addEventListener("click", (event) => {
      const by = event.target.closest("button")?.dataset.by;
      if (by) this.run("step", { by });
    });
    const menu = byId("ending");
    menu.addEventListener("toggle", () => placeMenu(menu, byId("end")));
    menu.addEventListener("click", (event) => {
      const command = event.target.closest("button")?.dataset.command;
      if (!command) return;
      menu.hidePopover();
      this.run(command);
    });
  }

  /** Offer steps by a phase and by the scopes of a lifecycle, the innermost first. */
  offerSteps(phases) {
    const depths = new Map(phases.flatMap(({ scopes }) => scopes.map((scope, depth) => [lastOf(scope), depth])));
    const inner = [...depths].filter(([name]) => !["engine", "run"].includes(name)).sort((one, other) => other[1] - one[1]);
    this.steps = ["phase", ...inner.map(([name]) => name)];
    const keys = { phase: "s", iteration: "i", epoch: "e" };
    const title = (by) => `Continue to the next ${by}${keys[by] ? ` (${keys[by]})` : ""}`;
    byId("steps").replaceChildren(...this.steps.map((by) =>
      make("button", { type: "button", "data-by": by, "aria-label": `Step by one ${by}`, title: title(by) }, by)));
  }

  async toggle() {
    if (byId("pause").disabled) return;
    if (this.status === "paused") {
      await this.run("continue");
      return;
    }
    this.pausing = true;
    this.#showPause();
    const { ok } = await this.run("pause");
    if (!ok) this.pausing = false;
    this.#showPause();
  }

  step(by) {
    if (this.steps?.includes(by) && this.status === "paused" && !this.locked) this.run("step", { by });
  }

  /** Show a moment. `mode` has what is shown instead of the status of the run, or null. */
  show(records, moment, { shown, phase, locked, connected }) {
    this.status = records.status;
    this.locked = locked || !connected;
    this.records = records;
    if (!PAUSABLE.includes(this.status)) this.pausing = false;
    const word = shown ?? statusText(records.status);
    byId("pill").className = `pill ${shown ? "held-pill" : records.status}`;
    write(byId("state"), word);
    write(byId("here"), phase && (shown || records.isRunning || records.status === "suspended") ? phase : "");
    this.#showProgress(records, moment);
    this.#showPause();
    const paused = this.status === "paused" && !this.locked;
    for (const button of byId("steps").children) button.disabled = !paused;
    byId("save").disabled = this.locked || !records.isRunning || records.canSave !== true;
    if (records.canSave !== true) byId("save").title = String(records.canSave);
    byId("end").disabled = this.locked || !records.isRunning;
  }

  #showPause() {
    const button = byId("pause");
    const { records, status } = this;
    write(button, status === "paused" ? "Continue" : this.pausing ? "Pausing\u2026" : "Pause");
    button.classList.toggle("continues", status === "paused");
    const has = status === "paused" || PAUSABLE.includes(status);
    button.disabled = this.locked || this.pausing || !has || records?.canPause !== true;
    if (records && records.canPause !== true) button.title = String(records.canPause);
  }

  #showProgress({ state, progress, status, ownCounts }, { epoch, iteration, atEnd }) {
    const total = progress.total ?? null;
    const part = total ? Math.min((iteration ?? 0) / total, 1) : null;
    const own = atEnd && iteration === null ? ownCounts.map(([name, count]) => ofTotal(name, count)) : [];
    byId("progress").hidden = !iteration && !epoch && !own.length;
    byId("meter").hidden = part === null;
    if (part !== null) {
      byId("done").style.width = `${(part * 100).toFixed(2)}%`;
      byId("meter").setAttribute("aria-valuenow", Math.round(part * 100));
    }
    const left = atEnd && status === "running" && progress.remaining ? `${duration(estimate(progress.remaining))} left` : "";
    const parts = [ofTotal("epoch", epoch, state.max_epochs), ofTotal("iteration", iteration, total), ...own, left];
    write(byId("progress-text"), parts.filter(Boolean).join(" \u00b7 "));
  }
}

/** A time in nanoseconds, rounded to whole seconds. */
const roundTime = (seconds) => Math.max(Math.round(seconds), 1) * SECOND;

/** An estimate in nanoseconds, rounded to minutes if it has some. */
const estimate = (seconds) => roundTime(seconds < 120 ? seconds : Math.round(seconds / 60) * 60);

/** Place a menu below its button. */
function placeMenu(menu, button) {
  const { bottom, right } = button.getBoundingClientRect();
  menu.style.top = `${bottom + 6}px`;
  menu.style.right = `${Math.max(innerWidth - right, 8)}px`;
}
