/* The page of a lifecycle: selection, keys, and the address, which stores the selected phase and the walk. */

const { title, name, phases, current } = JSON.parse(byId("details").textContent);
const known = new Set(phases.map((phase) => phase.id));
const frame = byId("view");
const picture = new Picture(byId("picture").firstElementChild, phases);
const view = new View(frame, byId("picture"), placed);
const panel = new Panel(byId("phase"), phases, title, current);
const walk = new Walk(phases);
const simulation = new Simulation(byId("walk"), walk, name, walked);
const search = new Search(byId("query"), byId("results"), phases, { preview, go: choose });
const tabs = new Tabs(["phase", "walk"], markPicture);
let [selected, saving] = ["", 0];

/* The address */

function address() {
  const parts = { ...(selected && { phase: selected }), ...(walk.last && { walk: walk.numbers }) };
  return `#${new URLSearchParams(parts)}`;
}

function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const phase = parts.get("phase") ?? "";
  const numbers = parts.get("walk") ?? "";
  if (numbers !== walk.numbers) {
    walk.follow(numbers);
    simulation.show();
    if (walk.last && !phase) tabs.show("walk");
  }
  select(known.has(phase) ? phase : "");
}

/** Write the walk into the address, with a delay, because browsers limit how often a page may do that. */
function saveWalk() {
  clearTimeout(saving);
  saving = setTimeout(() => history.replaceState(null, "", address()), 250);
}

/* Selection */

function select(id) {
  selected = id;
  panel.show(id);
  tabs.show(tabs.current);
  if (!id) return;
  view.show(picture.nodes.get(id)[0]);
  const { name, exits } = panel.phases.get(id);
  announce(`${name}: ${plural(exits.length, "exit")}`);
}

function choose(id) {
  tabs.show("phase");
  unfold();
  clearTimeout(saving);
  if (id !== selected) history.pushState(null, "", `#${new URLSearchParams({ ...(id && { phase: id }),
    ...(walk.last && { walk: walk.numbers }) })}`);
  select(id);
}

function walked() {
  if (tabs.current === "walk") showWalk();
  else tabs.show("walk");
  view.show(picture.positionOf(walk)[0]);
  saveWalk();
}

function showWalk() {
  picture.showWalk(walk, Boolean(walk.last) || tabs.current === "walk");
}

function markPicture(name) {
  picture.select(name === "phase" ? selected : "");
  picture.highlight(name === "phase" ? selected : "");
  showWalk();
}

function preview(ids, id) {
  picture.find(ids);
  picture.highlight(id ?? selected);
  if (id) view.show(picture.nodes.get(id)[0]);
}

/** Show the scale, and whether the frame hides a part of the picture. */
function placed(scale, hidden) {
  byId("fit").textContent = `${Math.round(scale * 100)}%`;
  byId("more").hidden = !hidden.length;
  byId("more").textContent = `More ${hidden.length < 4 ? hidden.join(", ") : "on all sides"}: show all`;
}

/* Pointer and focus */

frame.addEventListener("click", (event) => {
  const id = picture.phaseOf(event.target);
  if (id) choose(id);
});
frame.addEventListener("pointerover", (event) => hover(picture.phaseOf(event.target)));
frame.addEventListener("pointerleave", () => hover());
frame.addEventListener("focusin", (event) => {
  const id = picture.phaseOf(event.target);
  hover(id);
  if (id && event.target.matches(":focus-visible")) view.show(picture.nodes.get(id)[0]);
});
frame.addEventListener("focusout", () => hover());

function hover(id = null, exit = null) {
  if (frame.classList.contains("dragging")) return;
  picture.highlight(id ?? (tabs.current === "phase" ? selected : ""), exit);
}

byId("panel").addEventListener("click", (event) => {
  const link = event.target.closest("[data-go]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(link.dataset.go);
});

for (const kind of ["pointerover", "focusin"]) {
  byId("panel").addEventListener(kind, (event) => {
    const at = event.target;
    const choice = at.closest("[data-choice]");
    const exit = at.closest("[data-exit]");
    if (choice) hover(walk.at.id, walk.choices[choice.dataset.choice - 1]?.exit);
    else if (exit) hover(selected, panel.phases.get(selected)?.exits[exit.dataset.exit]);
    else hover(at.closest("[data-go]")?.dataset.go);
  });
}
byId("panel").addEventListener("pointerleave", () => hover());

/* Keys */

const STEP = 90;
const KEYS = {
  "/": () => byId("query").select(),
  "?": () => byId("keys").showModal(),
  "+": () => view.zoom(1.25, undefined, undefined, true),
  "=": () => view.zoom(1.25, undefined, undefined, true),
  "-": () => view.zoom(0.8, undefined, undefined, true),
  0: () => view.fit(),
  s: () => tabs.show(tabs.current === "walk" ? "phase" : "walk"),
  n: () => simulation.next(),
  r: () => simulation.reset(),
  d: () => toggleMode(),
  Backspace: () => simulation.undo(),
  Escape: () => choose(""),
};
const ARROWS = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (event.target.matches("input")) return;
  if (!handleKey(event)) return;
  event.preventDefault();
});

/** Handle a key, and return true if it has a meaning. */
function handleKey(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const id = event.target.closest(".view g.node") && picture.phaseOf(event.target);
  if (id && (key === "Enter" || key === " ")) choose(id);
  else if (event.target.matches("[role=tab]") && ["ArrowLeft", "ArrowRight"].includes(key)) tabs.turn(1);
  else if (key in ARROWS && !event.target.closest(".panel")) view.pan(...ARROWS[key]);
  else if (key >= "1" && key <= "9" && key.length === 1) simulation.choose(Number(key));
  else if (Object.hasOwn(KEYS, key)) KEYS[key]();
  else return false;
  return true;
}

byId("in").addEventListener("click", KEYS["+"]);
byId("out").addEventListener("click", KEYS["-"]);
byId("fit").addEventListener("click", KEYS[0]);
byId("more").addEventListener("click", KEYS[0]);
byId("help").addEventListener("click", KEYS["?"]);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("panel").focus();
});

/* Start */

const declared = new Set(phases.flatMap((phase) => phase.exits.map((exit) => JSON.stringify(exit.edge))));
byId("count").textContent = `${plural(phases.length, "phase")}, ${plural(declared.size, "transition")}`;
byId("legend").append(...legend(phases));
picture.svg.setAttribute("role", "group");
picture.svg.setAttribute("aria-label", title);
addEventListener("hashchange", readAddress);
readAddress();
document.documentElement.dataset.ready = "";
