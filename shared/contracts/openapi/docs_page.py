"""The page that shows the description: its HTML, its files, and what a browser may do on it. Pure.

The UI is Swagger UI as released; where its files lie is in `shared/endpoints/docs_files.py`. The page has no key and no
secret: a person enters a key, which stays in a variable of the page's script.
"""

from urllib.parse import urlsplit

UI_FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
OWN_FILES = ("page.js", "page.css")
CONTENT_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}

_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API description</title>
<link rel="icon" type="image/png" href="{files}favicon-32x32.png">
<link rel="stylesheet" href="{files}swagger-ui.css">
<link rel="stylesheet" href="{files}page.css">
</head>
<body data-description="{description}">
<form id="key" autocomplete="off">
<label for="key-field">Key</label>
<input id="key-field" type="password" autocomplete="off" spellcheck="false" placeholder="x-functions-key">
<button type="submit">Use this key</button>
<span id="key-note" role="status"></span>
</form>
<main id="ui"></main>
<noscript>This page needs JavaScript; the description itself is at <a href="{description}">{description}</a>.</noscript>
<script src="{files}swagger-ui-bundle.js"></script>
<script src="{files}page.js"></script>
</body>
</html>
"""


def html(path: str) -> bytes:
    """The page for a request of `path`: every link is relative, so that a route prefix or a gateway does no harm."""
    below = path.endswith("/")
    return _HTML.format(
        files="" if below else "docs/", description="../openapi.json" if below else "openapi.json"
    ).encode()


def security_headers(public_base_url: str | None) -> dict[str, str]:
    """Scripts and styles of our own only, no frames, no forms, and requests to this app alone.

    W3C, "Content Security Policy Level 3". Where the app's public address is another one, requests go there, too.
    """
    own = "'self'"
    if public_base_url:
        parts = urlsplit(public_base_url)
        own += f" {parts.scheme}://{parts.netloc}"
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": own,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
