"""One test body for the blocking and the asynchronous client.

`Twins("async")` makes asynchronous clients look blocking: what they return is awaited, on a loop of the test's own.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import lro_client

KINDS = ("sync", "async")


class Twins:
    """Makes clients of one kind, and closes them."""

    def __init__(self, kind: str) -> None:
        self.is_async = kind == "async"
        self._runner = asyncio.Runner() if self.is_async else None
        self._clients: list[Any] = []

    def client(self, name: str, *arguments: Any, **options: Any) -> Any:
        """`name` is that of the blocking class."""
        if self._runner is None:
            made = getattr(lro_client, name)(*arguments, **options)
        else:
            made = Awaited(getattr(lro_client, f"Async{name}")(*arguments, **options), self._runner)
        self._clients.append(made)
        return made

    def close(self) -> None:
        for client in self._clients:
            client.close()
        if self._runner is not None:
            self._runner.close()


class Awaited:
    """An asynchronous object whose methods wait."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._awaiting(found) if inspect.ismethod(found) else self._shown(found)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._runner.run(_all(self._inner)))

    def __repr__(self) -> str:
        return repr(self._inner)

    def _awaiting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return self._shown(self._runner.run(_settled(method, arguments, options)))

        return call

    def _shown(self, found: Any) -> Any:
        kinds = (lro_client.AsyncOperation, lro_client.CallResult)
        return Awaited(found, self._runner) if isinstance(found, kinds) else found


async def _settled(method: Callable[..., Any], arguments: Any, options: Any) -> Any:
    found = method(*arguments, **options)
    if inspect.isawaitable(found):
        return await found
    return await _all(found) if hasattr(found, "__anext__") else found


async def _all(iterable: Any) -> list[Any]:
    return [item async for item in iterable]
