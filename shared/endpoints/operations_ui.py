"""The page at /operations, on which people watch and steer operations.

It asks for no key and holds nothing that is not public: what it shows, it fetches from the list and the monitors with
the key that a person enters.
"""

import asyncio
from functools import cache
from pathlib import Path

from shared.contracts.conditions import hash_etag, is_not_modified
from shared.contracts.http import Request, Response
from shared.contracts.pages import OPERATIONS_FILES, OPERATIONS_HTML, operations_html, security_headers
from shared.endpoints.page_files import FRESH, PageFiles

FOLDER = Path(__file__).with_name("operations_page")


class OperationsPage:
    """`GET operations` and the files of that page."""

    def __init__(self) -> None:
        self._files = PageFiles({name: FOLDER / name for name in OPERATIONS_FILES})

    async def page(self, request: Request) -> Response:
        """The page: 200 with an ETag, or 304. Its requests go to the origin that it came from, and to no other."""
        content = operations_html(await asyncio.to_thread(_template), request.path)
        sent = {"ETag": hash_etag(content), **security_headers(), **FRESH}
        if is_not_modified(request.headers, sent["ETag"]):
            return Response(status=304, headers=sent)
        return Response(status=200, headers=sent, body=content, content_type="text/html")

    async def file(self, request: Request) -> Response:
        """A file of the page, as `PageFiles` answers it."""
        return await self._files.answer(request)


@cache
def _template() -> str:
    return (FOLDER / OPERATIONS_HTML).read_text(encoding="utf-8")
