"""The app's description and the page that shows it."""

import asyncio
import json
from functools import lru_cache
from hashlib import sha256

from shared.composition import Application
from shared.contracts import docs_page, headers
from shared.contracts.arm_headers import is_not_modified
from shared.contracts.http import Request, Response
from shared.contracts.openapi import VERSIONS
from shared.contracts.paging import KEYS
from shared.endpoints.docs_files import is_installed, page_file
from shared.errors import RequestError

_PARAMETERS = frozenset({"version", "api-version"})
_FRESH = {"Cache-Control": "no-cache"}
"""Kept, and asked for again each time: an ETag makes that cheap."""


class Description:
    """`GET openapi.json`, `GET docs` and the files of that page."""

    def __init__(self, application: Application) -> None:
        self._app = application
        # A caller chooses the address where no setting does, so only a few are kept.
        self._written = lru_cache(maxsize=8)(self._write)

    async def openapi(self, request: Request) -> Response:
        """The description: 200 with an ETag, 304 for one that is known. Raises RequestError 400 for an odd query."""
        headers.owner(request, self._app.settings)
        version = _version(request)
        base = headers.base_url(request, self._app.settings)
        body, etag = await asyncio.to_thread(self._written, base, version)
        sent = {"ETag": etag, **_FRESH}
        if is_not_modified(request.headers, etag):
            return Response(status=304, headers=sent)
        return Response(status=200, headers=sent, body=body, content_type="application/json")

    async def page(self, request: Request) -> Response:
        """The page. Anybody may have it: what it shows, it fetches with the key that a person enters."""
        if not is_installed():
            message = "This app is deployed without the package of the page; the description is at openapi.json."
            raise RequestError(404, "PageNotInstalled", message)
        sent = {**docs_page.security_headers(self._app.settings.public_base_url), **_FRESH}
        content = docs_page.html(request.path)
        return Response(status=200, headers=sent, body=content, content_type="text/html")

    async def file(self, request: Request) -> Response:
        """A file of the page: 200 with an ETag, compressed where the caller takes that; 304; 404."""
        name = request.route["file"]
        found = await asyncio.to_thread(page_file, name)
        if found is None:
            raise RequestError(404, "RouteNotFound", "There is nothing at this path.")
        # Weak: the same tag stands for the compressed bytes (RFC 9110, 8.8.3.3).
        sent = {"ETag": f"W/{found.etag}", "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff", **_FRESH}
        if is_not_modified(request.headers, found.etag):
            return Response(status=304, headers=sent)
        content = found.content
        if found.compressed is not None and _takes_gzip(request):
            content, sent["Content-Encoding"] = found.compressed, "gzip"
        return Response(status=200, headers=sent, body=content, content_type=found.content_type)

    def _write(self, base: str, version: str) -> tuple[bytes, str]:
        # Late: pydantic's schema generator takes a cold start's time, and few starts are followed by this.
        from shared.contracts.openapi.document import describe  # noqa: PLC0415
        from shared.contracts.openapi.examples import read_examples  # noqa: PLC0415

        registry = self._app.registry
        document = describe(
            registry,
            self._app.settings,
            base_url=base,
            version=version,
            examples=read_examples(registry.example_files),
        )
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return body, f'"{sha256(body).hexdigest()[:32]}"'


def _version(request: Request) -> str:
    query = {name.lower(): value for name, value in request.query.items()}
    for name in query:
        if name not in _PARAMETERS | KEYS:
            raise RequestError(400, "UnknownQueryParameter", f"There is no query parameter {name!r}.", target=name)
    version = query.get("version", "3.1")
    if version not in VERSIONS:
        message = f"This version of OpenAPI is not offered; there are {', '.join(VERSIONS)}."
        raise RequestError(400, "UnsupportedOpenApiVersion", message, target="version")
    return version


def _takes_gzip(request: Request) -> bool:
    """RFC 9110, 12.5.3; a weight of zero refuses it."""
    for element in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = element.strip().partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
