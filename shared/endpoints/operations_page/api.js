// Requests to the app: the list, the monitors, and what can be done to an operation.
//
// Every request goes to the origin that this page came from. Of the links in answers only the query is used, so a key
// is never sent to another address, whatever an answer says.

const VERSION = "api-version=2026-01-01";
const KEPT = "operations-key";
const LONGEST_WAIT = 60;
const SOON = 10;
export const PAGE = 50;
export const ACTIVE = ["NotStarted", "Running", "Canceling"];
export const STATUSES = [...ACTIVE, "Succeeded", "Failed", "Canceled"];
export const ROOT = new URL(document.body.dataset.root, location.href);

// The key lives in this variable; with the person's consent also in the tab's storage, which ends with the tab.
let key = sessionStorage.getItem(KEPT) ?? "";

export const hasKey = () => key !== "";

export function useKey(text, keep) {
  key = text;
  if (keep && key) sessionStorage.setItem(KEPT, key);
  else sessionStorage.removeItem(KEPT);
}

// What stands between a person and an answer: `status` is 0 where there was no answer at all.
export class Problem extends Error {
  constructor(status, code, message, retryAfter) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

const isToken = (text) => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text) && text.startsWith("eyJ");

function headers() {
  if (!key) return {};
  const sent = isToken(key) ? { Authorization: `Bearer ${key}` } : { "x-functions-key": key };
  try {
    new Headers(sent);
  } catch {
    throw new Problem(401, "InvalidKey", "That is no key: it has characters that no header can have.", 0);
  }
  return sent;
}

async function send(url, method = "GET") {
  const sent = headers();
  let answer;
  try {
    answer = await fetch(url, { method, headers: sent, redirect: "manual" });
  } catch {
    throw new Problem(0, "Unreachable", "The app cannot be reached.", 0);
  }
  // The platform sends those who have not signed in to where they can.
  if (answer.type === "opaqueredirect") throw new Problem(401, "Unauthenticated", "Sign in first.", 0);
  if (answer.ok) return answer;
  const error = (await answer.json().catch(() => ({})))?.error ?? {};
  throw new Problem(answer.status, error.code ?? "", error.message ?? "", secondsOf(answer));
}

function secondsOf(answer) {
  const seconds = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
  return seconds > 0 ? Math.min(seconds, LONGEST_WAIT) : 0;
}

// The answer's JSON, with the seconds that it asks to wait as `retryAfter` beside it.
async function read(url, method) {
  const answer = await send(url, method);
  const body = answer.status === 204 ? {} : await answer.json();
  return { body, retryAfter: secondsOf(answer) };
}

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

// The filter expression of what the person chose; `statuses` may differ from that, for the counts.
export function filterOf(chosen, statuses = chosen.statuses) {
  const parts = [];
  if (statuses.length) parts.push(`status in (${statuses.map(quoted).join(",")})`);
  if (chosen.kind.endsWith("*")) parts.push(`startswith(kind,${quoted(chosen.kind.slice(0, -1))})`);
  else if (chosen.kind) parts.push(`kind eq ${quoted(chosen.kind)}`);
  if (chosen.label) parts.push(`labels/any(l:l eq ${quoted(chosen.label)})`);
  if (chosen.error) parts.push(`errorCode eq ${quoted(chosen.error)}`);
  if (chosen.id) parts.push(`id eq ${quoted(chosen.id)}`);
  const { since, until } = spanOf(chosen);
  if (since) parts.push(`createdDateTime ge ${since.toISOString()}`);
  if (until) parts.push(`createdDateTime le ${until.toISOString()}`);
  return parts.join(" and ");
}

function spanOf({ span, from, to }) {
  if (span !== "range") return { since: span ? new Date(Date.now() - Number(span) * 3_600_000) : null };
  const time = (text) => (Number.isNaN(Date.parse(text)) ? null : new Date(text));
  return { since: time(from), until: time(to) };
}

function listUrl(chosen, filter, more) {
  const query = new URLSearchParams({ ...(filter && { filter }), ...(chosen.owner && { owner: chosen.owner }), ...more });
  return new URL(`status?${VERSION}&${query}`, ROOT).href;
}

// The oldest first is possible only among those that are not over.
const isOldestFirst = (chosen) =>
  chosen.order === "oldest" && chosen.statuses.length > 0 && chosen.statuses.every((status) => ACTIVE.includes(status));

export const firstUrl = (chosen) =>
  listUrl(chosen, filterOf(chosen), { top: PAGE, ...(isOldestFirst(chosen) && { orderby: "createdDateTime asc" }) });

export async function list(url) {
  const { body, retryAfter } = await read(url);
  const next = body.nextLink ? new URL(`status${new URL(body.nextLink).search}`, ROOT).href : null;
  return { rows: body.value, next, lookedBackTo: body.lookedBackTo ?? null, retryAfter };
}

// Counts per status of what the other filters leave.
export const count = async (chosen) =>
  (await read(listUrl(chosen, filterOf(chosen, []), { top: 1, count: true }))).body.count;

// Where an operation is: its id, and the query of its own link, which names its owner in lists of all owners.
const place = (row, suffix) => {
  const of = row.owner ? `&owner=${encodeURIComponent(row.owner)}` : "";
  const query = row.operationLocation ? new URL(row.operationLocation).search : `?${VERSION}${of}`;
  return new URL(`status/${encodeURIComponent(row.id)}${suffix}${query}`, ROOT).href;
};

export const monitor = (row) => read(place(row, ""));
export const result = async (row) => (await send(place(row, "/result"))).blob();

const ACTS = {
  cancel: (row) => read(place(row, ":cancel"), "POST"),
  delete: (row) => read(place(row, ""), "DELETE"),
  retry: (row) => read(place(row, ":retry"), "POST"),
};

// Do it, and once more where the app asks to wait a little; a pause is not a little.
export async function act(name, row) {
  try {
    return await ACTS[name](row);
  } catch (problem) {
    const isSoon = problem.retryAfter > 0 && problem.retryAfter <= SOON;
    if (![429, 503].includes(problem.status) || !isSoon) throw problem;
    await new Promise((resolve) => setTimeout(resolve, problem.retryAfter * 1000));
    return ACTS[name](row);
  }
}

// Health needs no key; a 503 has a body, too. Null where there is no answer.
export async function health() {
  try {
    return await (await fetch(new URL("health", ROOT))).json();
  } catch {
    return null;
  }
}
