/* Helpers for elements and texts. Names from users become text nodes, never HTML. */

/** Create an element. Strings among the children become text nodes; null and empty children are left out. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== ""));
  return element;
}

const byId = (id) => document.getElementById(id);
const status = byId("status");

/** Announce a text to screen readers. */
function announce(text) {
  status.textContent = text;
}

/** Show a text for a moment, and announce it. */
function toast(text) {
  announce(text);
  status.classList.add("toast");
  clearTimeout(toast.end);
  toast.end = setTimeout(() => status.classList.remove("toast"), 2200);
}

/** The part of an id after the last dot. */
const lastOf = (id) => id.slice(id.lastIndexOf(".") + 1);
/** A number with its noun. */
const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
