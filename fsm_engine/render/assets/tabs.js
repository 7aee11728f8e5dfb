/* The tabs of the panel. On small screens, the reader folds and unfolds the panel. */

class Tabs {
  /** `changed` is called with the name of a tab when it is shown. */
  constructor(names, changed = () => {}) {
    this.names = names;
    this.changed = changed;
    this.current = names[0];
    for (const name of names) {
      this.button(name).addEventListener("click", () => {
        this.show(name);
        unfold();
      });
    }
    byId("handle").addEventListener("click", () => unfold(document.body.classList.contains("folded")));
  }

  button(name) {
    return byId(`tab-${name}`);
  }

  show(name) {
    this.current = name;
    for (const other of this.names) {
      this.button(other).setAttribute("aria-selected", other === name);
      this.button(other).tabIndex = other === name ? 0 : -1;
      byId(other).hidden = other !== name;
    }
    this.changed(name);
  }

  /** Show the tab that is `by` tabs further, and focus its button. */
  turn(by) {
    const { names } = this;
    this.show(names[(names.indexOf(this.current) + by + names.length) % names.length]);
    this.button(this.current).focus();
  }
}

function unfold(open = true) {
  document.body.classList.toggle("folded", !open);
  byId("handle").setAttribute("aria-expanded", open);
}
