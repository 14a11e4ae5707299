"""The container port on Azure Blob Storage (and Azurite).

A blob is written by one Put Blob, or by Put Block and one Put Block List: both make it appear whole. Like rows, blobs
carry the id of the write that made them, so that a lost answer can be told from somebody else's blob.
"""

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared.errors import StorageAnswerLost, StorageConflict, StorageUnavailable
from shared.settings import StorageConnection
from shared.storage.azure_calls import TRANSFER_SECONDS, call
from shared.storage.azure_errors import Kind, Missing
from shared.storage.blob_signing import UploadSigner
from shared.storage.connection import blobs_client
from shared.storage.limits import CHUNK_BYTES, check_blob_name, check_store_name
from shared.storage.ports import BlobInfo, BlobReader, Container

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient

_WRITE_ID = "writeid"
"""Metadata name; the service lower-cases these."""

_TRANSFER: dict[str, Any] = {"read_timeout": TRANSFER_SECONDS}
_TRIES = 3
_WHOLE_BYTES = 1024 * 1024
"""Above this aiohttp would write a bytes object in one go, holding up the event loop: such data goes in blocks."""


class AzureBlobs:
    """All containers of one storage account, through one client. Used from one event loop."""

    def __init__(self, connection: StorageConnection, **options: Any) -> None:
        """`options` go to the SDK's client; tests put a faulty transport there."""
        self._connection = connection
        self._options = options
        self._service: BlobServiceClient | None = None
        self._credential: AsyncTokenCredential | None = None
        self._signer: UploadSigner | None = None

    def container(self, name: str) -> Container:
        """The container; made by the first write that finds it missing, and before the first upload URL."""
        check_store_name(name)
        if self._service is None:
            self._service, self._credential = blobs_client(self._connection, **self._options)
        self._signer = self._signer or UploadSigner(self._service)
        return _AzureContainer(self._service.get_container_client(name), self._signer)

    async def aclose(self) -> None:
        if self._service is not None:
            await self._service.close()
        if self._credential is not None:
            await self._credential.close()


class _AzureContainer:
    def __init__(self, client: "ContainerClient", signer: UploadSigner) -> None:
        self._client = client
        self._signer = signer
        self._what = f"blob container {client.container_name}"
        self._exists = False

    async def put(
        self, name: str, data: bytes | AsyncIterable[bytes], *, content_type: str, overwrite: bool = True
    ) -> BlobInfo:
        check_blob_name(name)
        upload = _Upload(self._blob(name), name, content_type, overwrite)
        if isinstance(data, bytes) and len(data) <= _WHOLE_BYTES:
            return await self._once(upload, lambda: upload.send_whole(data), len(data))
        blocks: list[str] = []
        size = 0
        async for chunk in _chunks(data):
            blocks.append(await self._transfer(upload.block(chunk, len(blocks)), "repeatable"))
            size += len(chunk)
        return await self._once(upload, lambda: upload.send_list(blocks), size)

    async def info(self, name: str) -> BlobInfo | None:
        check_blob_name(name)
        found = await self._properties(self._blob(name))
        return None if found is None else _info(name, found)

    def open(self, name: str, *, if_match: str | None = None) -> AbstractAsyncContextManager[BlobReader | None]:
        return self._open(name, if_match)

    async def delete(self, name: str) -> bool:
        """True also where the deletion was done but its first answer was lost, False only where nothing was found."""
        check_blob_name(name)
        client = self._blob(name)
        lost: StorageAnswerLost | None = None
        for _ in range(_TRIES):
            try:
                await call(client.delete_blob, kind="once", what=f"{self._what}: delete")
            except Missing:
                return lost is not None
            except StorageAnswerLost as error:
                lost = error
            else:
                return True
        raise StorageUnavailable(f"{self._what}: delete: no answer") from lost

    async def upload_url(self, name: str, *, lifetime_seconds: int) -> str:
        check_blob_name(name)
        if not self._exists:
            await self._create()
        query = await self._signer.query(
            self._client.container_name, name, now=datetime.now(UTC), lifetime_seconds=lifetime_seconds
        )
        return f"{self._blob(name).url.partition('?')[0]}?{query}"

    @asynccontextmanager
    async def _open(self, name: str, if_match: str | None) -> AsyncGenerator[BlobReader | None, None]:
        check_blob_name(name)
        client = self._blob(name)

        async def first_request() -> tuple[Any, bytes]:
            stream = await client.download_blob(**_condition(if_match), **_TRANSFER)
            return stream.properties, await stream.read(CHUNK_BYTES) if stream.size else b""

        reader: BlobReader | None = None
        with suppress(Missing):
            properties, first = await call(
                first_request, kind="repeatable", what=f"{self._what}: open", seconds=TRANSFER_SECONDS
            )
            reader = _AzureReader(client, _info(name, properties), first, self._what)
        yield reader

    async def _once(self, upload: "_Upload", send: Callable[[], Awaitable[Any]], size: int) -> BlobInfo:
        """Make the blob visible; after a conflict or a lost answer, look whose blob is there."""
        lost: StorageAnswerLost | None = None
        for _ in range(_TRIES):
            try:
                answer = await self._transfer(send, "once")
                return BlobInfo(upload.name, size, str(answer["etag"]), upload.content_type)
            except (StorageConflict, StorageAnswerLost) as error:
                found = await self._properties(upload.client)
                if found is not None and found.metadata.get(_WRITE_ID) == upload.write_id:
                    return _info(upload.name, found)
                if isinstance(error, StorageConflict):
                    raise
                lost = error
        raise StorageUnavailable(f"{self._what}: put: no answer, and not done") from lost

    async def _transfer(self, send: Callable[[], Awaitable[Any]], kind: Kind) -> Any:
        what = f"{self._what}: put"
        return await call(send, kind=kind, what=what, create=self._client.create_container, seconds=TRANSFER_SECONDS)

    async def _properties(self, client: "BlobClient") -> Any:
        try:
            return await call(client.get_blob_properties, kind="repeatable", what=f"{self._what}: properties")
        except Missing:
            return None

    async def _create(self) -> None:
        with suppress(StorageConflict):  # it exists
            await call(self._client.create_container, kind="repeatable", what=f"{self._what}: create")
        self._exists = True

    def _blob(self, name: str) -> "BlobClient":
        return self._client.get_blob_client(name)


