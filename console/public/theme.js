// Runs before the first paint, so that a dark page never flashes white. src/lib/theme.ts writes the same key.
(function () {
  var choice = null;
  try {
    choice = localStorage.getItem("lisa.theme");
  } catch {
    // Storage is blocked: the system's theme is used.
  }
  var dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
})();
