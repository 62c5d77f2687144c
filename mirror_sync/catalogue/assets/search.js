// Searches the whole list: its pages are read once, when a reader first reaches for the search; their rows are kept
// in memory, and few of them at a time stand in the page. What is asked for stands in the address, after the `#`,
// where no server sees it.
const SHOWN = 100; // rows at a time
const COLUMNS = ["name", "state", "bytes", "kind", "licences", "task", "files", "published", "parameters", "downloads"];
const GREATEST_FIRST = new Set(["bytes", "files", "published", "parameters", "downloads"]);
const GB = 1e9;
const SIZES = { s: [0, GB], m: [GB, 10 * GB], l: [10 * GB, 100 * GB], xl: [100 * GB, Infinity] };

const find = (id) => document.getElementById(id);
const query = find("query");
const table = find("repos");
const sorts = find("by-sort");
const filters = [...document.querySelectorAll("select[data-filter]")];
const pages = [...document.querySelectorAll("#pages a")];

let rows = [];
let loaded = null; // a promise, once reading has begun
let order = { column: "name", descending: false };
let limit = SHOWN;

// Rows -----------------------------------------------------------------------------------------------------------

// A row as it is compared. Addresses in a page of the list begin one folder further down.
const read = (tr) => {
  const [name, , , , licences, task, , published] = tr.cells;
  const link = name.querySelector("a");
  link.setAttribute("href", link.getAttribute("href").replace(/^\.\.\//, ""));
  return {
    tr,
    name: link.textContent.toLowerCase(),
    said: `${link.textContent} ${tr.dataset.words ?? ""}`.toLowerCase(),
    kind: tr.dataset.kind,
    licences: [...licences.children].map((one) => one.textContent),
    task: task.textContent,
    bytes: Number(tr.dataset.bytes),
    files: Number(tr.dataset.files),
    parameters: Number(tr.dataset.parameters ?? 0),
    downloads: Number(tr.dataset.downloads ?? 0),
    state: tr.dataset.state,
    published: published.querySelector("time")?.dateTime ?? "",
  };
};

const readPage = async (address) => {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status} for ${address}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return [...page.querySelectorAll("#repos tbody tr")].map(read);
};

const load = () => {
  loaded ??= (async () => {
    find("loading").hidden = false;
    const answers = await Promise.allSettled(pages.map((link) => readPage(link.href)));
    rows = answers.flatMap((answer) => answer.value ?? []);
    if (answers.some((answer) => answer.status === "rejected")) {
      find("broken").replaceChildren(find("broken-text").content.cloneNode(true));
    }
    find("loading").hidden = true;
  })();
  return loaded;
};

// What is asked for ----------------------------------------------------------------------------------------------

const asked = () => ({
  words: query.value.toLowerCase().split(/\s+/).filter(Boolean),
  ...Object.fromEntries(filters.map((select) => [select.dataset.filter, select.value])),
});

const fits = (row, want) => {
  const [least, most] = SIZES[want.size] ?? [0, Infinity];
  return (
    want.words.every((word) => row.said.includes(word)) &&
    (!want.kind || row.kind === want.kind) &&
    (!want.state || row.state === want.state) &&
    (!want.task || row.task === want.task) &&
    (!want.licence || row.licences.includes(want.licence)) &&
    (!want.size || (row.files > 0 && row.bytes >= least && row.bytes < most))
  );
};

const compare = (one, other) => {
  const key = (row) => (order.column === "licences" ? row.licences.join(" ") : row[order.column]);
  const [left, right] = [key(one), key(other)];
  const lacks = (value) => value === "" || value === 0; // what is not here has no size and no age: it comes last
  if (lacks(left) !== lacks(right)) return lacks(left) ? 1 : -1;
  const turn = order.descending ? -1 : 1;
  return left < right ? -turn : left > right ? turn : one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
};

const remember = () => {
  const state = new URLSearchParams();
  if (query.value.trim()) state.set("q", query.value.trim());
  for (const select of filters) if (select.value) state.set(select.dataset.filter, select.value);
  if (order.column !== "name" || order.descending) state.set("sort", (order.descending ? "-" : "") + order.column);
  const words = state.toString();
  history.replaceState(null, "", words ? `#${words}` : location.pathname + location.search);
  return words !== "";
};

const recall = () => {
  const searched = new URLSearchParams(location.search).get("q"); // from the page for what is not here
  if (searched !== null) history.replaceState(null, "", `${location.pathname}#${new URLSearchParams({ q: searched })}`);
  const state = new URLSearchParams(location.hash.slice(1));
  query.value = state.get("q") ?? "";
  for (const select of filters) {
    select.value = state.get(select.dataset.filter) ?? "";
    if (select.selectedIndex < 0) select.value = "";
  }
  const sort = state.get("sort") ?? "name";
  const column = sort.replace(/^-/, "");
  order = { column: COLUMNS.includes(column) ? column : "name", descending: sort.startsWith("-") };
  return ["q", "sort", ...filters.map((select) => select.dataset.filter)].some((name) => state.has(name));
};

// What is shown --------------------------------------------------------------------------------------------------

const tell = (found, all) => {
  for (const [name, number] of [["found", found], ["all", all]]) {
    for (const slot of document.querySelectorAll(`[data-slot="${name}"]`)) slot.textContent = number.toLocaleString("en");
  }
};

const mark = () => {
  const said = (order.descending ? "-" : "") + order.column;
  sorts.value = said;
  if (sorts.selectedIndex < 0) sorts.value = "name";
  for (const head of table.querySelectorAll("th[data-sort]")) {
    if (head.dataset.sort !== order.column) head.removeAttribute("aria-sort");
    else head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
  }
};

const show = () => {
  const want = asked();
  const found = rows.filter((row) => fits(row, want)).sort(compare);
  table.tBodies[0].replaceChildren(...found.slice(0, limit).map((row) => row.tr));
  find("more").hidden = found.length <= limit;
  table.parentElement.hidden = found.length === 0;
  find("nothing").hidden = found.length > 0;
  const unfound = find("unfound"); // how to ask for it, where the mirror says so
  if (unfound) {
    unfound.hidden = found.length > 0;
    for (const wish of unfound.querySelectorAll("input.wish")) wish.value = query.value.trim();
  }
  tell(found.length, rows.length);
  mark();
  document.dispatchEvent(new Event("shown"));
};

const narrowed = (isNarrowed) => {
  document.body.classList.toggle("narrowed", isNarrowed);
  find("reset").hidden = !isNarrowed;
};

let due = false; // many keys in one frame are one answer
const ask = async () => {
  narrowed(remember());
  limit = SHOWN;
  await load();
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    show();
  });
};