class _Upload:
    """One write of one blob."""

    def __init__(self, client: "BlobClient", name: str, content_type: str, overwrite: bool) -> None:
        from azure.storage.blob import ContentSettings  # noqa: PLC0415  # loaded with the client by now

        self.client = client
        self.name = name
        self.content_type = content_type
        self.write_id = uuid4().hex
        self._overwrite = overwrite
        self._common: dict[str, Any] = {
            "content_settings": ContentSettings(content_type=content_type),
            "metadata": {_WRITE_ID: self.write_id},
            **_TRANSFER,
        }

    def send_whole(self, data: bytes) -> Awaitable[Any]:
        return self.client.upload_blob(data, overwrite=self._overwrite, **self._common)

    def block(self, chunk: bytes, number: int) -> Callable[[], Awaitable[str]]:
        """A Put Block. Ids are this write's own, so that two writers of one blob do not mix their blocks."""
        block_id = b64encode(f"{self.write_id}{number:08d}".encode()).decode()

        async def send() -> str:
            await self.client.stage_block(block_id, BytesIO(chunk), length=len(chunk), **_TRANSFER)
            return block_id

        return send

    def send_list(self, blocks: list[str]) -> Awaitable[Any]:
        from azure.core import MatchConditions  # noqa: PLC0415  # loaded with the client by now
        from azure.storage.blob import BlobBlock  # noqa: PLC0415

        only_new: dict[str, Any] = {} if self._overwrite else {"match_condition": MatchConditions.IfMissing}
        return self.client.commit_block_list([BlobBlock(block) for block in blocks], **only_new, **self._common)


@dataclass(frozen=True, slots=True)
class _AzureReader:
    """Every ranged GET after the first asks for the etag the first one saw."""

    _client: "BlobClient"
    info: BlobInfo
    _first: bytes
    _what: str

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._first:
            yield self._first
        for offset in range(len(self._first), self.info.size, CHUNK_BYTES):
            yield await self._get(offset, min(CHUNK_BYTES, self.info.size - offset))

    async def _get(self, offset: int, length: int) -> bytes:
        async def request() -> bytes:
            stream = await self._client.download_blob(offset, length, **_condition(self.info.etag), **_TRANSFER)
            return await stream.readall()

        try:
            return await call(request, kind="repeatable", what=f"{self._what}: get", seconds=TRANSFER_SECONDS)
        except Missing as error:
            raise StorageConflict(f"{self._what}: a blob went away while it was read") from error


async def _chunks(data: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
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


def _info(name: str, properties: Any) -> BlobInfo:
    return BlobInfo(name, int(properties.size), str(properties.etag), str(properties.content_settings.content_type))


def _condition(etag: str | None) -> dict[str, Any]:
    from azure.core import MatchConditions  # noqa: PLC0415  # loaded with the client by now

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag is not None else {}
