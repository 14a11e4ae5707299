"""The page that shows the description: its HTML and its files. Pure.

The UI is Swagger UI as released; where its files lie is in `shared/endpoints/docs_files.py`. The page has no key and no
secret: a person enters a key, which stays in a variable of the page's script.
"""

UI_FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
OWN_FILES = ("page.js", "page.css")

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
