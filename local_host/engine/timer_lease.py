"""Timers in one of several processes: in the one that holds a lease on a blob, as on the platform.

Source: WebJobs' `SingletonManager` and the timer's listener: container `azure-webjobs-hosts`, folder `locks`. A process
that is lost keeps its timers from the others until its lease runs out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from local_host.clock import Clock

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobServiceClient

CONTAINER = "azure-webjobs-hosts"
LEASE_SECONDS = 15
"""The shortest that storage grants."""

_RENEW_EVERY = 5.0  # seconds
_TRY_EVERY = 3.0  # seconds

_log = logging.getLogger(__name__)


async def run_while_leased(work: Callable[[], Awaitable[object]], lease: "TimerLease", clock: Clock) -> None:
    """Run `work` whenever this process has the lease, until cancelled; what it has then is given back."""
    try:
        while True:
            if await lease.take():
                task = asyncio.ensure_future(work())
                try:
                    while await lease.renew() and not task.done():
                        await clock.sleep(_RENEW_EVERY)
                finally:
                    task.cancel()
                    await asyncio.wait([task])
                if not task.cancelled() and (error := task.exception()):
                    _log.error("The timers ended with an error; they begin again", exc_info=error)
                # Kept, it would be in our own way until it runs out.
                await lease.give_back()
            await clock.sleep(_TRY_EVERY)
    finally:
        await lease.give_back()


class TimerLease:
    """One lease for all timers of a task hub's app. Storage that does not answer counts as a lease not held."""

    def __init__(self, service: "BlobServiceClient", task_hub: str) -> None:
        self._container = service.get_container_client(CONTAINER)
        self._blob = self._container.get_blob_client(f"locks/{task_hub.lower()}/timers")
        self._lease: Any = None

    async def take(self) -> bool:
        """Whether this process has the lease now."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError  # noqa: PLC0415 (an SDK, loaded late)

        try:
            try:
                self._lease = await self._blob.acquire_lease(LEASE_SECONDS)
            except ResourceNotFoundError:
                await self._make()
                self._lease = await self._blob.acquire_lease(LEASE_SECONDS)
        except AzureError as error:
            _log.debug("The timers run elsewhere, or storage does not answer: %s", type(error).__name__)
            return False
        return True

    async def renew(self) -> bool:
        """Whether this process still has the lease."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 (as above)

        try:
            await self._lease.renew()
        except AzureError as error:
            _log.warning("The lease of the timers is lost: %s", type(error).__name__)
            self._lease = None
            return False
        return True

    async def give_back(self) -> None:
        """Let another process have it at once."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 (as above)

        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(AzureError):
                await lease.release()

    async def _make(self) -> None:
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 (as above)

        with suppress(ResourceExistsError):
            await self._container.create_container()
        with suppress(ResourceExistsError):
            await self._blob.upload_blob(b"", overwrite=False)
