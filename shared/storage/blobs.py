"""The container port on Azure Blob Storage (and Azurite).

A blob is written by one Put Blob, or by Put Block and one Put Block List: both make it appear whole. Like rows, blobs
carry the id of the write that made them, so that a lost answer can be told from somebody else's blob.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.errors import StorageAnswerLost, StorageConflict, StorageUnavailable
from shared.frozen import frozen
from shared.model.timing import Clock
from shared.settings import StorageConnection
from shared.storage.azure_calls import CALL_TIMES, CallTimes, call, condition
from shared.storage.azure_errors import Kind, Missing
from shared.storage.blob_signing import UrlSigner
from shared.storage.blob_uploads import WRITE_ID, BlobUpload, for_transfer, in_chunks
from shared.storage.connection import Account, blobs_client
from shared.storage.limits import CHUNK_BYTES, check_blob_name, check_blob_prefix, check_store_name
from shared.storage.ports import BlobInfo, BlobReader, Container
from shared.system_clock import SystemClock

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient  # noqa: F401 - named in a base

_TRIES = 3
_LISTED = 1000
_WHOLE_BYTES = 1024 * 1024
"""Above this aiohttp would write a bytes object in one go, holding up the event loop: such data goes in blocks."""


class AzureBlobs(Account["BlobServiceClient"]):
    """All containers of one storage account."""

    def __init__(
        self,
        connection: StorageConnection,
        *,
        clock: Clock | None = None,
        times: CallTimes = CALL_TIMES,
        **options: Any,
    ) -> None:
        """`options` go to the SDK's client; tests put a faulty transport there."""
        super().__init__(lambda: blobs_client(connection, **options))
        self._clock = clock or SystemClock()
        self._times = times
        self._signer: UrlSigner | None = None

    def container(self, name: str) -> Container:
        """The container; made by the first write that finds it missing, and before the first upload URL."""
        check_store_name(name)
        self._signer = self._signer or UrlSigner(self.client, times=self._times)
        return _AzureContainer(self.client.get_container_client(name), self._signer, self._clock, self._times)

    async def names(self) -> list[str]:
        """The account's containers."""

        async def listed() -> list[str]:
            return [str(each.name) async for each in self.client.list_containers()]

        return await call(listed, kind="repeatable", what="containers: list", times=self._times)

    async def blobs(self, container: str) -> AsyncIterator[str]:
        """The names of a container's blobs."""
        client = self.client.get_container_client(container)
        token: str | None = None

        async def one_page(after: str | None) -> tuple[list[str], str | None]:
            pages: Any = client.list_blobs(results_per_page=_LISTED).by_page(continuation_token=after)
            return [str(each.name) async for each in await anext(pages)], pages.continuation_token

        while True:
            found, token = await call(
                partial(one_page, token), kind="repeatable", what=f"{container}: list", times=self._times
            )
            for name in found:
                yield name
            if not token:
                return


