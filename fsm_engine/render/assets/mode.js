/* Light and dark colours: the system's colour scheme, until the reader uses the button. */

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const MODE = "fsm_engine mode";

function isDark() {
  const { mode } = document.documentElement.dataset;
  return mode === "auto" ? systemDark.matches : mode === "dark";
}

function showMode() {
  const other = isDark() ? "light" : "dark";
  byId("mode").setAttribute("aria-label", `Change to ${other} colours`);
  byId("mode").title = `Change to ${other} colours (d)`;
}

function toggleMode() {
  const mode = isDark() ? "light" : "dark";
  setMode((mode === "dark") === systemDark.matches ? "auto" : mode);
}

function setMode(mode) {
  document.documentElement.dataset.mode = mode;
  showMode();
  try {
    localStorage.setItem(MODE, mode);
  } catch {
    /* Some browsers have no storage for local files. The mode is not kept then. */
  }
}

function storedMode() {
  try {
    return localStorage.getItem(MODE);
  } catch {
    return null;
  }
}

if (document.documentElement.dataset.mode === "auto" && ["light", "dark"].includes(storedMode())) {
  document.documentElement.dataset.mode = storedMode();
}
systemDark.addEventListener("change", showMode);
showMode();
byId("mode").addEventListener("click", toggleMode);
