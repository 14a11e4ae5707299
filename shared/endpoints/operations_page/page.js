// The page at /operations: what is shown, and how it is kept fresh.

import { PAGE, count, firstUrl, hasKey, health, list, useKey } from "./api.js";
import { ACTS, ask, mayRetry } from "./acts.js";
import { Details } from "./details.js";
import {
  chosen, clearFilters, filterBy, isFiltered, listenToFilters, readAddress, showCounts, writeAddress,
} from "./filters.js";
import { banners, isRefusal, keyNote, loading, noneFits, noneSoFar, noneYet, refusal, refusedActs, trouble } from "./states.js";
import { el, isActive, rowOf, time, timeText } from "./view.js";

const SECONDS = { active: 5, idle: 20, counts: 30, health: 60, longest: 60 };
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
const EMPTY_PAGES = 10;

const $ = (id) => document.getElementById(id);
const keyOf = (row) => row.operationLocation;

// For everybody what an act has done; for those who listen also what the list shows.
const say = (text) => { $("said").textContent = text; };
const tell = (text) => { $("heard").textContent = text; };

// `top` is where the page begins, `url` where its rows are: what is empty in between was passed over.
const page = { top: "", url: "", newer: [], next: null, lookedBackTo: null, rows: new Map(), failures: 0, load: 0, isOld: false };
const at = { counts: 0, health: 0 };
const views = new Map();
const picked = new Set();
const kinds = new Set();
let counts = null;
let isLive = true;
let timer = 0;

// ---- loading

function begin() {
  at.counts = 0;
  page.newer = [];
  return turnTo(firstUrl(chosen));
}

async function turnTo(url) {
  Object.assign(page, { top: url, url, isOld: false });
  picked.clear();
  say("");
  $("outcome").replaceChildren();
  writeAddress(details.row);
  if (!page.rows.size) setState(loading("Loading ..."));
  if (await load({ isDeep: true })) tell(`${page.rows.size} operations are shown. ${$("looked").textContent}`);
}

// The page as it is now. True where it could be read.
async function load({ isDeep = false } = {}) {
  clearTimeout(timer);
  const mine = ++page.load;
  let wait = 0;
  lookAtHealth();
  // A poll dims nothing: it would flicker.
  if (isDeep) $("list").setAttribute("aria-busy", "true");
  try {
    const found = await listed(isDeep, () => mine === page.load);
    if (!found) return false;
    show(found);
    page.failures = 0;
    wait = Math.max(found.retryAfter, found.rows.some(isActive) ? SECONDS.active : SECONDS.idle);
    await lookAtCounts();
    return true;
  } catch (problem) {
    if (!("status" in problem)) throw problem;
    if (mine === page.load) wait = fail(problem);
    return false;
  } finally {
    if (mine === page.load) {
      $("list").setAttribute("aria-busy", "false");
      if (wait && isLive && !document.hidden) timer = setTimeout(() => load(), wait * 1000);
    }
  }
}

// Null where something else is loaded by then. Pages without a row are passed over, some of them, where the person asked
// for this one; later it is enough to look at both ends.
async function listed(isDeep, isWanted) {
  if (page.url !== page.top) {
    const top = await list(page.top);
    if (!isWanted()) return null;
    if (top.rows.length) page.url = page.top;
  }
  let found = await list(page.url);
  for (let looked = 1; isDeep && isWanted() && !found.rows.length && found.next && looked < EMPTY_PAGES; looked += 1) {
    if (!page.rows.size) setState(loading("Looking further back ...", el("p", {}, "At ", time(found.lookedBackTo))));
    page.url = found.next;
    found = await list(found.next);
  }
  return isWanted() ? found : null;
}

async function lookAtCounts() {
  const now = Date.now() / 1000;
  if (now - at.counts > SECONDS.counts) {
    at.counts = now;
    counts = await count(chosen);
  }
  showCounts(counts);
}

function lookAtHealth() {
  const now = Date.now() / 1000;
  if (now - at.health < SECONDS.health) return;
  at.health = now;
  health().then((answer) => $("banners").replaceChildren(...banners(answer)));
}

// ---- showing

// The same again is left as it is, so that a button in it keeps the focus.
function setState(element) {
  const now = $("state").firstElementChild;
  if (!element) $("state").replaceChildren();
  else if (now?.className !== element.className || now.textContent !== element.textContent) $("state").replaceChildren(element);
}