class _AzureContainer:
    def __init__(self, client: "ContainerClient", signer: UrlSigner, clock: Clock, times: CallTimes) -> None:
        self._client = client
        self._signer = signer
        self._clock = clock
        self._times = times
        self._what = f"blob container {client.container_name}"
        self._exists = False

    async def put(
        self, name: str, data: bytes | AsyncIterable[bytes], *, content_type: str, overwrite: bool = True
    ) -> BlobInfo:
        check_blob_name(name)
        upload = BlobUpload(self._blob(name), name, content_type, overwrite, for_transfer(self._times))
        if isinstance(data, bytes) and len(data) <= _WHOLE_BYTES:
            return await self._once(upload, lambda: upload.send_whole(data), len(data))
        blocks: list[str] = []
        size = 0
        async for chunk in in_chunks(data):
            blocks.append(await self._transfer(upload.block(chunk, len(blocks)), "repeatable"))
            size += len(chunk)
        return await self._once(upload, lambda: upload.send_list(blocks), size)

    async def info(self, name: str) -> BlobInfo | None:
        check_blob_name(name)
        found = await self._properties(self._blob(name))
        return None if found is None else _info(name, found)

    async def delete(self, name: str) -> bool:
        """True also where the deletion was done but its first answer was lost, False only where nothing was found."""
        check_blob_name(name)
        client = self._blob(name)
        lost: StorageAnswerLost | None = None
        for _ in range(_TRIES):
            try:
                await self._call(client.delete_blob, "delete", "once")
            except Missing:
                return lost is not None
            except StorageAnswerLost as error:
                lost = error
            else:
                return True
        raise StorageUnavailable(f"{self._what}: delete: no answer") from lost

    async def list(self, prefix: str, *, limit: int = 1000) -> Sequence[str]:
        check_blob_prefix(prefix)

        async def names() -> list[str]:
            found: list[str] = []
            async for name in self._client.list_blob_names(name_starts_with=prefix, results_per_page=limit):
                found.append(name)
                if len(found) == limit:
                    break
            return found

        try:
            return await self._call(names, "list")
        except Missing:
            return []

    async def upload_url(self, name: str, *, lifetime_seconds: int) -> str:
        check_blob_name(name)
        if not self._exists:
            with suppress(StorageConflict):  # another process has made it
                await self._call(self._client.create_container, "create")
            self._exists = True
        return await self._signed(name, lifetime_seconds)

    async def download_url(self, name: str, *, lifetime_seconds: int, disposition: str) -> str:
        check_blob_name(name)
        return await self._signed(name, lifetime_seconds, disposition)

    async def _signed(self, name: str, lifetime_seconds: int, disposition: str | None = None) -> str:
        query = await self._signer.query(
            self._client.container_name,
            name,
            now=self._clock.now(),
            lifetime_seconds=lifetime_seconds,
            disposition=disposition,
        )
        return f"{self._blob(name).url.partition('?')[0]}?{query}"

    @asynccontextmanager
    async def open(self, name: str, *, if_match: str | None = None) -> AsyncGenerator[BlobReader | None, None]:
        check_blob_name(name)
        client = self._blob(name)

        async def first_request() -> tuple[Any, bytes]:
            stream = await client.download_blob(**condition(if_match), **for_transfer(self._times))
            return stream.properties, await stream.read(CHUNK_BYTES) if stream.size else b""

        reader: BlobReader | None = None
        with suppress(Missing):
            properties, first = await call(
                first_request, kind="repeatable", what=f"{self._what}: open", times=self._times, transfer=True
            )
            reader = _AzureReader(client, _info(name, properties), first, self._what, self._times)
        yield reader

    async def _once(self, upload: BlobUpload, send: Callable[[], Awaitable[Any]], size: int) -> BlobInfo:
        """Make the blob visible; after a conflict or a lost answer, look whose blob is there."""
        lost: StorageAnswerLost | None = None
        for _ in range(_TRIES):
            try:
                answer = await self._transfer(send, "once")
                return BlobInfo(upload.name, size, str(answer["etag"]), upload.content_type)
            except (StorageConflict, StorageAnswerLost) as error:
                found = await self._properties(upload.client)
                if found is not None and found.metadata.get(WRITE_ID) == upload.write_id:
                    return _info(upload.name, found)
                if isinstance(error, StorageConflict):
                    raise
                lost = error
        raise StorageUnavailable(f"{self._what}: put: no answer, and not done") from lost

    async def _transfer(self, send: Callable[[], Awaitable[Any]], kind: Kind) -> Any:
        return await call(
            send,
            kind=kind,
            what=f"{self._what}: put",
            create=self._client.create_container,
            times=self._times,
            transfer=True,
        )

    async def _properties(self, client: "BlobClient") -> Any:
        try:
            return await self._call(client.get_blob_properties, "properties")
        except Missing:
            return None

    async def _call(self, send: Callable[[], Awaitable[Any]], what: str, kind: Kind = "repeatable") -> Any:
        return await call(send, kind=kind, what=f"{self._what}: {what}", times=self._times)

    def _blob(self, name: str) -> "BlobClient":
        return self._client.get_blob_client(name)


@frozen
class _AzureReader:
    """Every ranged GET after the first asks for the etag the first one saw."""

    _client: "BlobClient"
    info: BlobInfo
    _first: bytes
    _what: str
    _times: CallTimes

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._first:
            yield self._first
        for offset in range(len(self._first), self.info.size, CHUNK_BYTES):
            yield await self._get(offset, min(CHUNK_BYTES, self.info.size - offset))

    async def _get(self, offset: int, length: int) -> bytes:
        async def request() -> bytes:
            options = {**condition(self.info.etag), **for_transfer(self._times)}
            stream = await self._client.download_blob(offset, length, **options)
            return await stream.readall()

        try:
            what = f"{self._what}: get"
            return await call(request, kind="repeatable", what=what, times=self._times, transfer=True)
        except Missing as error:
            raise StorageConflict(f"{self._what}: a blob went away while it was read") from error


def _info(name: str, properties: Any) -> BlobInfo:
    return BlobInfo(name, int(properties.size), str(properties.etag), str(properties.content_settings.content_type))
