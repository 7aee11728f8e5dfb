/* Elements. What users named goes in as text, never as HTML. */

/** Return a new element; children are elements, or strings, which become text. */
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
const said = byId("said");

/** Tell those who listen to the page instead of looking at it. */
function say(text) {
  said.textContent = text;
}

const lastOf = (id) => id.slice(id.lastIndexOf(".") + 1);
const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
