/* A simulated run. Which exits there are comes from the graph; guards are the reader's to answer. */

const NOTHING_KEPT = Object.freeze({ left: null, failed: null, taken: Object.freeze({}) });

/**
 * Moves from the first phase on, and which are legal next.
 *
 * What is kept along the way is what the engine keeps: the phase that an interrupt left, the one that an error left,
 * and how often each error edge was taken in this run.
 */
class Walk {
  constructor(phases) {
    this.phases = new Map(phases.map((phase) => [phase.id, phase]));
    this.first = phases[0].id;
    this.moves = [];
  }

  get last() {
    return this.moves.at(-1);
  }

  get at() {
    return this.phases.get(this.last?.target ?? this.first);
  }

  get kept() {
    return this.last?.kept ?? NOTHING_KEPT;
  }

  /** The exits of the phase it is in, those that come by themselves first: the exit, its target, why not if refused. */
  get choices() {
    const choices = this.at.exits.map((exit) => this.#choice(exit));
    return [...choices.filter((choice) => choice.usual), ...choices.filter((choice) => !choice.usual)];
  }

  take({ exit, target }) {
    this.moves.push({ source: this.at.id, exit, target, kept: this.#keptAfter(exit, target) });
  }

  /** Go on as long as one usual exit is all there is; stop where the run ends, and where it would go in a circle. */
  takeToNextChoice() {
    const seen = new Set();
    while (!seen.has(this.at.id)) {
      seen.add(this.at.id);
      const usual = this.choices.filter((choice) => choice.usual && !choice.refused);
      if (usual.length !== 1) return;
      this.take(usual[0]);
      if (this.at.id === this.first) return;
    }
  }

  /** The moves as numbers of exits, for a link. */
  get numbers() {
    return this.moves.map((move) => this.phases.get(move.source).exits.indexOf(move.exit)).join(".");
  }

  /** Walk as far as these numbers of exits are legal. */
  follow(numbers) {
    this.moves = [];
    for (const number of numbers ? numbers.split(".") : []) {
      const exit = this.at.exits[Number(number)];
      const choice = exit && this.#choice(exit);
      if (!choice || choice.refused) return;
      this.take(choice);
    }
  }

  get text() {
    const name = (id) => this.phases.get(id).name;
    return this.moves.map((move) => `${name(move.source)} --${move.exit.label}--> ${name(move.target)}\n`).join("");
  }

  get data() {
    return this.moves.map(({ source, exit, target }) => ({ source, label: exit.label, target }));
  }

  #choice(exit) {
    const usual = exit.kind === "automatic" || exit.kind === "fired" || exit.signal === "run";
    const target = exit.target || this.#past(exit.history);
    let refused = "";
    if (!target) refused = `nothing was left in ${lastOf(exit.history)}`;
    else if (exit.limit !== null && (this.kept.taken[limitKey(exit)] ?? 0) >= exit.limit) refused = "taken often enough";
    return { exit, target, usual, refused };
  }

  /** The phase that history leads back to: where an error or interrupt left, else the one last left in that scope. */
  #past(scope) {
    const { left, failed } = this.kept;
    const kept = left === null || this.at.recovers ? failed : left;
    if (kept !== null) return this.#lies(kept, scope) ? kept : null;
    return this.moves.findLast((move) => this.#lies(move.source, scope))?.source ?? null;
  }

  #lies(id, scope) {
    return this.phases.get(id).scopes.includes(scope);
  }

  #keptAfter(exit, target) {
    if (target === this.first) return NOTHING_KEPT;
    const kept = { ...this.kept };
    if (exit.history) {
      if (target === kept.failed && (kept.left === null || this.at.recovers)) kept.failed = null;
      else kept.left = null;
    } else if (exit.kind === "error") {
      kept.failed = this.#begun();
      kept.taken = { ...kept.taken, [limitKey(exit)]: (kept.taken[limitKey(exit)] ?? 0) + 1 };
    } else if (exit.signal === "interrupt" && this.phases.get(target).terminal) {
      kept.left ??= this.at.id;
    }
    return kept;
  }

  /** The phase whose activity fired the one it is in; that one itself, if it was not fired. */
  #begun() {
    const whole = this.moves.findLast((move) => !this.phases.get(move.source).fired);
    return this.at.fired ? whole.source : this.at.id;
  }
}

const limitKey = (exit) => JSON.stringify([exit.via || exit.edge[0], exit.label]);
