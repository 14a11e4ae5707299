// What stands in place of the list, or above it: nothing there, something wrong, no rights.

import { ROOT, hasKey } from "./api.js";
import { el, icon } from "./view.js";

const TITLES = {
  0: "The app cannot be reached.",
  400: "The app does not take this filter.",
  429: "The app is busy.",
  503: "The app cannot do its work right now.",
};

const message = (kind, title, ...more) =>
  el("div", { className: `message ${kind}`, ...(kind === "problem" && { role: "alert" }) },
    kind === "problem" ? icon("warning") : null, el("div", {}, el("strong", {}, title), ...more));

const button = (text, onclick) => el("button", { type: "button", onclick }, text);

export const loading = (title, ...more) => message("loading", title, ...more);

export const noneYet = () =>
  message("empty", "There are no operations yet.",
    el("p", {}, "Start one: try an action on ", el("a", { href: new URL("docs", ROOT).href }, "the page of the API"),
      ", or send a POST to its route, for example with ", el("code", {}, "lro start POST URL"), ". It appears here."));

export const noneSoFar = () =>
  message("empty", "Nothing found so far.", el("p", {}, "There are older operations: look further back."));

export const noneFits = (clear) => message("empty", "Nothing fits these filters.", button("Clear the filters", clear));

// What went wrong, and what to do. `wait` is in seconds, 0 where it is not tried again.
export function trouble({ status, code, message: text }, { wait, isOld, clear, again }) {
  const title = TITLES[status] ?? `The list cannot be read (${status}${code ? ` ${code}` : ""}).`;
  const next = wait ? `It is tried again in ${wait} s.` : "";
  return message("problem", title, el("p", {}, `${text} ${next}`.trim()),
    isOld ? el("p", {}, "Below is the list as it was before.") : null,
    status === 400 ? button("Clear the filters", clear) : button("Try now", again));
}

// Whether the app refuses the person and not the request. Who is no operator, to them `owner` is a parameter unknown.
export const isRefusal = ({ status, code }, chosen) =>
  status === 401 || status === 403 || (chosen.owner !== "" && code === "UnknownQueryParameter");

// What somebody without rights has to ask for.
export function refusal({ status, code, message: text }, { showMine }) {
  if (status === 400) {
    return message("problem", "You may see your own operations only.",
      el("p", {}, "Those of everybody need a role: ask those who run this app for ", el("code", {}, "operations.read.all"),
        ", and to cancel, delete and run them again for ", el("code", {}, "operations.cancel.all"),
        ", or for the names that this app has given them. An app that only asks for keys has no such roles: its operations ",
        "are everybody's already."),
      button("Show mine", showMine));
  }
  if (status === 403) {
    return message("problem", "You may not see this.", el("p", {}, text || "The app refuses it."),
      el("p", {}, "Ask those who run this app for access."), showMine ? button("Show mine", showMine) : null);
  }
  if (code === "Unauthenticated") {
    const link = new URL("/.auth/login/aad", location.origin);
    link.searchParams.set("post_login_redirect_uri", location.pathname);
    return message("problem", "Sign in first.",
      el("p", {}, "This app knows its callers by who they are. ", el("a", { href: link.href }, "Sign in"),
        ", or enter an access token for this app under Key."));
  }
  return message("problem", "A key is needed.",
    el("p", {}, "Enter a host-level key of this app. Those who run the app have it: ask for a key of the host, since a ",
      "function's own key does not open the list."));
}

export function keyNote({ code, message: text }) {
  if (code === "InvalidKey") return text;
  return hasKey() ? "That key does not open the list." : "This app asks for a key.";
}

// What could not be done, and why; it stays until it is closed.
export const refusedActs = (title, refused, close) =>
  message("problem", title,
    el("ul", {}, ...refused.slice(0, 10).map(([row, problem]) =>
      el("li", {}, el("code", {}, row.id), ` ${problem.code || problem.status}: ${problem.message}`))),
    refused.length > 10 ? el("p", {}, `and ${refused.length - 10} more`) : null,
    button("Close", close));

const banner = (name, title, text) =>
  el("p", { className: "banner", role: "note" }, icon(name), el("span", {}, el("strong", {}, title), " ", text));

// `health`: its answer, or null where there is none.
export function banners(health) {
  const shown = [];
  const paused = Array.isArray(health?.paused) ? health.paused : [];
  if (paused.length) {
    const title = paused.includes("*") ? "All actions are paused." : `Paused: ${paused.join(", ")}.`;
    const text = "Nothing of that is started or claimed until an operator resumes it. Work under way goes on, and so do deadlines.";
    shown.push(banner("paused", title, text));
  }
  if (health?.problems?.length) {
    shown.push(banner("warning", "The app is not healthy:", `${health.problems.join(", ")}. Its log has more.`));
  }
  return shown;
}
