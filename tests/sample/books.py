"""Books for end-to-end tests: the real one, and larger ones made of its chapters."""

import zipfile
from functools import cache
from typing import Any

import httpx

from tests.sample.real_epub import debian_policy_epub
from tests.support.epubs import make_epub
from tests.support.lro import run


@cache
def real_chapters() -> tuple[bytes, ...]:
    """The documents of the Debian Policy Manual, about 1 MB of XHTML."""
    with zipfile.ZipFile(debian_policy_epub()) as book:
        return tuple(book.read(name) for name in book.namelist() if name.endswith(".xhtml"))


@cache
def large_epub(times: int) -> bytes:
    """The real book's chapters, over and over: about 210 KB and 0.1 s of reading each time."""
    return make_epub(chapters=real_chapters() * times, title=f"Policy, {times} times")


def upload(client: httpx.Client, book: str, epub: bytes) -> dict[str, str]:
    """Start an upload and send the file; the body that finishes it."""
    started = run(client, f"/book/{book}:upload-start", {"fileName": f"{book}.epub", "size": len(epub)})
    result: dict[str, Any] = started["result"]
    sent = httpx.put(result["uploadUrl"], content=epub, headers={"x-ms-blob-type": "BlockBlob"}, verify=False)
    assert sent.status_code == 201, sent.text
    return {"transactionId": result["transactionId"]}
