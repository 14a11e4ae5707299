"""One write of one blob to Azure: the requests it is made of, each marked with the write's id."""

from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared.storage.azure_calls import CallTimes
from shared.storage.limits import CHUNK_BYTES

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient

WRITE_ID = "writeid"
"""Metadata name; the service lower-cases these."""


class BlobUpload:
    """One write of one blob."""

    def __init__(
        self, client: "BlobClient", name: str, content_type: str, overwrite: bool, options: Mapping[str, Any]
    ) -> None:
        """`options` go with every request that transfers data."""
        from azure.storage.blob import ContentSettings  # noqa: PLC0415  # loaded with the client by now

        self.client = client
        self.name = name
        self.content_type = content_type
        self.write_id = uuid4().hex
        self._overwrite = overwrite
        self._options = options
        self._common: dict[str, Any] = {
            "content_settings": ContentSettings(content_type=content_type),
            "metadata": {WRITE_ID: self.write_id},
            **options,
        }

    def send_whole(self, data: bytes) -> Awaitable[Any]:
        return self.client.upload_blob(data, overwrite=self._overwrite, **self._common)

    def block(self, chunk: bytes, number: int) -> Callable[[], Awaitable[str]]:
        """A Put Block. Ids are this write's own, so that two writers of one blob do not mix their blocks."""
        block_id = b64encode(f"{self.write_id}{number:08d}".encode()).decode()

        async def send() -> str:
            await self.client.stage_block(block_id, BytesIO(chunk), length=len(chunk), **self._options)
            return block_id

        return send

    def send_list(self, blocks: list[str]) -> Awaitable[Any]:
        from azure.core import MatchConditions  # noqa: PLC0415  # loaded with the client by now
        from azure.storage.blob import BlobBlock  # noqa: PLC0415

        only_new: dict[str, Any] = {} if self._overwrite else {"match_condition": MatchConditions.IfMissing}
        return self.client.commit_block_list([BlobBlock(block) for block in blocks], **only_new, **self._common)


def for_transfer(times: CallTimes) -> dict[str, Any]:
    return {"read_timeout": times.transfer}


async def in_chunks(data: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The data in pieces of at most one chunk; small pieces are joined, so that blocks stay few (50,000 at most)."""
    if isinstance(data, bytes):
        for offset in range(0, len(data), CHUNK_BYTES):
            yield data[offset : offset + CHUNK_BYTES]
        return
    waiting = bytearray()
    async for piece in data:
        waiting += piece
        while len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]
    if waiting:
        yield bytes(waiting)
