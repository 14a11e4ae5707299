// Drives one start with @azure/core-lro, as a generated TypeScript client does, and prints what came of it as JSON.
//
//   node poll.mjs '{"method": "PUT", "url": "http://...", "body": {...}, "cancel": "operation-location", "modulesUrl": "file:///..."}'
//
// `cancel` names the header whose monitor is told to cancel after the start. `resourceLocationConfig` is passed on where it is given.

const order = JSON.parse(process.argv[2]);
const { createHttpPoller } = await import(order.modulesUrl);

const requests = [];

async function send(method, url, body) {
  const answer = await fetch(url, {
    method,
    headers: { ...(order.headers ?? {}), ...(body === undefined ? {} : { "content-type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
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
}

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

const options = order.resourceLocationConfig ? { resourceLocationConfig: order.resourceLocationConfig } : {};
const poller = createHttpPoller(operation, options);
const outcome = {};
try {
  outcome.result = await poller.pollUntilDone();
} catch (error) {
  outcome.error = { message: error.message, code: error.code };
}
outcome.status = poller.operationState?.status;
outcome.requests = requests;
console.log(JSON.stringify(outcome));
