"""Which URLs are followed, and which of them may see a credential."""

import re
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit, urlunsplit

from lro_client.errors import UnsafeUrl

MAX_URL = 16 * 1024
"""Characters. ARM monitors carry 6 KB and more in a query."""

_SECRETS = frozenset(
    {"access_token", "api-key", "api_key", "apikey", "code", "key", "password", "sig", "subscription-key", "token"}
)
_PORTS = {"http": 80, "https": 443}
_BETWEEN = re.compile(r"\s*,\s+|\s*,(?=https?://|/)", re.IGNORECASE)
"""Between two values of a header that somebody joined. A comma alone may be part of a URL."""


def check(url: str) -> str:
    """`url`, which is absolute, http or https, without user and password, and not too long.

    Raises:
        UnsafeUrl: it is not.
    """
    if len(url) > MAX_URL:
        raise UnsafeUrl(f"a URL of {len(url)} characters is longer than the {MAX_URL} that are followed")
    if any(ord(character) <= 32 or ord(character) == 127 for character in url) or "\\" in url:
        raise UnsafeUrl(f"not a URL: {_shown(url)}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnsafeUrl(f"not a URL: {_shown(url)}") from None
    if parts.scheme.lower() not in _PORTS or not parts.hostname or port == 0:
        raise UnsafeUrl(f"not an absolute http or https URL: {_shown(url)}")
    if "@" in parts.netloc:
        raise UnsafeUrl("a URL with a user name or a password in it is not followed")
    return url


def resolve(base: str, found: str) -> str:
    """The absolute URL that a header or a body names, read as a reference against `base` (RFC 3986, section 5).

    A header that came twice with one value is that value, and a space is `%20`, as browsers read it.

    Raises:
        UnsafeUrl: it is no URL, or leads from https to http.
    """
    found = found.strip()
    if not found or len(found) > MAX_URL:
        raise UnsafeUrl(f"a URL of {len(found)} characters is not followed")
    try:
        url = check(urljoin(base, _once(found).replace(" ", "%20")))
    except ValueError:
        raise UnsafeUrl(f"not a URL: {_shown(found)}") from None
    if urlsplit(base).scheme.lower() == "https" and urlsplit(url).scheme.lower() == "http":
        raise UnsafeUrl(f"{without_query(url)} is http, but the operation was started over https")
    return url


def _once(found: str) -> str:
    values = set(_BETWEEN.split(found))
    if len(values) > 1 and all(is_absolute(value) or value.startswith("/") for value in values):
        raise UnsafeUrl(f"there are {len(values)} URLs where there should be one: {_shown(found)}")
    return values.pop() if len(values) == 1 else found


def _shown(text: str) -> str:
    """The beginning of what may be no URL, without anything that may be its query: queries can hold keys."""
    return repr(re.split(r"[?#]", text, maxsplit=1)[0][:200])


def is_absolute(url: str) -> bool:
    """Whether it begins with http or https, and is no path."""
    return url.lower().startswith(("http:", "https:"))


def below(endpoint: str, path: str) -> str:
    """The URL of a path: one with a slash in front begins at the origin, any other one below the endpoint. A query of
    the endpoint comes last."""
    if path.startswith("/"):
        return urljoin(endpoint, path)
    # Not urljoin: it takes the colon of "book/x:upload" for that of a scheme.
    head, _, tail = endpoint.partition("?")
    return f"{head.rstrip('/')}/{path}{f'&{tail}' if tail and '?' in path else f'?{tail}' if tail else ''}"


def normalized(url: str) -> str:
    """`url` as it is compared: schemes and hosts have no case, ports a default (RFC 3986, 6.2.2 and 6.2.3)."""
    parts = urlsplit(url)
    return f"{origin(url)}{parts.path or '/'}?{parts.query}"


def origin(url: str) -> str:
    """Scheme, host and port as `https://host:443` (RFC 6454, section 4): what a credential is kept to."""
    parts = urlsplit(check(url))
    scheme = parts.scheme.lower()
    host = (parts.hostname or "").lower().rstrip(".")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{parts.port or _PORTS[scheme]}"


def is_trusted(url: str, start: str, allowed: Collection[str] = ()) -> bool:
    """Whether `url` may see the credentials that were given for `start`."""
    return origin(url) in {origin(start), *(origin(other) for other in allowed)}


def is_loopback(url: str) -> bool:
    """Whether the URL leads to this machine, where http gives nothing away."""
    host = (urlsplit(url).hostname or "").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def with_api_version(url: str, start: str) -> str:
    """`url` with the `api-version` of `start`, where it has none and lies at the same origin.

    Services that leave it out of monitor URLs demand it all the same (Azure.Core appends it too).
    """
    version = query_value(start, "api-version")
    if version is None or query_value(url, "api-version") is not None or origin(url) != origin(start):
        return url
    parts = urlsplit(url)
    added = f"api-version={quote(version, safe='')}"
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))


def query_value(url: str, name: str) -> str | None:
    """The first value of a query parameter, its name in any case."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return next((value for key, value in pairs if key.lower() == name.lower()), None)


def same_resource(one: str, other: str) -> bool:
    """Whether two URLs differ in their queries at most."""
    paths = [unquote(urlsplit(url).path).rstrip("/") for url in (one, other)]
    return origin(one) == origin(other) and paths[0] == paths[1]


def is_same_base(one: str, other: str) -> bool:
    """Whether what lies below the one lies below the other: origin and path, without a slash at its end."""
    return (origin(one), urlsplit(one).path.rstrip("/")) == (origin(other), urlsplit(other).path.rstrip("/"))


def last_segment(url: str) -> str:
    """The last part of the path that is not empty: what SDKs take for the operation's id."""
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])


def append_to_path(url: str, added: str) -> str:
    """`url` with something more at the end of its path, before the query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + added))


def without_query(url: str) -> str:
    """`url` as it may be shown: queries can hold what is nobody's business."""
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))


def secrets_in(url: str) -> list[str]:
    """Names of query parameters that look like keys."""
    return sorted({name.lower() for name, _ in parse_qsl(urlsplit(url).query) if name.lower() in _SECRETS})


def without_secrets(url: str) -> str:
    """`url` without query parameters that look like keys."""
    parts = urlsplit(url)
    kept = [part for part in parts.query.split("&") if unquote(part.partition("=")[0]).lower() not in _SECRETS]
    return urlunsplit(parts._replace(query="&".join(kept)))
