// Drives starts with @azure/core-lro, as a generated TypeScript client does, and prints what came of them as JSON.
//
//   node poll.mjs '{"modulesUrl": "file:///...", "share": 0.1, "chains": [[{"method": "PUT", "url": "http://...", ...}]]}'
//
// Chains go on side by side, the starts of a chain one after the other. Of a start:
// `cancel` names the header whose monitor is told to cancel after it. `headers` are sent with each of its requests.
// What the library waits for is written down (`waits`, milliseconds) and cut to `share` of it.

import { AsyncLocalStorage } from "node:async_hooks";

const { modulesUrl, share, chains } = JSON.parse(process.argv[2]);
const waits = new AsyncLocalStorage();
const wait = globalThis.setTimeout;
globalThis.setTimeout = (then, milliseconds, ...more) => {
  const noted = waits.getStore();
  noted?.push(milliseconds);
  return wait(then, noted ? milliseconds * share : milliseconds, ...more);
};
const { createHttpPoller } = await import(modulesUrl);

function sender(order, requests) {
  return async function send(method, url, body) {
    // Outside: what `fetch` itself waits for is none of the library's.
    const answer = await waits.exit(() =>
      fetch(url, {
        method,
        headers: { ...(order.headers ?? {}), ...(body === undefined ? {} : { "content-type": "application/json" }) },
        body: body === undefined ? undefined : JSON.stringify(body),
      }),
    );
    const text = await answer.text();
    requests.push({ method, url, status: answer.status });
    return {
      flatResponse: text ? JSON.parse(text) : {},
      rawResponse: {
        statusCode: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: text ? JSON.parse(text) : undefined,
        request: { method, url },
      },
    };
  };
}

async function drive(order) {
  const requests = [];
  const waited = [];
  const send = sender(order, requests);
  const operation = {
    sendInitialRequest: async () => {
      const initial = await send(order.method, order.url, order.body);
      if (order.cancel) {
        const monitor = new URL(initial.rawResponse.headers[order.cancel]);
        const verb = order.cancel === "azure-asyncoperation" ? "/cancel" : ":cancel";
        await fetch(`${monitor.origin}${monitor.pathname}${verb}${monitor.search}`, {
          method: "POST",
          headers: order.headers ?? {},
        });
      }
      return initial;
    },
    sendPollRequest: (path) => send("GET", path),
  };
  const poller = createHttpPoller(operation, {});
  const outcome = {};
  try {
    outcome.result = await waits.run(waited, () => poller.pollUntilDone());
  } catch (error) {
    outcome.error = { message: error.message, code: error.code };
  }
  return { ...outcome, status: poller.operationState?.status, requests, waits: waited };
}

async function follow(chain) {
  const outcomes = [];
  for (const order of chain) {
    outcomes.push(await drive(order));
  }
  return outcomes;
}

console.log(JSON.stringify(await Promise.all(chains.map(follow))));