// What a reader does ---------------------------------------------------------------------------------------------

for (const head of table.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const column = head.dataset.sort;
    const again = order.column === column;
    order = { column, descending: again ? !order.descending : GREATEST_FIRST.has(column) };
    ask();
  });
}

const clear = () => {
  query.value = "";
  for (const select of filters) select.value = "";
  order = { column: "name", descending: false };
  query.focus();
  ask();
};

sorts.addEventListener("change", () => {
  order = { column: sorts.value.replace(/^-/, ""), descending: sorts.value.startsWith("-") };
  ask();
});
query.addEventListener("input", ask);
for (const select of filters) select.addEventListener("change", ask);
for (const wish of ["focusin", "pointerover"]) find("find").addEventListener(wish, load, { once: true });
for (const button of document.querySelectorAll("button.reset")) button.addEventListener("click", clear);
find("more").addEventListener("click", async () => {
  await load();
  limit += SHOWN;
  const last = table.tBodies[0].lastElementChild;
  show();
  last.nextElementSibling?.querySelector("a").focus(); // where reading goes on
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea");
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing) {
    event.preventDefault();
    query.focus();
  } else if (event.key === "Escape" && event.target === query) {
    clear();
  }
});
addEventListener("hashchange", () => {
  if (location.hash === "#content") {
    remember(); // somebody skipped to the content: the address tells again what is asked for
  } else {
    recall();
    ask();
  }
});

const total = pages.reduce((sum, link) => sum + Number(link.dataset.rows), 0);
if (total > table.tBodies[0].rows.length) find("more").hidden = false;
tell(total, total);
mark();
if (recall()) ask();
