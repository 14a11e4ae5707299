// The panel of one operation: state, progress, times, error, attempts and result, from its monitor.

import { hasKey, monitor, result } from "./api.js";
import { duration, el, icon, isActive, labels, pill, progress, size, time } from "./view.js";

const LOOK = 5; // seconds at most: people look at the progress
const SHOWN_RESULT = 20_000;
const ENDINGS = { "application/json": ".json", "text/csv": ".csv", "text/plain": ".txt" };

const panel = document.getElementById("details");

const section = (title, ...children) => el("section", {}, el("h3", {}, title), ...children);

function facts(pairs) {
  const list = el("dl");
  for (const [name, value] of pairs) {
    if (value !== undefined && value !== null && value !== "") list.append(el("dt", {}, name), el("dd", {}, value));
  }
  return list;
}

const pre = (value) => {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const cut = text.length > SHOWN_RESULT;
  return el("pre", { tabIndex: 0 }, cut ? `${text.slice(0, SHOWN_RESULT)}\n... download it to see all` : text);
};

function errorOf(error) {
  const causes = (error.details ?? []).map((cause) =>
    el("li", {}, el("code", {}, cause.code), ` ${cause.message}`, cause.target ? ` (${cause.target})` : ""));
  return el("div", { className: "error" },
    el("p", {}, el("code", {}, error.code)), el("p", { className: "text" }, error.message),
    error.target ? el("p", {}, "Target: ", el("code", {}, error.target)) : null,
    causes.length ? el("ul", {}, ...causes) : null);
}

function attemptOf(attempt) {
  const lasted = attempt.ended ? (Date.parse(attempt.ended) - Date.parse(attempt.began)) / 1000 : undefined;
  return el("li", {},
    el("p", {}, el("strong", {}, `Attempt ${attempt.number}: ${attempt.outcome ?? "under way"}`),
      attempt.code ? el("code", {}, attempt.code) : null),
    attempt.message ? el("p", { className: "text" }, attempt.message) : null,
    el("p", { className: "muted" }, "began ", time(attempt.began),
      lasted === undefined ? null : `, took ${duration(Math.max(0, lasted))}`,
      attempt.instance ? `, on ${attempt.instance}` : null));
}

function progressOf(now) {
  const { done, total, message, data } = now.progress ?? {};
  const count = done === undefined ? "" : `${done}${total === undefined ? "" : ` of ${total}`}`;
  const percent = now.status === "Succeeded" ? undefined : now.percentComplete;
  if (percent === undefined && !count && !message && data === undefined) return null;
  return section("Progress",
    percent === undefined ? null : progress(percent, now.kind),
    count || message ? el("p", { className: "text" }, [count, message].filter(Boolean).join(": ")) : null,
    data === undefined ? null : pre(data));
}

