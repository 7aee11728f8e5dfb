/* Times as text. All times are nanoseconds. */

const [SECOND, MINUTE, HOUR, DAY] = [1e9, 60e9, 3600e9, 86400e9];
const UNITS = [[SECOND, "s"], [1e6, "ms"], [1e3, "\u00b5s"], [1, "ns"]];
const STEPS = [
  ...Array.from({ length: 30 }, (_, number) => [1, 2, 5][number % 3] * 10 ** Math.floor(number / 3)),
  ...[10, 20, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 5, 10].map((count) => count * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((count) => count * DAY),
];
const NUMBER = new Intl.NumberFormat("en");

/** A duration with three digits and its unit, such as "1.25 ms" or "2 h 5 min". */
function duration(time) {
  if (time >= HOUR) return `${NUMBER.format(Math.floor(time / HOUR))} h ${Math.floor((time % HOUR) / MINUTE)} min`;
  if (time >= MINUTE) return `${Math.floor(time / MINUTE)} min ${Math.floor((time % MINUTE) / SECOND)} s`;
  const [size, unit] = UNITS.find(([size]) => time >= 0.9995 * size) ?? UNITS.at(-1);
  return `${Number((time / size).toPrecision(3))} ${unit}`;
}

/** A time since the start, with enough digits for ticks that are `step` apart. */
function moment(time, step) {
  if (time < 0) return `\u2212${moment(-time, step)}`;
  const digits = Math.min(Math.max(Math.ceil(9 - Math.log10(step) - 1e-9), 0), 9);
  const seconds = time / SECOND;
  if (seconds < 60) return seconds === 0 ? "0" : short(time, step);
  const rest = (seconds % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

/** A time under a minute, in the largest unit in which it is at least one. */
function short(time, step) {
  const [size, unit] = UNITS.find(([size]) => time >= size) ?? UNITS.at(-1);
  return `${(time / size).toFixed(Math.max(Math.ceil(Math.log10(size / step) - 1e-9), 0))} ${unit}`;
}

/** The distance between ticks: the smallest step that is at least `least`. */
const stepFor = (least) => STEPS.find((step) => step >= least) ?? STEPS.at(-1);
