/* A paused run: the attributes of its state, its batch, and the norms of its layers. */

const MOST_ROWS = 200;

/** The sections about a paused run: the state, and beside it the batch and the layers. */
function lookSections({ state, batch, layers, note }) {
  const beside = [
    batch.length ? section("Batch", dataTable(["part", "shape", "dtype", "range"], batch.map(batchRow))) : null,
    layers ? section("Layers", layerTable(layers)) : null,
    note ? make("p", { class: "hint" }, note) : null,
  ].filter(Boolean);
  return [
    state.length ? section("State", dataTable(["attribute", "value"],
      state.map(({ name, type, value }) => [make("span", { title: type }, name), code(value)]))) : null,
    beside.length ? make("div", {}, beside) : null,
  ].filter(Boolean);
}

function batchRow({ path, type, shape, dtype, device, low, high, nan, value }) {
  const range = low === undefined || low === null ? (value === undefined ? "" : code(value)) : [
    `${short4(low)} \u2026 ${short4(high)}`,
    nan ? [" ", make("span", { class: "chip bad" }, `${NUMBER.format(nan)} NaN`)] : "",
  ];
  const kind = dtype ? `${dtype}, ${device}` : type;
  return [make("span", { title: type }, code(path || "batch")), shape ? code(shapeText(shape)) : "", kind, range];
}

/** The layers, with bars for norms on a common logarithmic scale. */
function layerTable(layers) {
  const scale = barScale(layers.flatMap(({ norm, gradient }) => [norm, gradient]));
  const rows = layers.map(({ name, shape, norm, gradient, dtype, device, trains }) => [
    make("span", { title: `${dtype}, ${device}` }, code(name)),
    code(shapeText(shape)),
    barCell(norm, scale, "norm"),
    trains === false ? make("small", {}, "frozen") : gradient === null ? make("small", {}, "none") : barCell(gradient, scale, "gradient"),
  ]);
  return dataTable(["parameter", "shape", "norm", "gradient norm"], rows);
}

function barScale(numbers) {
  const logs = numbers.filter((number) => Number.isFinite(number) && number > 0).map(Math.log10);
  const [low, high] = [Math.min(...logs, 0), Math.max(...logs, 0)];
  return (number) => (Number.isFinite(number) && number > 0 ? 0.04 + (0.96 * (Math.log10(number) - low)) / (high - low || 1) : 0);
}

function barCell(number, scale, kind) {
  const bar = make("i", { class: `bar-of ${kind}`, "aria-hidden": "true" });
  bar.style.width = `${Math.round(scale(number) * 100)}%`;
  const odd = typeof number === "string" ? "chip bad" : "figure";
  return make("span", { class: "measured" }, make("span", { class: odd }, short4(number)), make("span", { class: "bar-frame" }, bar));
}

/** A table; at most `MOST_ROWS` rows are shown. */
function dataTable(heads, rows) {
  const more = rows.length - MOST_ROWS;
  return make("div", { class: "scroller", tabindex: 0, role: "group", "aria-label": heads.join(", ") }, make("table", { class: "data" },
    make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, rows.slice(0, MOST_ROWS).map((cells) => make("tr", {}, cells.map((cell) => make("td", {}, cell)))))),
  more > 0 ? make("p", { class: "hint" }, `and ${NUMBER.format(more)} more`) : null);
}

const code = (text) => make("code", {}, String(text));
const shapeText = (shape) => (shape.length ? shape.join("\u00d7") : "scalar");
/** A number with four digits; other values, such as "inf", as they are. */
const short4 = (number) => (typeof number === "number" ? String(Number(number.toPrecision(4))) : String(number ?? ""));
