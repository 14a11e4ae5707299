// What the person chose: kept in the address behind #, which no server gets, so a view can be kept and passed on.

import { ACTIVE, STATUSES } from "./api.js";
import { el, pill } from "./view.js";

const TEXTS = ["kind", "label", "error", "id", "span", "from", "to", "owner", "order"];

const form = document.getElementById("filter-form");
const buttons = new Map();

export const chosen = { statuses: [], ...Object.fromEntries(TEXTS.map((name) => [name, ""])) };
export const isFiltered = () => chosen.statuses.length > 0 || TEXTS.some((name) => chosen[name]);

// Returns the operation that the address opens, if any.
export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const statuses = (given.get("status") ?? "").split(",");
  chosen.statuses = STATUSES.filter((status) => statuses.includes(status));
  for (const name of TEXTS) form.elements[name].value = given.get(name) ?? "";
  readForm();
  return given.has("open") ? { id: given.get("open"), owner: given.get("openOwner") ?? "" } : null;
}

export function writeAddress(open) {
  const given = new URLSearchParams();
  if (chosen.statuses.length) given.set("status", chosen.statuses.join(","));
  for (const name of TEXTS) if (chosen[name]) given.set(name, chosen[name]);
  if (open) given.set("open", open.id);
  if (open?.owner) given.set("openOwner", open.owner);
  const text = String(given);
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function readForm() {
  for (const name of TEXTS) chosen[name] = form.elements[name].value.trim();
  showForm();
}

function showForm() {
  form.classList.toggle("with-range", form.elements.span.value === "range");
  const number = TEXTS.filter((name) => chosen[name] && name !== "from" && name !== "to").length;
  document.getElementById("filter-count").textContent = number ? `(${number} in use)` : "";
  const { order } = form.elements;
  order.disabled = !(chosen.statuses.length && chosen.statuses.every((status) => ACTIVE.includes(status)));
  order.title = order.disabled ? "The oldest come first among active ones only: choose such statuses." : "";
}

export function filterBy(name, text) {
  form.elements[name].value = text;
  form.requestSubmit();
}

export function clearFilters() {
  form.reset();
  chosen.statuses = [];
  form.requestSubmit();
}

// `counts`: as the list has them, or null while they are not known.
export function showCounts(counts) {
  const { byStatus = {}, more = false, active = 0, ended = 0 } = counts ?? {};
  for (const [status, { button, number }] of buttons) {
    button.setAttribute("aria-pressed", chosen.statuses.includes(status));
    const atLeast = more && !ACTIVE.includes(status) ? "+" : "";
    number.textContent = counts ? `${(byStatus[status] ?? 0).toLocaleString()}${atLeast}` : "";
  }
  document.getElementById("counted").textContent = !counts ? "" : more
    ? `${active.toLocaleString()} active. Of those that have ended, the newest 1,000 are counted.`
    : `${active.toLocaleString()} active, ${ended.toLocaleString()} ended.`;
}

// `begin` is called whenever something else is chosen.
export function listenToFilters(begin) {
  for (const status of STATUSES) {
    const number = el("span", { className: "number" });
    const button = el("button", { type: "button", className: "count", "aria-pressed": false, data: { status } },
      pill(status), number);
    button.addEventListener("click", () => {
      const isOn = chosen.statuses.includes(status);
      chosen.statuses = STATUSES.filter((each) => (each === status ? !isOn : chosen.statuses.includes(each)));
      showForm();
      button.setAttribute("aria-pressed", !isOn);
      begin();
    });
    buttons.set(status, { button, number });
    document.getElementById("statuses").append(button);
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    readForm();
    begin();
  });
  form.addEventListener("change", ({ target }) => {
    if (target.name === "span") showForm();
    if (target.tagName === "SELECT" && target.value !== "range") form.requestSubmit();
  });
  document.getElementById("clear").addEventListener("click", clearFilters);
}
