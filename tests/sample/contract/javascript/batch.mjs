// Sends batches with client libraries of npm, unchanged, and prints what each of them read in the answers as JSON.
//
//   node batch.mjs '{"client": "odata", "root": "http://127.0.0.1:1234/odata", "modules": "/.../node_modules"}'
//
// Each client creates two books, changes one, reads one that is there and one that is not. `wrong` makes a change fail.

import { createRequire } from "node:module";

const { client, root, modules, wrong } = JSON.parse(process.argv[2]);
const load = createRequire(`${modules}/`);
const etag = wrong ? 'W/"wrong"' : "*";
const book = (id) => ({ id, title: `Title of ${id}` });
const jsonType = { "Content-Type": "application/json" };

const clients = {
  // Multipart, with Content-IDs in the parts of the change set and relative URLs.
  async "odata-batch-request"() {
    const { ODataBatchRequest, ODataBatchChangeset, ODataBatchOperation } = load("odata-batch-request");
    const create = (id) =>
      new ODataBatchOperation("post", "Books", { headers: jsonType, body: JSON.stringify(book(id)) });
    const first = create("one");
    const changes = new ODataBatchChangeset([
      first,
      create("two"),
      new ODataBatchOperation("patch", "Books('old')", {
        headers: { ...jsonType, "If-Match": etag },
        body: JSON.stringify({ title: "Ünew" }),
      }),
    ]);
    const reads = ["Books('old')", "Books('none')"].map((url) => new ODataBatchOperation("get", url));
    const batch = new ODataBatchRequest(root, [changes, ...reads]);
    const answer = await fetch(batch.url, {
      method: "POST",
      headers: { ...batch.headers, Prefer: "continue-on-error" },
      body: batch.body,
    });
    const { operations } = batch.parseResponse(await answer.text(), answer.headers.get("content-type"));
    return operations.flat().map(({ status, body }) => ({ status, body: body ? JSON.parse(body) : null }));
  },

  // Multipart: a request whose URL begins with a reference to another one of its change set.
  async "odata-batch-request reference"() {
    const { ODataBatchRequest, ODataBatchChangeset, ODataBatchOperation } = load("odata-batch-request");
    const write = (path, body) => new ODataBatchOperation("post", path, { headers: jsonType, body: JSON.stringify(body) });
    const first = write("Books", book("one"));
    const changes = new ODataBatchChangeset([first, write([first, "Library.Retitle"], { title: "Referred" })]);
    const batch = new ODataBatchRequest(root, [changes]);
    const answer = await fetch(batch.url, { method: "POST", headers: batch.headers, body: batch.body });
    const { operations } = batch.parseResponse(await answer.text(), answer.headers.get("content-type"));
    return operations.flat().map(({ status }) => ({ status }));
  },

  // Multipart: changes go into one change set, absolute URLs, Content-IDs in the parts.
  async odata() {
    const { o } = load("odata");
    const headers = (more) => new Headers({ ...jsonType, Prefer: "continue-on-error", ...more });
    const changeSets = {
      boundaryPrefix: "batch_",
      changsetBoundaryPrefix: "changset_",
      endpoint: "$batch",
      headers: new Headers(),
      useChangset: true,
      useRelativeURLs: false,
    };
    const changes = await o(`${root}/`, { headers: headers({ "If-Match": etag }), batch: changeSets })
      .post("Books", book("one"))
      .post("Books", book("two"))
      .patch("Books('old')", { title: "Ünew" })
      .batch();
    const reads = await o(`${root}/`, { headers: headers() })
      .get("Books('old')")
      .get("Books('none')")
      .batch();
    return [changes, reads].flat().map(({ status, body }) => ({ status, body: body ?? null }));
  },

  // Multipart: a change set for every change, without Content-IDs.
  async "@odata/client"() {
    return odataClient("execBatchRequests");
  },

  // JSON.
  async "@odata/client json"() {
    return odataClient("execBatchRequestsJson");
  },

  // JSON, with dependsOn.
  async "@microsoft/microsoft-graph-client"() {
    const { BatchRequestContent } = load("@microsoft/microsoft-graph-client");
    const step = (id, url, method, body, headers = {}) => ({
      id,
      request: new Request(`${root}/${url}`, {
        method,
        headers: body ? { ...jsonType, ...headers } : headers,
        body: body && JSON.stringify(body),
      }),
    });
    const batch = new BatchRequestContent([
      step("1", "Books", "POST", book("one")),
      step("2", "Books", "POST", book("two")),
      step("3", "Books('old')", "PATCH", { title: "Ünew" }, { "If-Match": etag }),
      step("4", "Books('old')", "GET"),
      step("5", "Books('none')", "GET"),
    ]);
    for (const [dependent, dependency] of [["2", "1"], ["3", "2"], ["4", "3"], ["5", "4"]]) {
      batch.addDependency(dependent, dependency);
    }
    const answer = await fetch(`${root}/$batch`, {
      method: "POST",
      headers: jsonType,
      body: JSON.stringify(await batch.getContent()),
    });
    // Its reader knows a body as JSON only below the name Content-Type in capitals, which the format forbids.
    const { responses } = await answer.json();
    return responses.map(({ status, body }) => ({ status, body: body ?? null }));
  },
};

async function odataClient(execute) {
  const { OData } = load("@odata/client");
  const service = OData.New4({ serviceEndpoint: `${root}/` });
  service.commonHeader = { ...service.commonHeader, Prefer: "continue-on-error" };
  const change = (method, entity, id) =>
    service.newBatchRequest({ collection: "Books", method, id, entity, withContentLength: false });
  const patch = await service.newBatchRequest({ collection: "Books", method: "PATCH", entity: { title: "Ünew" } });
  patch.url = "Books('old')";
  patch.init.headers = { ...patch.init.headers, "If-Match": etag };
  const read = async (url) => ({ ...(await service.newBatchRequest({ collection: "Books" })), url });
  const answers = await service[execute]([
    change("POST", book("one")),
    change("POST", book("two")),
    patch,
    read("Books('old')"),
    read("Books('none')"),
  ]);
  return Promise.all(
    answers.map(async (found) => {
      const text = (await found.text())?.trim();
      return { status: found.status, body: text ? JSON.parse(text) : null };
    }),
  );
}

console.log(JSON.stringify(await clients[client]()));
