"""Clients for Azure data-plane services (Azure REST API Guidelines, "Long-Running Operations & Jobs")."""

from typing import Any, TypeVar, Unpack, overload
from uuid import uuid4

from lro_client.client import LroClient, RunOptions, StartWithin
from lro_client.client_async import AsyncLroClient
from lro_client.model import Profile
from lro_client.operation import AsyncOperation, Operation
from lro_client.starting import StartOptions

T = TypeVar("T")


class DataPlaneClient(LroClient):
    """A client of a service that answers with `Operation-Location`, blocking.

    Its POSTs carry an `Operation-Id` of their own unless they are given one, so that one whose answer is lost can be
    sent again without starting twice.
    """

    profile = Profile.DATA_PLANE

    @overload
    def start(self, method: str, path: str, *, result: type[T], **options: Unpack[StartWithin]) -> Operation[T]: ...

    @overload
    def start(
        self, method: str, path: str, *, result: None = None, **options: Unpack[StartWithin]
    ) -> Operation[Any]: ...

    def start(self, method: str, path: str, *, result: Any = None, **options: Unpack[StartWithin]) -> Operation[Any]:
        _identify(method, options)
        return super().start(method, path, result=result, **options)

    @overload
    def run(self, method: str, path: str, *, result: type[T], **options: Unpack[RunOptions]) -> T: ...

    @overload
    def run(self, method: str, path: str, *, result: None = None, **options: Unpack[RunOptions]) -> Any: ...

    def run(self, method: str, path: str, *, result: Any = None, **options: Unpack[RunOptions]) -> Any:
        _identify(method, options)
        return super().run(method, path, result=result, **options)


class AsyncDataPlaneClient(AsyncLroClient):
    """As `DataPlaneClient`, on an event loop."""

    profile = Profile.DATA_PLANE

    @overload
    async def start(
        self, method: str, path: str, *, result: type[T], **options: Unpack[StartWithin]
    ) -> AsyncOperation[T]: ...

    @overload
    async def start(
        self, method: str, path: str, *, result: None = None, **options: Unpack[StartWithin]
    ) -> AsyncOperation[Any]: ...

    async def start(
        self, method: str, path: str, *, result: Any = None, **options: Unpack[StartWithin]
    ) -> AsyncOperation[Any]:
        _identify(method, options)
        return await super().start(method, path, result=result, **options)

    @overload
    async def run(self, method: str, path: str, *, result: type[T], **options: Unpack[RunOptions]) -> T: ...

    @overload
    async def run(self, method: str, path: str, *, result: None = None, **options: Unpack[RunOptions]) -> Any: ...

    async def run(self, method: str, path: str, *, result: Any = None, **options: Unpack[RunOptions]) -> Any:
        _identify(method, options)
        return await super().run(method, path, result=result, **options)


def _identify(method: str, options: StartOptions) -> None:
    """A POST gets an id; a service that does not know the header does not mind it (Guidelines, "rest-headers")."""
    names = {name.lower() for name in options.get("headers") or {}}
    if method.upper() == "POST" and "operation_id" not in options and "operation-id" not in names:
        options["operation_id"] = str(uuid4())
