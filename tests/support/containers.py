"""A container whose requests go by way of somebody else, who counts them, delays them, or lets them fail."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from shared.storage.ports import BlobInfo, BlobReader, Container

T = TypeVar("T")


@dataclass(frozen=True)
class ContainerBehind(ABC):
    """A request is told of in words: the method and the blob, or the prefix."""

    inner: Container

    @abstractmethod
    async def change(self, what: str, do: Callable[[], Awaitable[T]]) -> T:
        """Around a request that writes or deletes."""

    @abstractmethod
    async def look(self, what: str, do: Callable[[], Awaitable[T]]) -> T:
        """Around a request that reads."""

    @abstractmethod
    def reading(self, name: str) -> AbstractAsyncContextManager[None]:
        """Around the time in which a blob is open."""

    @abstractmethod
    def put_is_asked(self, name: str) -> None:
        """Called before a blob is written."""

    async def put(
        self, name: str, data: bytes | AsyncIterable[bytes], *, content_type: str, overwrite: bool = True
    ) -> BlobInfo:
        self.put_is_asked(name)
        put = self.inner.put
        return await self.change(f"put {name}", lambda: put(name, data, content_type=content_type, overwrite=overwrite))

    async def info(self, name: str) -> BlobInfo | None:
        return await self.look(f"info {name}", lambda: self.inner.info(name))

    @asynccontextmanager
    async def open(self, name: str, *, if_match: str | None = None) -> AsyncGenerator[BlobReader | None]:
        async with self.reading(name), self.inner.open(name, if_match=if_match) as reader:
            yield reader

    async def delete(self, name: str) -> bool:
        return await self.change(f"delete {name}", lambda: self.inner.delete(name))

    async def list(self, prefix: str, *, limit: int = 1000) -> Sequence[str]:
        return await self.look(f"list {prefix}", lambda: self.inner.list(prefix, limit=limit))

    async def upload_url(self, name: str, *, lifetime_seconds: int) -> str:
        return await self.inner.upload_url(name, lifetime_seconds=lifetime_seconds)

    async def download_url(self, name: str, *, lifetime_seconds: int, disposition: str) -> str:
        return await self.inner.download_url(name, lifetime_seconds=lifetime_seconds, disposition=disposition)
