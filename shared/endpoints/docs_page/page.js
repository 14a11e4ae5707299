"use strict";

(() => {
  const KEY_HEADER = "x-functions-key";
  const KEY_SCHEME = "functionKey";
  const form = document.getElementById("key");
  const field = document.getElementById("key-field");
  const note = document.getElementById("key-note");
  const description = new URL(document.body.dataset.description, location.href);

  // The key lives here and nowhere else: not in storage, not in a cookie, not in a URL, not in what the page shows.
  let key = "";

  // Swagger UI's own dialog would show the key in its curl commands; it keeps the other schemes.
  function withoutKeyScheme(document) {
    delete (document.components.securitySchemes || {})[KEY_SCHEME];
    for (const needed of document.security || []) {
      delete needed[KEY_SCHEME];
    }
    document.security = (document.security || []).filter((needed) => Object.keys(needed).length);
    return document;
  }

  function show(document) {
    const own = new Set([location.origin]);
    for (const server of document.servers || []) {
      own.add(new URL(server.url, description).origin);
    }
    window.SwaggerUIBundle({
      domNode: window.document.getElementById("ui"),
      spec: withoutKeyScheme(document),
      deepLinking: true,
      displayRequestDuration: true,
      persistAuthorization: false,
      tryItOutEnabled: true,
      validatorUrl: null,
      // Commands are made from the request as it was before the key was added.
      showMutatedRequest: false,
      requestInterceptor(request) {
        if (key && own.has(new URL(request.url, location.href).origin)) {
          request.headers[KEY_HEADER] = key;
        }
        return request;
      },
    });
  }

  async function load() {
    let headers;
    try {
      headers = new Headers(key ? { [KEY_HEADER]: key } : {});
    } catch {
      key = "";
      note.textContent = "That is no key: it has characters that no header can have.";
      return;
    }
    let answer;
    try {
      answer = await fetch(description, { headers, cache: "no-store" });
    } catch {
      note.textContent = "The app cannot be reached.";
      return;
    }
    if (answer.ok) {
      note.textContent = key ? "The key is in use until this page is left." : "No key was needed to read this.";
      show(await answer.json());
    } else if (answer.status === 401 || answer.status === 403) {
      note.textContent = key ? "That key does not open the description." : "Enter a host-level key of this app.";
    } else {
      note.textContent = `The description cannot be read: ${answer.status}.`;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    key = field.value.trim();
    field.value = "";
    load();
  });

  load();
})();
