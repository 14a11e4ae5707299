"""Faults between us and a store: a table that loses answers, and transports that do so on the wire."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport

from shared.errors import StorageAnswerLost, StorageUnavailable
from shared.storage.ports import Change, Page, Row, Table

Fault = Literal["none", "lost-after", "lost-before", "sent-twice"]


@dataclass
class FaultyTable:
    """`faults` are used up one a write; then all goes well."""

    inner: Table
    faults: list[Fault]
    unreadable: bool = False
    writes: int = 0
    reads: list[Sequence[str] | None] = field(default_factory=list)

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        self.reads.append(columns)
        if self.unreadable:
            raise StorageUnavailable("not now")
        return await self.inner.read(partition, key, columns=columns)

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        self.writes += 1
        fault = self.faults.pop(0) if self.faults else "none"
        if fault == "lost-before":
            raise StorageAnswerLost("the request never arrived")
        etags = await self.inner.write(partition, changes)
        if fault == "lost-after":
            raise StorageAnswerLost("the answer never arrived")
        if fault == "sent-twice":
            return await self.inner.write(partition, changes)
        return etags

    async def page(self, partition: str, **arguments: Any) -> Page:
        return await self.inner.page(partition, **arguments)


class FaultyTransport(AioHttpTransport):
    """Does the first `times` requests with one of `methods` and then does as if it had not."""

    def __init__(self, fault: Literal["broken", "500"], times: int, methods: str = "POST PUT PATCH DELETE") -> None:
        super().__init__(connection_timeout=2, read_timeout=4)
        self.fault = fault
        self.times = times
        self.methods = methods.split()

    async def send(self, request: Any, **config: Any) -> Any:
        response = await super().send(request, **config)
        # Nothing went wrong yet while the service itself complains, e.g. of a missing table.
        if request.method not in self.methods or response.status_code >= 300 or self.times == 0:
            return response
        if request.url.endswith("/Tables") or "restype=container" in request.url:
            return response
        self.times -= 1
        if self.fault == "broken":
            raise ServiceResponseError("the connection broke")
        response.status_code = 500
        return response
