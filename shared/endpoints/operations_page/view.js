// What the page is made of. All that comes from the app becomes text, never markup.

import { ACTIVE } from "./api.js";

const SVG = "http://www.w3.org/2000/svg";
const WORDS = { NotStarted: "Not started" };

// An element with properties (`class`, `data`, `aria-...` and listeners, too) and children, each a node or a text.
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export const word = (status) => WORDS[status] ?? status;
export const isActive = (row) => ACTIVE.includes(row.status);

// Told apart by a shape and a word; the color is a third thing.
export const pill = (status) => el("span", { className: `pill ${status}` }, icon(status), word(status));

const SHORT = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
const LONG = { ...SHORT, year: "numeric" };
const thisYear = (date) => date.getFullYear() === new Date().getFullYear();

export function timeText(text, options) {
  const date = new Date(text);
  return new Intl.DateTimeFormat(undefined, options ?? (thisYear(date) ? SHORT : LONG)).format(date);
}

// In the person's own time zone; the title has the app's text, which is UTC.
export const time = (text) => el("time", { dateTime: text, title: text }, timeText(text));

export function duration(seconds) {
  if (seconds === undefined) return "";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

export function size(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit++) bytes /= 1000;
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

export function progress(percent, name) {
  const shown = `${Math.round(percent)} %`;
  return el("span", { className: "progress" },
    el("progress", { max: 100, value: percent, "aria-label": `Progress of ${name}` }), el("span", {}, shown));
}

export const labels = (texts, choose) =>
  el("span", { className: "labels" }, ...(texts ?? []).map((text) =>
    el("button", { type: "button", className: "label", title: "Show what has this label", onclick: () => choose(text) }, text)));

// One row of the table. `update` changes only what differs, so that what has the focus keeps it.
export function rowOf(row, { open, pick, filter }) {
  const box = el("input", { type: "checkbox", "aria-label": `Select ${row.kind} ${row.id}`,
    onchange: () => pick(box.checked) });
  const opener = el("button", { type: "button", className: "opener", onclick: open },
    el("span", { className: "kind" }, row.kind), el("span", { className: "id" }, row.id));
  const cell = (className, ...children) => el("td", { role: "cell", className }, ...children);
  const status = cell("status");
  const lasted = cell("number lasted");
  const attempt = cell("number attempt");
  const of = row.owner ? el("span", { className: "owner" }, `of ${row.owner}`) : null;
  const element = el("tr", { role: "row" },
    cell("pick", box),
    cell("operation", opener, of, row.labels ? labels(row.labels, (text) => filter("label", text)) : null),
    status, cell("created", time(row.createdDateTime)), lasted, attempt);
  let before = "";

  function update(row, { isPicked, isOpen }) {
    box.checked = isPicked;
    element.classList.toggle("picked", isPicked);
    element.classList.toggle("shown", isOpen);
    opener.setAttribute("aria-expanded", isOpen);
    lasted.textContent = duration(row.durationSeconds);
    attempt.textContent = row.attempt || "";
    const now = JSON.stringify([row.status, row.percentComplete, row.errorCode]);
    if (now === before) return;
    before = now;
    status.className = `status ${row.status}`;
    status.replaceChildren(pill(row.status));
    if (row.percentComplete !== undefined) status.append(progress(row.percentComplete, row.kind));
    if (row.errorCode) {
      status.append(el("button", { type: "button", className: "code", title: "Show what has this error code",
        onclick: () => filter("error", row.errorCode) }, row.errorCode));
    }
  }

  return { element, opener, update };
}
