/* A simulated run. The graph gives the exits of each phase; the reader decides the guards. */

const EMPTY_MEMORY = Object.freeze({ left: null, failed: null, taken: Object.freeze({}) });

/**
 * The moves of a simulated run, and the legal next moves.
 *
 * Each move has the memory that an engine would have after it: the phase that an interrupt left (`left`), the phase
 * that an error left (`failed`), and how often each error edge was taken in this run (`taken`).
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

  get memory() {
    return this.last?.memory ?? EMPTY_MEMORY;
  }

  /**
   * The exits of the current phase with their targets and, if not legal, the reason. The exit of the main path comes
   * first, then other automatic and fired ones.
   */
  get choices() {
    const order = ({ exit, usual }) => (exit.main ? 0 : usual ? 1 : 2);
    return this.at.exits.map((exit) => this.#choice(exit)).sort((one, other) => order(one) - order(other));
  }

  take({ exit, target }) {
    this.moves.push({ source: this.at.id, exit, target, memory: this.#memoryAfter(exit, target) });
  }

  /** Take exits while exactly one usual exit is legal. Stop at the end of the run, and before a loop repeats. */
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

  /** The moves as numbers of exits, for the address. */
  get numbers() {
    return this.moves.map((move) => this.phases.get(move.source).exits.indexOf(move.exit)).join(".");
  }

  /** Take the exits with these numbers, up to the first that is not legal. */
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
    const target = exit.target || this.#historyTarget(exit.history);
    let refused = "";
    if (!target) refused = `no phase of ${lastOf(exit.history)} was left yet`;
    else if (exit.limit !== null && (this.memory.taken[limitKey(exit)] ?? 0) >= exit.limit) refused = "limit reached";
    return { exit, target, usual, refused };
  }

  /** The target of the history of a scope: the phase that an error or interrupt left, else the last one left in it. */
  #historyTarget(scope) {
    const { left, failed } = this.memory;
    const phase = left === null || this.at.recovers ? failed : left;
    if (phase !== null) return this.#isIn(phase, scope) ? phase : null;
    return this.moves.findLast((move) => this.#isIn(move.source, scope))?.source ?? null;
  }

  #isIn(id, scope) {
    return this.phases.get(id).scopes.includes(scope);
  }

  #memoryAfter(exit, target) {
    if (target === this.first) return EMPTY_MEMORY;
    const memory = { ...this.memory };
    if (exit.history) {
      if (target === memory.failed && (memory.left === null || this.at.recovers)) memory.failed = null;
      else memory.left = null;
    } else if (exit.kind === "error") {
      memory.failed = this.#activityPhase();
      memory.taken = { ...memory.taken, [limitKey(exit)]: (memory.taken[limitKey(exit)] ?? 0) + 1 };
    } else if (exit.signal === "interrupt" && this.phases.get(target).terminal) {
      memory.left ??= this.at.id;
    }
    return memory;
  }

  /** The phase whose activity is running: the current phase, or the phase whose step fired it. */
  #activityPhase() {
    const move = this.moves.findLast(({ source }) => !this.phases.get(source).fired);
    return this.at.fired ? move.source : this.at.id;
  }
}

const limitKey = (exit) => JSON.stringify([exit.via || exit.edge[0], exit.label]);