function show({ rows, next, lookedBackTo }) {
  Object.assign(page, { next, lookedBackTo, isOld: true, rows: new Map(rows.map((row) => [keyOf(row), row])) });
  for (const key of views.keys()) if (!page.rows.has(key)) removeView(key);
  let place = $("rows").firstChild;
  for (const row of rows) {
    const { element } = viewOf(row);
    if (element === place) place = place.nextSibling;
    else $("rows").insertBefore(element, place);
    kinds.add(row.kind);
  }
  $("kinds").replaceChildren(...[...kinds].sort().map((kind) => el("option", { value: kind })));
  setState(rows.length ? null : emptyState());
  $("filters").hidden = false;
  if ($("key-toggle").dataset.for === "refusal") closeKey();
  $("updated").textContent = `Updated ${timeText(new Date(), CLOCK)}`;
  showRows();
  showPages();
}

function emptyState() {
  if (page.next) return noneSoFar();
  return isFiltered() || page.newer.length ? noneFits(clearFilters) : noneYet();
}

function viewOf(row) {
  const key = keyOf(row);
  if (!views.has(key)) {
    const pick = (isOn) => {
      if (isOn) picked.add(key);
      else picked.delete(key);
      showRows();
    };
    views.set(key, rowOf(row, { open: () => openDetails(page.rows.get(key)), pick, filter: filterBy }));
  }
  return views.get(key);
}

function removeView(key) {
  views.get(key).element.remove();
  views.delete(key);
  picked.delete(key);
}

const able = (name) => [...picked].map((key) => page.rows.get(key)).filter(ACTS[name].fits);

function showRows() {
  const open = details.row && keyOf(details.row);
  for (const [key, row] of page.rows) views.get(key).update(row, { isPicked: picked.has(key), isOpen: key === open });
  const all = $("pick-all");
  all.checked = page.rows.size > 0 && picked.size === page.rows.size;
  all.indeterminate = picked.size > 0 && !all.checked;
  document.querySelector("table").hidden = page.rows.size === 0;
  $("selection").hidden = picked.size === 0;
  $("selected-count").textContent = `${picked.size} selected`;
  for (const button of $("selection").querySelectorAll("[data-act]")) {
    const { act } = button.dataset;
    const number = able(act).length;
    button.textContent = number ? `${ACTS[act].verb} ${number}` : ACTS[act].verb;
    button.disabled = number === 0;
    button.hidden = act === "retry" && number === 0;
  }
}

function showPages() {
  const { newer, next, lookedBackTo, rows } = page;
  $("pages").hidden = !newer.length && !next;
  $("newest").hidden = newer.length < 2;
  $("newer").hidden = !newer.length;
  $("older").hidden = !next;
  $("older").textContent = rows.size < PAGE ? "Look further back" : "Older";
  $("looked").replaceChildren(...(lookedBackTo ? ["Looked back to ", time(lookedBackTo), "."] : next ? [] : ["Nothing is older."]));
}

// ---- what goes wrong

// Returns the seconds until it is tried again.
function fail(problem) {
  const { status, retryAfter } = problem;
  page.failures += 1;
  at.health = 0;
  lookAtHealth();
  if (isRefusal(problem, chosen)) {
    clearRows();
    $("filters").hidden = status === 401;
    const showMine = chosen.owner ? () => filterBy("owner", "") : null;
    setState(refusal(problem, { showMine }));
    if (status === 401 && problem.code !== "Unauthenticated") openKey(keyNote(problem), "refusal");
    return 0;
  }
  const wait = status === 400 ? 0 : retryAfter || Math.min(SECONDS.active * 2 ** page.failures, SECONDS.longest);
  if (!page.isOld) clearRows();
  const isOld = page.rows.size > 0;
  setState(trouble(problem, { wait: isLive ? wait : 0, isOld, clear: clearFilters, again: () => load() }));
  return wait;
}

function clearRows() {
  for (const key of [...views.keys()]) removeView(key);
  Object.assign(page, { rows: new Map(), next: null, newer: [], isOld: false });
  $("pages").hidden = true;
  counts = null;
  showCounts(null);
  showRows();
}

// ---- details