// A link where a browser can follow it: with a key it could not, since it sends none. All else is a text.
function linkOf(address, text = address, needsKey = false) {
  const isWeb = /^https?:/i.test(address) && !(needsKey && hasKey());
  return isWeb ? el("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, text) : el("code", {}, address);
}

async function download(row, say) {
  try {
    const blob = await result(row);
    const address = URL.createObjectURL(blob);
    const name = `${row.id}${ENDINGS[blob.type.split(";")[0]] ?? ""}`;
    el("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    say(blob.size ? `The result is saved as ${name}.` : "The result is empty.");
  } catch (problem) {
    say(`The result cannot be had: ${problem.message || problem.status}`);
  }
}

const isFile = (result) => /^https?:/i.test(result?.downloadUrl ?? "") && typeof result.sha256 === "string";

// The address of a file lives for a while: each click asks the monitor for a new one.
function fileOf(file, row, say) {
  const link = el("a", { href: file.downloadUrl, rel: "noreferrer", download: file.fileName }, `Download ${file.fileName}`);
  link.addEventListener("click", async (event) => {
    if (link.dataset.fresh) return;
    event.preventDefault();
    try {
      const { body } = await monitor(row);
      if (isFile(body.result)) link.href = body.result.downloadUrl;
      link.dataset.fresh = "yes";
      link.click();
    } catch (problem) {
      say(`The file cannot be had: ${problem.message || problem.status}`);
    } finally {
      delete link.dataset.fresh;
    }
  });
  return section("Result",
    el("p", {}, link, ` ${size(file.size)}, ${file.contentType}`),
    facts([["SHA-256", el("code", {}, file.sha256)]]));
}

function resultOf(now, row, say) {
  if (now.status !== "Succeeded") return null;
  if (isFile(now.result)) return fileOf(now.result, row, say);
  return section("Result",
    now.resourceLocation ? el("p", {}, linkOf(now.resourceLocation, undefined, true)) : null,
    now.result === undefined || now.result === null ? null : pre(now.result),
    el("div", { className: "line" },
      el("button", { type: "button", onclick: () => download(row, say) }, "Download the result")));
}

// Shows one operation at a time. `on` has what the page does: act(name, rows), changed(row, now), close(),
// filter(name, text), isLive(), mayRetry(row), say(text), tell(text).
export class Details {
  #on;
  #row = null;
  #timer = 0;
  #body = el("div", { className: "body" });
  #title = el("h2", { id: "details-title", tabIndex: -1 });
  #summary = el("p", { className: "summary" });
  #acts = el("div", { className: "line acts" });
  #before = "";

  constructor(on) {
    this.#on = on;
    const close = el("button", { type: "button", className: "quiet", "aria-label": "Close the details",
      onclick: () => this.#on.close() }, icon("close"));
    panel.append(el("div", { className: "head" }, this.#title, close), this.#summary, this.#acts, this.#body);
    document.addEventListener("visibilitychange", () => document.hidden || !this.#row || !this.#on.isLive() || this.refresh());
  }

  get row() {
    return this.#row;
  }

  open(row) {
    this.#row = row;
    this.#before = "";
    this.#title.textContent = row.kind ?? row.id;
    this.#summary.replaceChildren(row.status ? pill(row.status) : "");
    this.#acts.replaceChildren();
    this.#body.replaceChildren(el("p", { className: "muted" }, "Loading ..."));
    panel.hidden = false;
    document.body.classList.add("with-details");
    this.#title.focus();
    return this.refresh();
  }

  close() {
    clearTimeout(this.#timer);
    this.#row = null;
    panel.hidden = true;
    document.body.classList.remove("with-details");
  }

  // Read the monitor now, and again when it says so, while it goes on and somebody looks.
  async refresh() {
    clearTimeout(this.#timer);
    const row = this.#row;
    try {
      const { body, retryAfter } = await monitor(row);
      if (row !== this.#row) return;
      this.#show(body);
      if (isActive(body)) this.#again(Math.min(retryAfter || LOOK, LOOK));
    } catch (problem) {
      if (row === this.#row) this.#fail(problem);
    }
  }

  #again(seconds) {
    this.#timer = setTimeout(() => {
      if (!document.hidden && this.#on.isLive()) this.refresh();
    }, seconds * 1000);
  }

  #fail(problem) {
    const gone = problem.status === 404;
    const text = gone ? "It is not there any more: it was deleted or has expired." : problem.message || "It cannot be read.";
    this.#before = "";
    this.#body.replaceChildren(el("p", { className: "text", role: "alert" }, text),
      problem.status === 401 && !hasKey() ? el("p", {}, "Enter a key first.") : "");
    if (gone) this.#summary.replaceChildren();
    if (gone) this.#acts.replaceChildren();
    else if (problem.status !== 401) this.#again(problem.retryAfter || 10);
  }

  // Draws anew only what has changed, so that focus and selected text stay.
  #show(now) {
    const drawn = JSON.stringify(now) + this.#on.mayRetry(now);
    if (drawn === this.#before) return;
    const was = this.#before ? this.#body.dataset.status : now.status;
    this.#before = drawn;
    this.#title.textContent = now.kind;
    if (was !== now.status) this.#on.tell(`${now.kind} ${now.id}: ${now.status}`);
    this.#body.dataset.status = now.status;
    this.#summary.replaceChildren(pill(now.status), labels(now.labels, (text) => this.#on.filter("label", text)));
    this.#drawActs(now);
    const row = { ...this.#row, ...now };
    const began = now.attempts?.[0]?.began;
    this.#body.replaceChildren(...[
      progressOf(now),
      now.error ? section("Error", errorOf(now.error)) : null,
      now.lastError ? section("Last error; it is tried again", errorOf(now.lastError)) : null,
      resultOf(now, row, this.#on.say),
      section("Facts", facts([
        ["Id", el("code", {}, now.id)],
        ["Owner", this.#row.owner && el("code", {}, this.#row.owner)],
        ["Created", time(now.createdDateTime)],
        ["Began", began && time(began)],
        [isActive(now) ? "Last change" : "Ended", time(now.lastActionDateTime)],
        ["Kept until", now.expiresAt && time(now.expiresAt)],
        ["Attempt", now.attempt || ""],
        ["Again from", now.retryOf && el("code", {}, now.retryOf)],
        ["Monitor", this.#row.operationLocation && linkOf(this.#row.operationLocation, "open as JSON", true)],
      ])),
      now.attempts?.length ? section("Attempts", el("ol", { className: "attempts" }, ...now.attempts.map(attemptOf))) : null,
    ].filter(Boolean));
    this.#on.changed(this.#row, now);
  }

  #drawActs(now) {
    const had = this.#acts.contains(document.activeElement);
    const button = (name, text, className = "") =>
      el("button", { type: "button", className, data: { act: name }, onclick: () => this.#on.act(name, [{ ...this.#row, ...now }]) }, text);
    this.#acts.replaceChildren(...[
      isActive(now) && now.status !== "Canceling" && button("cancel", "Cancel"),
      this.#on.mayRetry(now) && button("retry", "Run again"),
      !isActive(now) && button("delete", "Delete", "danger"),
    ].filter(Boolean));
    if (had) (this.#acts.firstChild ?? this.#title).focus();
  }

  redraw() {
    this.#before = "";
    if (this.#row) this.refresh();
  }
}
