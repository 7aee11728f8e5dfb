/* The tab "Handlers": calls, time and errors of each handler. */

const MOST_HANDLERS = 200;

class HandlersTab {
  constructor(place) {
    this.hint = make("p", { class: "lead" });
    this.rows = make("tbody");
    const heads = ["handler", "on", "calls", "total", "mean", "errors"];
    this.table = make("table", { class: "data handlers-table" },
      make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))), this.rows);
    place.append(this.hint, make("div", { class: "scroller", tabindex: 0, role: "group", "aria-label": "Handlers" }, this.table));
  }

  /** Show the handlers, the slowest first. `calls` has the number of calls, the time and the errors of each. */
  show(handlers, calls) {
    const all = handlers.map((handler, number) => ({ handler, calls: calls[number] })).filter(({ handler }) => !isPause(handler));
    all.sort((one, other) => other.calls[1] - one.calls[1]);
    const most = Math.max(...all.map(({ calls }) => calls[1]), 1);
    const shown = all.slice(0, MOST_HANDLERS);
    while (this.rows.childElementCount > shown.length) this.rows.lastChild.remove();
    while (this.rows.childElementCount < shown.length) this.rows.append(newRow());
    shown.forEach(({ handler, calls }, number) => fillRow(this.rows.children[number], handler, calls, most));
    this.table.hidden = !shown.length;
    const more = all.length - shown.length;
    const ofAll = more ? `The ${MOST_HANDLERS} slowest of ${NUMBER.format(all.length)} handlers.` : "";
    write(this.hint, shown.length ? ofAll : "No handler has been called yet.");
    this.hint.hidden = !this.hint.textContent;
  }
}

function newRow() {
  const bar = make("i", { class: "bar-of", "aria-hidden": "true" });
  const first = make("td", {}, make("code", { class: "handler" }), make("small"), bar);
  return make("tr", {}, first, Array.from({ length: 5 }, () => make("td")));
}

/** Set a text that may be broken after its dots, underscores and slashes. */
function writeBreakable(element, text) {
  if (element.textContent === text) return;
  const parts = text.split(/(?<=[._/(])/);
  element.replaceChildren(...parts.flatMap((part) => [part, make("wbr")]));
}

function fillRow(row, { name, event, place }, [count, total, errors], most) {
  const [first, on, calls, time, mean, failed] = row.children;
  write(first.children[0], name);
  writeBreakable(first.children[1], place);
  first.children[2].style.width = `${((total / most) * 100).toFixed(1)}%`;
  writeBreakable(on, event);
  write(calls, NUMBER.format(count));
  write(time, count ? duration(total) : "\u2013");
  write(mean, count ? duration(total / count) : "\u2013");
  write(failed, errors ? NUMBER.format(errors) : "");
  failed.className = errors ? "bad" : "";
}
