/* The simulated run in the panel: the current phase, its legal exits, and the path so far. */

class Simulation {
  constructor(place, walk, lifecycle, changed) {
    this.walk = walk;
    this.lifecycle = lifecycle;
    this.changed = changed;
    this.name = make("h2", { class: "name" });
    this.place = make("p", { class: "scopes" });
    this.buttons = {
      next: button("Run to next choice", "n"),
      undo: button("Undo", "\u232b"),
      reset: button("Reset", "r"),
    };
    this.usual = make("div", { class: "choices", role: "group", "aria-label": "Exits" });
    this.signals = make("div", { class: "choices", role: "group", "aria-label": "Signals and errors" });
    this.unusual = section("Signals and errors", this.signals);
    this.path = make("ol", { class: "path", tabindex: 0, "aria-label": "Path so far" });
    this.count = make("h3", {});
    this.exports = ["Copy", "JSON", "Text"].map((what) => make("button", { type: "button" }, what));
    place.append(
      make("p", { class: "hint" }, "You decide the guards. Only legal exits can be taken."),
      this.place, this.name,
      make("div", { class: "controls" }, Object.values(this.buttons)),
      section("Exits", this.usual), this.unusual,
      make("section", {}, make("div", { class: "titled" }, this.count, make("div", { class: "exports" }, this.exports)), this.path));
    this.#listen();
    this.show();
  }

  /** Take the exit with this number, counted from 1; do nothing if it is not legal. */
  choose(number) {
    const choice = this.walk.choices[number - 1];
    if (!choice || choice.refused) return;
    this.#change(() => this.walk.take(choice));
  }

  next() {
    this.#change(() => this.walk.takeToNextChoice());
  }

  undo() {
    this.#change(() => this.walk.moves.pop());
  }

  reset() {
    this.#change(() => this.walk.moves.splice(0));
  }

  show() {
    const { walk } = this;
    this.name.textContent = walk.at.name;
    this.place.textContent = walk.at.scopes.map(lastOf).join(" \u203a ") || (walk.last ? "the run is over" : "before the run");
    const shown = walk.choices.map((choice, number) => [choice, this.#choice(choice, number + 1)]);
    this.usual.replaceChildren(...shown.filter(([choice]) => choice.usual).map(([, element]) => element));
    this.signals.replaceChildren(...shown.filter(([choice]) => !choice.usual).map(([, element]) => element));
    this.usual.parentElement.hidden = !this.usual.childElementCount;
    this.unusual.hidden = !this.signals.childElementCount;
    for (const part of [this.buttons.undo, this.buttons.reset, ...this.exports]) part.disabled = !walk.last;
    this.#showPath();
  }

  #change(act) {
    const focused = document.activeElement?.dataset.choice;
    act();
    this.show();
    this.changed();
    if (focused) (this.usual.querySelector("button:enabled") ?? this.buttons.next).focus({ preventScroll: true });
    const legal = this.walk.choices.filter((choice) => !choice.refused);
    announce(`${this.walk.at.name}: ${legal.map(({ target }) => this.walk.phases.get(target).name).join(", ")}`);
  }

  #choice({ exit, target, refused }, number) {
    const where = target ? this.walk.phases.get(target).name : historyText(exit);
    const notes = [conditions(exit), exit.history && target ? make("small", {}, historyText(exit)) : null,
      refused ? make("small", {}, refused) : null];
    return make("button", { type: "button", class: exit.kind, "data-choice": number, disabled: Boolean(refused) },
      number < 10 ? make("kbd", { "aria-hidden": "true" }, `${number}`) : make("span"),
      make("span", { class: "where" }, where), make("code", { class: "label" }, exit.label),
      make("span", { class: "notes" }, notes.filter(Boolean)));
  }

  /** Add new moves to the list, and remove the moves that were undone. */
  #showPath() {
    const { moves } = this.walk;
    const rows = this.path.children;
    let unchanged = 0;
    while (unchanged < rows.length && rows[unchanged].move === moves[unchanged]) unchanged += 1;
    while (rows.length > unchanged) this.path.lastChild.remove();
    for (const move of moves.slice(unchanged)) this.path.append(this.#row(move));
    this.path.hidden = !moves.length;
    requestAnimationFrame(() => this.path.scrollTo(0, this.path.scrollHeight));
    this.count.textContent = moves.length ? `Path so far, ${plural(moves.length, "move")}` : "Path so far";
  }

  #row(move) {
    const href = `#${new URLSearchParams({ phase: move.target })}`;
    const row = make("li", { class: move.exit.kind }, make("code", { class: "label" }, move.exit.label),
      make("a", { class: "go", href, "data-go": move.target }, this.walk.phases.get(move.target).name));
    row.move = move;
    return row;
  }

  #listen() {
    for (const group of [this.usual, this.signals]) {
      group.addEventListener("click", (event) => {
        const chosen = event.target.closest("[data-choice]");
        if (chosen) this.choose(Number(chosen.dataset.choice));
      });
    }
    for (const [what, element] of Object.entries(this.buttons)) element.addEventListener("click", () => this[what]());
    const [copied, json, text] = this.exports;
    copied.addEventListener("click", () => copy(this.walk.text));
    json.addEventListener("click", () => download("walk.json", "application/json", this.#json()));
    text.addEventListener("click", () => download("walk.txt", "text/plain", this.walk.text));
  }

  #json() {
    return `${JSON.stringify({ lifecycle: this.lifecycle, walk: this.walk.data }, null, 2)}\n`;
  }
}

function button(text, key) {
  return make("button", { type: "button" }, text, make("kbd", { "aria-hidden": "true" }, key));
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser does not allow copying. Save the path as text instead.");
  }
}

function download(name, type, text) {
  const href = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
