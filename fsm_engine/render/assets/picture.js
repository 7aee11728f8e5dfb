/* Maps phases and exits to the nodes and edges of the picture, and highlights them. */

class Picture {
  constructor(svg, phases) {
    this.svg = svg;
    this.marked = new Map();
    const outer = (selector) => [...svg.querySelectorAll(selector)].filter((part) => !part.closest(".inner"));
    const nodes = new Map(outer("g.node").map((node) => [node.dataset.node, node]));
    const edges = new Map(outer("g.edge").map((edge) => [edgeKey(...drawnEdge(edge)), edge]));
    this.nodes = new Map(phases.map((phase) => [phase.id, phase.nodes.map((id) => nodes.get(normalized(id))).filter(Boolean)]));
    this.edges = new Map(phases.flatMap((phase) => phase.exits.map((exit) => [exit, edges.get(edgeKey(...exit.edge))])));
    this.ends = new Map();
    this.near = new Map(phases.map((phase) => [phase.id, new Set(this.nodes.get(phase.id))]));
    for (const phase of phases) {
      for (const exit of phase.exits) this.#join(phase, exit, nodes);
      this.#makeReachable(phase);
    }
  }

  /** The id of the phase that a part of the picture belongs to. */
  phaseOf(part) {
    let node = part.closest("g.node");
    for (let outer = node; outer; outer = outer.parentElement.closest("g.node")) node = outer;
    return this.ends.get(node);
  }

  /** Highlight one exit, or a phase with its edges and neighbours; nothing for an unknown id. */
  highlight(id, exit = null) {
    const parts = exit ? this.#partsOf(exit) : this.near.get(id);
    this.mark("near", parts ?? []);
    this.svg.classList.toggle("looking", Boolean(parts));
  }

  select(id) {
    for (const node of this.marked.get("selected") ?? []) node.removeAttribute("aria-current");
    this.mark("selected", this.nodes.get(id) ?? []);
    for (const node of this.marked.get("selected")) node.setAttribute("aria-current", "true");
  }

  find(ids) {
    this.svg.classList.toggle("searching", ids !== null);
    this.mark("found", [...(ids ?? [])].flatMap((id) => this.nodes.get(id)));
  }

  /** Highlight a simulated walk, or none unless `running`. */
  showWalk(walk, running) {
    const moves = running ? walk.moves : [];
    const ends = moves.flatMap((move) => [this.nodes.get(move.source)[0], this.nodes.get(move.target).at(-1)]);
    this.mark("been", ends.filter(Boolean));
    this.mark("taken", new Set(moves.map((move) => this.edges.get(move.exit)).filter(Boolean)));
    this.mark("newest", running && walk.last ? [this.edges.get(walk.last.exit)].filter(Boolean) : []);
    this.mark("here", running ? this.positionOf(walk) : []);
  }

  /** The node of the current phase of a walk. After a move to the first phase, that is the final point. */
  positionOf(walk) {
    const nodes = this.nodes.get(walk.at.id);
    return walk.last ? nodes.slice(-1) : nodes.slice(0, 1);
  }

  #partsOf(exit) {
    const target = exit.target ? this.nodes.get(exit.target) : [];
    return [this.edges.get(exit), ...target].filter(Boolean);
  }

  #join(phase, exit, nodes) {
    const edge = this.edges.get(exit);
    if (edge) this.near.get(phase.id).add(edge);
    const target = exit.history ? [nodes.get(normalized(exit.edge[1]))].filter(Boolean) : this.nodes.get(exit.target);
    for (const node of target) this.near.get(phase.id).add(node);
    if (!exit.target) return;
    if (edge) this.near.get(exit.target).add(edge);
    if (!exit.via) for (const node of this.nodes.get(phase.id)) this.near.get(exit.target).add(node);
  }

  #makeReachable(phase) {
    const scope = phase.scopes.length ? `, in ${lastOf(phase.scopes.at(-1))}` : "";
    this.nodes.get(phase.id).forEach((node, number) => {
      this.ends.set(node, phase.id);
      node.setAttribute("role", "button");
      node.setAttribute("tabindex", number ? -1 : 0);
      node.setAttribute("aria-label", phase.name + scope);
    });
  }

  /** Give a class to these parts, and remove it from all others. */
  mark(name, parts) {
    const [before, wanted] = [this.marked.get(name) ?? new Set(), new Set(parts)];
    for (const part of before) if (!wanted.has(part)) part.classList.remove(name);
    for (const part of wanted) if (!before.has(part)) part.classList.add(name);
    this.marked.set(name, wanted);
  }
}

const drawnEdge = (edge) => [edge.dataset.source, edge.dataset.target, edge.querySelector("title")?.textContent ?? ""];
const edgeKey = (...parts) => JSON.stringify(parts.map(normalized));

/** Normalize a text as the HTML parser does. */
function normalized(text) {
  return text.replace(/\r\n?/g, "\n").replaceAll("\0", "\ufffd");
}
