// A repo's page: how fresh it is, what came of it, what is in a small file, and what two versions have not in common.
// All of it is asked of this site alone, and left out where it does not answer.
const PREVIEW = 128 * 1024; // bytes of a file
const PRETTY = 64 * 1024; // characters of JSON that are laid out
const DEEPEST = 64; // values within each other: each is indented by all that it is in
const PAGES = 20; // of a listing, 1,000 files each
const LISTED = 200; // files that differ, of each kind

const find = (id) => document.getElementById(id);
const words = (id) => find(id).content.cloneNode(true);
const make = (name, text = "", type = "") => {
  const made = document.createElement(name);
  made.textContent = text;
  if (type) made.className = type;
  return made;
};

const get = async (address, options) => {
  const answer = await fetch(address, options);
  if (!answer.ok) throw new Error(`${answer.status} for ${address}`);
  return answer;
};

// How fresh it is: the page itself never says when somebody looked, the mirror's does -----------------------------

const tellFresh = async () => {
  const place = find("fresh");
  if (!place) return;
  const answer = await get(find("fresh-more").href);
  const mirror = new DOMParser().parseFromString(await answer.text(), "text/html");
  const jobs = new Set(JSON.parse(place.dataset.jobs));
  const times = [...mirror.querySelectorAll("tr[data-job]")]
    .filter((row) => jobs.has(row.dataset.job))
    .map((row) => row.dataset.checked);
  const tell = (name, at) => {
    for (const slot of find(name).querySelectorAll(".at")) { // one for each language
      const time = make("time");
      time.dateTime = at;
      slot.replaceChildren(time);
    }
    find(name).hidden = false;
  };
  if (times.length) tell("checked", times.sort().at(-1));
  const verified = mirror.getElementById("verified");
  if (verified?.dataset.faults === "0") tell("proved", verified.dataset.at);
  document.dispatchEvent(new Event("shown"));
};

// What it was made from, as far as that is here, and what was made from it ---------------------------------------

const page = (id) => `${id.replaceAll("/", "--")}.html`;

const leadTo = (id) => {
  const link = make("a");
  link.href = page(id);
  link.append(make("bdi", id));
  return link;
};

const drawFamily = async () => {
  const family = find("family");
  if (!family) return;
  const known = await (await get("../relations.json")).json();
  const here = new Map(known.here.map((id) => [id.toLowerCase(), id]));
  for (const base of family.querySelectorAll("li[data-base]")) {
    const id = here.get(base.dataset.base.toLowerCase());
    if (id) base.replaceChildren(leadTo(id));
  }
  const id = family.dataset.id.toLowerCase();
  const made = Object.hasOwn(known.made, id) ? known.made[id] : [];
  const list = family.querySelector(".self ul");
  for (const [id, relation] of made.slice(0, LISTED)) {
    const item = make("li");
    const said = make("span", "", "aside");
    said.append(words(find(`made-${relation}`) ? `made-${relation}` : "made-from"));
    item.append(leadTo(id), " ", said);
    list.append(item);
  }
  list.hidden = made.length === 0;
  if (made.length) family.hidden = false;
};

// The beginning of a file ----------------------------------------------------------------------------------------

const dialog = find("preview");

// No more is read than is shown, whatever a server makes of the range.
const beginning = async (address) => {
  const answer = await get(address, { headers: { Range: `bytes=0-${PREVIEW - 1}` } });
  const reader = answer.body.getReader();
  const pieces = [];
  let size = 0;
  while (size < PREVIEW) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    size += value.length;
  }
  reader.cancel();
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer()).subarray(0, PREVIEW);
  return new TextDecoder().decode(bytes);
};

const isDeep = (text) => {
  let depth = 0;
  for (const one of text) {
    if (one === "[" || one === "{") depth += 1;
    if (one === "]" || one === "}") depth -= 1;
    if (depth > DEEPEST) return true;
  }
  return false;
};

const laidOut = (name, text) => {
  if (!name.endsWith(".json") || text.length > PRETTY || isDeep(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // not JSON, or not all of it
  }
};

const look = async (button) => {
  const link = button.parentElement.querySelector("a");
  const [said, shown] = [find("preview-said"), dialog.querySelector("pre")];
  find("preview-name").textContent = link.textContent;
  said.replaceChildren();
  shown.textContent = "";
  dialog.showModal();
  try {
    const text = await beginning(link.href);
    shown.textContent = laidOut(link.textContent, text);
    if (Number(button.dataset.size) > PREVIEW) said.append(words("text-cut"));
  } catch {
    said.append(words("text-broken"));
  }
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.look");
  if (button) look(button);
});
find("preview-close")?.addEventListener("click", () => dialog.close());

// Two versions ---------------------------------------------------------------------------------------------------

const compare = find("compare");

const listing = async (commit) => {
  const files = new Map();
  let next = `${compare.dataset.tree}${encodeURIComponent(commit)}?recursive=true`;
  for (let count = 0; next && count < PAGES; count += 1) {
    const answer = await get(next);
    for (const one of await answer.json()) if (one.type === "file") files.set(one.path, `${one.oid} ${one.size}`);
    const following = answer.headers.get("link")?.match(/<([^>]*)>;\s*rel="next"/)?.[1];
    next = following ? new URL(following, answer.url).pathname + new URL(following, answer.url).search : "";
  }
  return { files, whole: !next };
};

const differences = (before, after) => {
  const found = { added: [], removed: [], changed: [] };
  for (const [path, what] of after) {
    if (!before.has(path)) found.added.push(path);
    else if (before.get(path) !== what) found.changed.push(path);
  }
  for (const path of before.keys()) if (!after.has(path)) found.removed.push(path);
  return found;
};

const showDifferences = (place, found, whole) => {
  place.replaceChildren();
  for (const [kind, paths] of Object.entries(found)) {
    if (!paths.length) continue;
    const head = words(`compare-${kind}`);
    head.querySelector("span.aside").textContent = paths.length.toLocaleString("en");
    const list = make("ul");
    for (const path of paths.slice(0, LISTED)) list.append(make("li", path));
    if (paths.length > LISTED) list.append(make("li", "…"));
    place.append(head, list);
  }
  if (!place.childElementCount) place.append(words("compare-same"));
  if (!whole) place.append(words("compare-cut"));
};

find("compare-do")?.addEventListener("click", async () => {
  const place = find("compared");
  place.replaceChildren(words("compare-reading"));
  try {
    const [before, after] = await Promise.all(["before", "after"].map((name) => listing(find(`compare-${name}`).value)));
    showDifferences(place, differences(before.files, after.files), before.whole && after.whole);
  } catch {
    place.replaceChildren(words("compare-broken"));
  }
});

const quietly = (work) => work().catch(() => {}); // what the page says by itself stands
quietly(tellFresh);
quietly(drawFamily);
