// Cancel, run again, delete: of one operation or several, each confirmed first.

import { act } from "./api.js";
import { el, isActive } from "./view.js";

const AT_ONCE = 4;
const LISTED = 6;

// Some apps, and some kinds, have no retry: an answer says so, and from then on it is not offered.
const notRetried = new Set();
let hasRetries = true;

export const mayRetry = (row) =>
  hasRetries && ["Failed", "Canceled"].includes(row.status) && !notRetried.has(row.kind);

function learn(row, { status, code }) {
  if (code === "RetryNotSupported") notRetried.add(row.kind);
  if (status === 405 || ["ActionNotFound", "RouteNotFound"].includes(code)) hasRetries = false;
}

export const ACTS = {
  cancel: {
    verb: "Cancel",
    done: "canceled",
    fits: (row) => isActive(row) && row.status !== "Canceling",
    text: "The work is asked to stop. What it has done so far is not undone.",
  },
  retry: {
    verb: "Run again",
    done: "started again",
    fits: mayRetry,
    text: "Each becomes a new operation with the same input. The old one stays as it is.",
  },
  delete: {
    verb: "Delete",
    done: "deleted",
    fits: (row) => !isActive(row),
    text: "What is deleted is gone for good, with its result.",
  },
};

const $ = (id) => document.getElementById(id);

function confirmed(name, rows) {
  const { verb, text } = ACTS[name];
  $("confirm-title").textContent = `${verb} ${rows.length === 1 ? "this operation" : `these ${rows.length} operations`}?`;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = `Yes, ${verb.toLowerCase()}`;
  const listed = rows.length > LISTED ? rows.slice(0, LISTED - 1) : rows;
  $("confirm-list").replaceChildren(
    ...listed.map((row) => el("li", {}, el("span", { className: "kind" }, row.kind), el("code", {}, row.id))),
    ...(listed.length < rows.length ? [el("li", {}, `and ${rows.length - listed.length} more`)] : []));
  const dialog = $("confirm");
  dialog.returnValue = "";
  dialog.showModal();
  $("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// Returns the answers, and the rows that were refused with their problems; null where the person said no.
export async function ask(name, rows, begun) {
  if (!rows.length || !(await confirmed(name, rows))) return null;
  begun();
  const answers = [];
  const refused = [];
  const waiting = [...rows];
  async function work() {
    for (let row = waiting.shift(); row; row = waiting.shift()) {
      try {
        answers.push((await act(name, row)).body);
      } catch (problem) {
        if (!("status" in problem)) throw problem;
        refused.push([row, problem]);
        if (name === "retry") learn(row, problem);
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { answers, refused };
}
