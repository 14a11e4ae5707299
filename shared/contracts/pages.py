"""The pages for people: what they are made of, and what a browser may do on them. Pure."""

from urllib.parse import urlsplit

CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}

OPERATIONS_HTML = "page.html"
OPERATIONS_FILES = (
    *("page.js", "acts.js", "api.js", "details.js", "filters.js", "states.js", "view.js"),
    *("base.css", "page.css", "screens.css", "icon.svg"),
)
"""Those of the page at /operations, in `shared/endpoints/operations_page`."""


def security_headers(public_base_url: str | None = None) -> dict[str, str]:
    """Scripts and styles of our own only, no frames, no forms, and requests to this app alone.

    W3C, "Content Security Policy Level 3". Where a page asks the app at its public address, and that is another one,
    requests go there, too.
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


def operations_html(template: str, path: str) -> bytes:
    """The page for a request of `path`: every link is relative, so that a route prefix or a gateway does no harm."""
    return template.replace("{root}", "../" if path.endswith("/") else "./").encode()
