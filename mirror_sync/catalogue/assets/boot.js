// Runs before the first paint, so that a reader never sees the other language or the other colours flash by.
(() => {
  const kept = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage is forbidden: the choice holds for one page
    }
  };
  const root = document.documentElement;
  const language = kept("language") ?? (navigator.language || "en");
  root.lang = root.dataset.language = language.toLowerCase().startsWith("zh") ? "zh" : "en";
  root.dataset.theme = ["light", "dark"].includes(kept("theme")) ? kept("theme") : "auto";
  root.classList.add("scripted");
})();
