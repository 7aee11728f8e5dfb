/* A box to type into, and below it a list of what is found. */

/** What both searches share; they have `search`, which calls `show`, `key` and `choose`. */
class Listbox {
  constructor(input, list, most) {
    Object.assign(this, { input, list, most, found: [], at: 0 });
    input.addEventListener("input", () => this.search());
    input.addEventListener("focus", () => this.open(this.isWorthOpening));
    input.addEventListener("blur", () => this.open(false));
    input.addEventListener("keydown", (event) => {
      if (!this.key(event)) return;
      event.preventDefault();
      event.stopPropagation();
    });
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.choose(Number(row.dataset.number));
    });
  }

  get isWorthOpening() {
    return this.found.length > 0;
  }

  /** Show what was found, as rows that `option` makes, or `nothing`; an empty list if nothing was wanted. */
  show(found, option, wanted, nothing) {
    [this.found, this.at] = [found, 0];
    const shown = found.slice(0, this.most).map(option);
    const rest = found.length - shown.length;
    if (rest > 0) shown.push(make("li", { class: "none" }, `and ${rest} more`));
    if (wanted && !shown.length) shown.push(make("li", { class: "none" }, nothing));
    this.list.replaceChildren(...shown);
    this.open(shown.length > 0);
    this.light();
    say(wanted ? `${found.length} found` : "");
  }

  clear() {
    this.input.value = "";
    this.search();
    this.input.blur();
  }

  turn(by) {
    const shown = Math.min(this.found.length, this.most);
    this.at = (this.at + by + shown) % shown;
  }

  light() {
    for (const row of this.list.querySelectorAll("[role=option]")) {
      const here = Number(row.dataset.number) === this.at;
      row.setAttribute("aria-selected", here);
      if (!here) continue;
      row.scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", row.id);
    }
    if (!this.found.length) this.input.removeAttribute("aria-activedescendant");
  }

  open(open) {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", open);
  }
}
