/* A search field with a list of results below it. */

/**
 * Base class of the searches of both pages.
 *
 * Subclasses have `search()`, which calls `show`; `key(event)`, which returns true if it handled a key; and
 * `choose(number)`, which goes to a result.
 */
class Listbox {
  constructor(input, list, most) {
    Object.assign(this, { input, list, most, found: [], active: 0 });
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

  /** Show results as rows made by `option`, or the text `none` without any; hide the list if `searched` is false. */
  show(found, option, searched, none) {
    [this.found, this.active] = [found, 0];
    const shown = found.slice(0, this.most).map(option);
    const rest = found.length - shown.length;
    if (rest > 0) shown.push(make("li", { class: "none" }, `and ${rest} more`));
    if (searched && !shown.length) shown.push(make("li", { class: "none" }, none));
    this.list.replaceChildren(...shown);
    this.open(shown.length > 0);
    this.highlight();
    announce(searched ? plural(found.length, "result") : "");
  }

  clear() {
    this.input.value = "";
    this.search();
    this.input.blur();
  }

  move(by) {
    const shown = Math.min(this.found.length, this.most);
    this.active = (this.active + by + shown) % shown;
  }

  highlight() {
    for (const row of this.list.querySelectorAll("[role=option]")) {
      const active = Number(row.dataset.number) === this.active;
      row.setAttribute("aria-selected", active);
      if (!active) continue;
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

/** A text with the first occurrence of a word marked. */
function marked(text, word) {
  const start = text.toLowerCase().indexOf(word);
  if (start < 0) return [text];
  const end = start + word.length;
  return [text.slice(0, start), make("mark", {}, text.slice(start, end)), text.slice(end)];
}
