"""Results that are files: fetched piece by piece, so that a lost connection costs one piece. Without I/O of its own.

The file lies where its result says, at a URL that needs no credential and lives for a while; a new one comes with each
look at the operation. Ranges are those of RFC 9110, section 14, as Azure Blob Storage serves them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, cast

from lro_client.errors import MonitorGone, ResultMismatch, UnexpectedAnswer
from lro_client.exchange import addressed, exchange
from lro_client.messages import Answer, Headers, Request
from lro_client.reasons import error_of
from lro_client.steps import Steps
from lro_client.tracker import Tracker
from lro_client.urls import resolve

PIECE = 8 * 1024 * 1024
"""Bytes of one request."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the service tells of a file. `size` in bytes, `sha256` in hex; `url` reads it until it expires."""

    name: str
    content_type: str
    size: int
    sha256: str
    url: str


def file_in(value: Any) -> RemoteFile | None:
    """The file that a result tells of; None where it is something else."""
    if not isinstance(value, dict):
        return None
    told = cast("dict[str, Any]", value)
    texts = [told.get(name) for name in ("fileName", "contentType", "sha256", "downloadUrl")]
    size = told.get("size")
    if not all(isinstance(each, str) for each in texts) or not isinstance(size, int) or isinstance(size, bool):
        return None
    name, content_type, digest, url = cast("list[str]", texts)
    return RemoteFile(name, content_type, size, digest.lower(), url)


def local_name(name: str) -> str:
    """What a file is called in a folder of the caller's, who has not chosen the name: no path, no hidden file."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(each if each.isprintable() and each not in ':*?"<>|' else "_" for each in last).strip(" .")
    return kept or "result"


class Download:
    """The pieces of one file, one after another, and whether they are what was announced."""

    def __init__(self, tracker: Tracker, file: RemoteFile, deadline: float | None) -> None:
        self.file = file
        self._tracker = tracker
        self._deadline = deadline
        self._position = 0
        self._etag: str | None = None
        self._digest = sha256()

    def pieces(self) -> Iterator[Steps[bytes]]:
        """The steps of one piece after another.

        Raises:
            UnexpectedAnswer: the service answers something else, or what came is not what was announced.
            MonitorGone: the file was removed.
            ServiceUnreachable, StoppedWaiting, WaitCanceled: as of any look at the operation.
        """
        while self._position < self.file.size:
            yield self._tracker.guarded(self._next())
        if self._digest.hexdigest() != self.file.sha256:
            raise UnexpectedAnswer("The file is not what was announced: its SHA-256 is another.")

    def _next(self) -> Steps[bytes]:
        is_new = False
        while True:
            answer = yield from self._asked()
            # What has expired is signed anew with the next look.
            if answer.status_code not in (401, 403) or is_new:
                break
            yield from self._renew()
            is_new = True
        piece = self._read(answer)
        self._position += len(piece)
        self._digest.update(piece)
        return piece

    def _asked(self) -> Steps[Answer]:
        tracker, last = self._tracker, self._position + PIECE - 1
        headers = Headers({"Accept": "*/*", "Accept-Encoding": "identity", "Range": f"bytes={self._position}-{last}"})
        if self._etag is not None:
            headers = headers.merged({"If-Match": self._etag})
        url = resolve(tracker.track.monitor_url or tracker.home, self.file.url)
        request = addressed(Request("GET", url, headers), tracker.home, tracker.settings)
        return exchange(request, tracker.settings, deadline=self._deadline)

    def _read(self, answer: Answer) -> bytes:
        code = answer.status_code
        if code in (404, 410):
            raise MonitorGone("The file is not there any more: it went with its operation.", answer=answer)
        if code == 412:
            raise UnexpectedAnswer("The file has changed while it was downloaded.", answer=answer)
        if code == 200 and self._position == 0:
            piece = answer.body
        elif code == 206:
            found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip())
            if found is None or int(found[1]) != self._position:
                raise UnexpectedAnswer("The service answered with another part of the file.", answer=answer)
            piece = answer.body
        else:
            error = error_of(answer)
            raise UnexpectedAnswer(f"The file was not handed out: {code}{f' {error}' if error else ''}.", answer=answer)
        if not piece or self._position + len(piece) > self.file.size:
            raise UnexpectedAnswer(f"The file has not the {self.file.size} bytes that were announced.", answer=answer)
        self._etag = answer.headers.get("etag", "") or None
        return piece

    def _renew(self) -> Steps[None]:
        """Look at the operation again, for a URL that has not expired."""
        monitor = self._tracker.track.monitor_url
        answer = (yield from self._tracker.look_at(monitor, self._deadline)) if monitor else None
        body: dict[str, Any] = (answer.object() if answer is not None and answer.status_code == 200 else None) or {}
        found = next((file for each in ("result", "properties") if (file := file_in(body.get(each)))), file_in(body))
        if found is not None and found.sha256 == self.file.sha256:
            self.file = replace(self.file, url=found.url)


def download_of(tracker: Tracker, value: Any, deadline: float | None) -> Download:
    """Raises ResultMismatch where the result is no file."""
    file = file_in(value)
    if file is None:
        raise ResultMismatch("The result is no file.", monitor_url=tracker.track.monitor_url)
    return Download(tracker, file, deadline)
