// Light or dark: what was chosen by hand is remembered here, in this browser; else the system decides.
// Loaded in the head and not deferred, so that no page flashes in the wrong colours.
const root = document.documentElement;
root.classList.add("has-script");

function remembered() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // a browser that keeps nothing
  }
}

function show(theme) {
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  else delete root.dataset.theme;
}

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

show(remembered());

document.addEventListener("click", (event) => {
  if (!event.target.closest(".theme-toggle")) return;
  const theme = isDark() ? "light" : "dark";
  show(theme);
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // it lasts until the page is left
  }
  document.dispatchEvent(new CustomEvent("themechange"));
});

addEventListener("storage", (event) => {
  if (event.key === "theme") show(event.newValue);
});
