/* What a run has done, drawn over the picture: the current phase, counts, the shares of the time, and breakpoints. */

const SVG = "http://www.w3.org/2000/svg";
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const HEAT = [0, 0.01, 0.05, 0.2, 0.5]; // least shares of the time for the colours, as in pictures with heat

class Overlay {
  constructor(picture, phases) {
    this.picture = picture;
    this.phases = phases;
    this.exits = new Map(phases.flatMap((phase) => phase.exits.map((exit) => [moveKey(phase.id, exit.label, exit.target), exit])));
    const edges = [...new Set(picture.edges.values())].filter(Boolean);
    this.edgeCounts = new Map(edges.map((edge) => [edge, this.#edgeCount(edge)]));
    this.nodeCounts = new Map(phases.map((phase) => [phase.id, this.#nodeCount(picture.nodes.get(phase.id).at(-1))]));
    for (const edge of edges) this.#widen(edge);
  }

  /** Show a moment. With `trail`, also the moves before it. */
  show(moment, { trail, lit }) {
    const kinds = trail ? moment.trail : moment.trail.slice(-1);
    const edges = kinds.map((kind) => this.edgeOf(kind)).filter(Boolean);
    const nodes = trail ? kinds.flatMap((kind) => this.picture.nodes.get(kind.target)?.slice(-1) ?? []) : [];
    this.picture.mark("been", nodes);
    this.picture.mark("taken", edges);
    this.picture.mark("newest", edges.slice(-1));
    this.picture.mark("here", lit ? this.#nodesAt(moment) : []);
  }

  count(moment, kinds) {
    for (const [phase, label] of this.nodeCounts) this.#write(label, moment.visits.get(phase) ?? 0);
    const counts = new Map();
    kinds.forEach((kind, number) => {
      const edge = this.edgeOf(kind);
      if (edge) counts.set(edge, (counts.get(edge) ?? 0) + (moment.taken[number] ?? 0));
    });
    for (const [edge, label] of this.edgeCounts) this.#write(label, counts.get(edge) ?? 0);
  }

  /** Colour the phases by their share of the time; null for the usual colours. */
  heat(times) {
    const total = times ? [...times.values()].reduce((sum, { total }) => sum + total, 0) : 0;
    HEAT.forEach((least, level) => {
      const hot = this.phases.filter(({ id }) => {
        const share = total && times.has(id) ? times.get(id).total / total : -1;
        return share >= least && !(share >= HEAT[level + 1]);
      });
      this.picture.mark(`heat-${level}`, hot.flatMap(({ id }) => this.picture.nodes.get(id)));
    });
    this.picture.svg.classList.toggle("heated", Boolean(times));
  }

  /** Mark the phases and the edges of breakpoints. */
  stopAt(breakpoints) {
    const nodes = breakpoints.flatMap(({ event }) => this.picture.nodes.get(event) ?? []);
    const edges = breakpoints.flatMap(({ edge }) => (edge ? this.#edgesBetween(...edge) : []));
    this.picture.mark("stop", [...nodes, ...edges]);
  }

  /** The phase and the number of the exit that an edge of the picture belongs to; null for any other part. */
  exitAt(part) {
    const edge = part.closest?.("g.edge");
    if (!edge) return null;
    for (const phase of this.phases) {
      const number = phase.exits.findIndex((exit) => this.picture.edges.get(exit) === edge);
      if (number >= 0) return { phase, number };
    }
    return null;
  }

  edgeOf({ source, label, target }) {
    const exit = this.exits.get(moveKey(source, label, target)) ?? this.exits.get(moveKey(source, label, ""));
    return exit && this.picture.edges.get(exit);
  }

  #edgesBetween(source, target) {
    const exits = this.phases.find(({ id }) => id === source)?.exits.filter((exit) => exit.target === target) ?? [];
    return exits.map((exit) => this.picture.edges.get(exit)).filter(Boolean);
  }

  #nodesAt({ phase, move }) {
    const nodes = this.picture.nodes.get(phase) ?? [];
    return move >= 0 ? nodes.slice(-1) : nodes.slice(0, 1);
  }

  #nodeCount(node) {
    if (!node) return null;
    const box = node.querySelector("rect:not(.halo), circle").getBBox();
    const group = draw("g", { class: "tally", transform: `translate(${box.x + box.width - 6} ${box.y})` });
    group.append(draw("rect", { y: -8, height: 16, rx: 8 }), draw("text", { y: 3.5 }));
    node.append(group);
    return group;
  }

  /** A text for the count of an edge: below its label, or beside its middle. */
  #edgeCount(edge) {
    const label = [...edge.querySelectorAll("text")].at(-1);
    const path = edge.querySelector("path");
    let place;
    if (label) {
      const box = label.getBBox();
      place = { x: box.x + box.width / 2, y: box.y + box.height + 9, "text-anchor": "middle" };
    } else {
      const middle = path.getPointAtLength(path.getTotalLength() / 2);
      place = { x: middle.x + 7, y: middle.y + 3.5 };
    }
    const text = draw("text", { class: "tally", ...place });
    edge.append(text);
    return text;
  }

  /** Let the pointer find a thin edge. */
  #widen(edge) {
    const wide = edge.querySelector("path").cloneNode();
    wide.setAttribute("class", "reach");
    wide.removeAttribute("stroke-dasharray");
    edge.append(wide);
  }

  #write(label, count) {
    if (!label || label.count === count) return;
    label.count = count;
    const text = label.querySelector("text") ?? label;
    text.textContent = count ? (count < 10_000 ? NUMBER.format(count) : COMPACT.format(count)) : "";
    if (text === label) return;
    const width = text.textContent.length * 6.2 + 10;
    label.classList.toggle("none", !count);
    label.firstElementChild.setAttribute("x", -width / 2);
    label.firstElementChild.setAttribute("width", width);
  }
}

const moveKey = (...parts) => JSON.stringify(parts);

function draw(tag, attributes) {
  const part = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
  return part;
}

/** Return the root element of a picture that the server sent as text. */
function parseSvg(text) {
  const { documentElement } = new DOMParser().parseFromString(text, "image/svg+xml");
  if (documentElement.namespaceURI !== SVG) throw new Error("The server sent a picture that is not SVG.");
  return document.importNode(documentElement, true);
}
