"""Transports for the SDKs' pollers whose waits are written down and cut short.

A test then holds what a poller waits for, and not how long the machine takes. The tests of pace themselves use the
SDKs' own transports.
"""

import asyncio
import time
from typing import Any

from azure.core.pipeline.transport import AioHttpTransport, RequestsTransport

SHARE = 0.1
"""Of each wait."""


class PacedTransport(RequestsTransport):
    """`waits`: the seconds that a blocking client has waited for, in order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.waits: list[float] = []

    def sleep(self, duration: float) -> None:
        self.waits.append(duration)
        time.sleep(duration * SHARE)


class AsyncPacedTransport(AioHttpTransport):
    """`waits`: the seconds that an asynchronous client has waited for, in order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.waits: list[float] = []

    async def sleep(self, duration: float) -> None:
        self.waits.append(duration)
        await asyncio.sleep(duration * SHARE)
