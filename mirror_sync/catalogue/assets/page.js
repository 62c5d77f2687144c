// What every page does: language and colours are kept, times become the reader's own, commands can be copied.
const root = document.documentElement;

const keep = (name, value) => {
  try {
    localStorage.setItem(name, value);
  } catch {
    // storage is forbidden: the choice holds for this page
  }
};

// Language and colours -------------------------------------------------------------------------------------------

const choose = (name, apply) => {
  for (const radio of document.querySelectorAll(`input[name="${name}"]`)) {
    radio.checked = radio.value === root.dataset[name];
    radio.addEventListener("change", () => {
      root.dataset[name] = radio.value;
      keep(name, radio.value);
      apply();
    });
  }
};

const speak = () => {
  root.lang = root.dataset.language;
  for (const option of document.querySelectorAll("option[data-en]")) {
    option.textContent = option.dataset[root.lang];
  }
  tellTimes();
};

// Times ----------------------------------------------------------------------------------------------------------

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const RECENT = 30 * 86400; // seconds; what is further away is told by its date

const due = document.querySelector("#text-due"); // on the page that tells of runs to come

const tellTimes = () => {
  const now = Date.now();
  const distance = new Intl.RelativeTimeFormat(root.lang, { numeric: "auto" });
  const day = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium" });
  const moment = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "long" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const seconds = (at - now) / 1000;
    const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
    time.textContent = Math.abs(seconds) < RECENT ? distance.format(Math.round(seconds / length), unit) : day.format(at);
    if ("ahead" in time.dataset && seconds <= 0) time.replaceChildren(due.content.cloneNode(true));
    time.title = `${moment.format(at)} · ${time.dateTime}`;
  }
};

// Wishes ---------------------------------------------------------------------------------------------------------

// At an address where nothing is, the repo that it names is what is wanted: on the page for what is not here alone.
const wish = document.querySelector("#wish-missing");
const named = location.pathname.match(/\/(?:(datasets|spaces|kernels)\/)?([\w.-]+\/[\w.-]+?)(?:\/(?:resolve|tree|blob|raw)\/.*)?$/);
if (wish && named && !location.pathname.includes("/-/")) {
  wish.value = (named[1] ? `${named[1].replace(/s$/, "")}:` : "") + named[2];
}

// Commands -------------------------------------------------------------------------------------------------------

const here = new URL(root.dataset.root, location.href).href.replace(/\/$/, "");
for (const place of document.querySelectorAll(".endpoint")) place.textContent = here;

// Without TLS a browser has no clipboard for scripts, but it copies what is selected.
const copySelected = (source) => {
  getSelection().selectAllChildren(source);
  return document.execCommand("copy");
};

const copy = async (source) => {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    return copySelected(source);
  }
};

const said = document.querySelector("#said");
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copies]");
  if (!button) return;
  const key = (await copy(document.getElementById(button.dataset.copies))) ? "copied" : "not-copied";
  said.replaceChildren(document.querySelector(`#text-${key}`).content.cloneNode(true));
  button.dataset.done = key;
  setTimeout(() => delete button.dataset.done, 2000);
});

choose("language", speak);
choose("theme", () => {});
speak();
document.addEventListener("shown", tellTimes);
