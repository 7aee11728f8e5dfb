/* Light and dark: as the reader's system has it, until the button is used. */

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

function otherMode() {
  const mode = isDark() ? "light" : "dark";
  setMode((mode === "dark") === systemDark.matches ? "auto" : mode);
}

function setMode(mode) {
  document.documentElement.dataset.mode = mode;
  showMode();
  try {
    localStorage.setItem(MODE, mode);
  } catch {
    /* Not kept then: some browsers store nothing for files. */
  }
}

function keptMode() {
  try {
    return localStorage.getItem(MODE);
  } catch {
    return null;
  }
}

if (document.documentElement.dataset.mode === "auto" && ["light", "dark"].includes(keptMode())) {
  document.documentElement.dataset.mode = keptMode();
}
systemDark.addEventListener("change", showMode);
showMode();
byId("mode").addEventListener("click", otherMode);