const details = new Details({
  act: carryOut,
  filter: filterBy,
  say,
  tell,
  mayRetry,
  isLive: () => isLive,
  close: closeDetails,
  changed(row, { status, percentComplete, attempt, error }) {
    const shown = page.rows.get(keyOf(row));
    if (!shown) return;
    Object.assign(shown, { status, attempt, errorCode: error?.code });
    shown.percentComplete = isActive(shown) ? percentComplete : undefined;
    showRows();
  },
});

function openDetails(row) {
  details.open(row);
  writeAddress(row);
  showRows();
}

function closeDetails() {
  const key = keyOf(details.row);
  details.close();
  writeAddress(null);
  showRows();
  (views.get(key)?.opener ?? $("list")).focus();
}

async function carryOut(name, rows) {
  const { done } = ACTS[name];
  const outcome = await ask(name, rows, () => say(`${rows.length} to be ${done} ...`));
  if (!outcome) return;
  const { answers, refused } = outcome;
  const isOpen = details.row && rows.some((row) => keyOf(row) === keyOf(details.row));
  if (isOpen && name === "delete" && !refused.length) closeDetails();
  else if (isOpen) details.redraw();
  at.counts = 0;
  picked.clear();
  await load();
  const made = name === "retry" && answers.length ? ` New: ${answers.map((body) => body.id).join(", ")}.` : "";
  say(answers.length ? `${answers.length} ${done}.${made}` : "");
  const outcomes = $("outcome");
  outcomes.replaceChildren(...(refused.length
    ? [refusedActs(`${refused.length} not ${done}.`, refused, () => { outcomes.replaceChildren(); $("list").focus(); })] : []));
}

// ---- key

function openKey(note, reason) {
  $("key").hidden = false;
  $("key-note").textContent = note;
  $("key-forget").hidden = !hasKey();
  $("key-toggle").setAttribute("aria-expanded", "true");
  $("key-toggle").dataset.for = reason;
}

function closeKey() {
  $("key").hidden = true;
  $("key-toggle").setAttribute("aria-expanded", "false");
  $("key-toggle").dataset.for = "";
}

function setKey(text) {
  useKey(text, $("key-keep").checked);
  $("key-field").value = "";
  closeKey();
  begin().then(() => { if ($("key").hidden) $("list").focus(); else $("key-field").focus(); });
}

// ---- wiring

function listen() {
  const on = (id, type, listener) => $(id).addEventListener(type, listener);
  on("key", "submit", (event) => { event.preventDefault(); setKey($("key-field").value.trim()); });
  on("key-forget", "click", () => setKey(""));
  on("key-toggle", "click", () => {
    if (!$("key").hidden) return closeKey();
    openKey(hasKey() ? "A key is in use." : "Where the app asks for none, there is nothing to enter.", "person");
    $("key-field").focus();
  });
  on("reload", "click", () => {
    at.counts = 0;
    page.url = page.top;
    load({ isDeep: true });
  });
  on("live", "click", () => {
    isLive = !isLive;
    $("live").setAttribute("aria-pressed", isLive);
    if (isLive) load();
    else clearTimeout(timer);
  });
  on("older", "click", () => { page.newer.push(page.top); turnTo(page.next); $("list").focus(); });
  on("newer", "click", () => { turnTo(page.newer.pop()); $("list").focus(); });
  on("newest", "click", () => { begin(); $("list").focus(); });
  on("pick-all", "change", ({ target }) => {
    picked.clear();
    if (target.checked) for (const key of page.rows.keys()) picked.add(key);
    showRows();
  });
  on("selection", "click", ({ target }) => { if (target.dataset.act) carryOut(target.dataset.act, able(target.dataset.act)); });
  on("unselect", "click", () => { picked.clear(); showRows(); $("list").focus(); });
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("list").focus(); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else if (isLive) load(); });
  window.addEventListener("hashchange", () => { readAddress(); begin(); });
  document.addEventListener("keydown", onKey);
}

// Escape closes the details; the arrows go from row to row.
function onKey(event) {
  if (event.key === "Escape" && details.row && !$("confirm").open) return closeDetails();
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const opener = step && event.target.closest?.(".opener");
  if (!opener) return;
  event.preventDefault();
  opener.closest("tr")[step]?.querySelector(".opener").focus();
}

function start() {
  $("more-filters").open = matchMedia("(min-width: 60rem)").matches;
  listenToFilters(begin);
  listen();
  showCounts(null);
  const open = readAddress();
  begin().then(() => open && openDetails([...page.rows.values()].find((row) => row.id === open.id) ?? open));
}

start();
