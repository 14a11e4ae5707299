"""Removing what has ended: out of sight first, then what it has left in the engine, in the app, and as payloads.

A row tells what is left, until all of it is gone. Where something fails, or the process dies, the next pass of
housekeeping finds that row and goes on. docs/decisions/0014-removal.md says why in this order.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from pydantic import BaseModel, ValidationError

from shared.actions.context import RemovalContext, Services
from shared.actions.declaration import Action
from shared.engine.port import Engine
from shared.errors import EngineError, StorageError, problems
from shared.model.operation import Operation
from shared.model.timing import Clock, Timing
from shared.operations.log_lines import about
from shared.operations.records import OperationRecords
from shared.operations.remains import Remains, RemovedOperation
from shared.operations.site import Site

_PARALLEL = 8

_log = logging.getLogger(__name__)


class Removals:
    """Removes operations, with the instances that the engine has of all their generations."""

    def __init__(
        self,
        records: OperationRecords,
        site: Site,
        actions: Mapping[str, Action],
        services: Services,
        *,
        clock: Clock,
        timing: Timing,
    ) -> None:
        """Nothing is cleared while another than this `site` has the namespace: the instances are in its task hub.

        `actions` by their names, for their removal hooks; `services` is what those are given.
        """
        self._records = records
        self._site = site
        self._actions = actions
        self._services = services
        self._clock = clock
        self._timing = timing

    async def remove(self, operation: Operation, engine: Engine, *, within: float | None = None) -> bool:
        """Have nobody see a terminal operation any more, and clear what it leaves; False if it was gone already.

        `within`: seconds for the clearing; what is not done by then is left to housekeeping.
        """
        action = self._actions.get(operation.action)
        # Who does not know the action does not know its hooks either: an instance that does has to find the input.
        has_hooks = bool(action.removal_hooks) if action is not None else not operation.external
        remains = await self._records.remove(operation, has_hooks=has_hooks)
        if remains is None:
            return False
        with suppress(TimeoutError):
            async with self._clock.timeout(within):
                await self.clear(remains, engine)
        return True

    async def clear(self, remains: Remains, engine: Engine) -> None:
        """Remove the instances, have the hooks remove what is theirs, then the payloads, and last the row that tells.

        What fails is left to later. Where a start may still be on its way to the engine, the row stays until that has
        arrived: it brings an instance that only this row can tell of.
        """
        try:
            if await self._site.conflict():
                return
            if not await self._purge(remains, engine) or self._may_start(remains):
                return
            if (due := await self._run_hooks(remains)) is not None:
                await self._records.postpone(remains, due)
            else:
                await self._records.discard(remains)
        except (EngineError, StorageError) as error:
            what = "What a removed operation has left could not be cleared yet: %s"
            about(_log, remains.locator, "removal_deferred").warning(what, error)
        except Exception:
            # The record is gone: no caller of DELETE is told otherwise, and no pass is kept from all others.
            what = "What a removed operation has left could not be cleared"
            about(_log, remains.locator, "removal_failed").exception(what)

    def _may_start(self, remains: Remains) -> bool:
        return remains.open_since is not None and self._clock.now() < remains.open_since + self._timing.late_start

    async def _purge(self, remains: Remains, engine: Engine) -> bool:
        """Whether no instance is left.

        One that has not ended is mostly about to: its activity has just returned. One that has not some time later
        sleeps until an attempt that is no longer to come, perhaps for hours: it is terminated, and purged after that.
        """
        running: list[str] = []
        ids = remains.instance_ids
        for first in range(0, len(ids), _PARALLEL):
            some = ids[first : first + _PARALLEL]
            purged = await asyncio.gather(*(engine.purge(each) for each in some))
            running += [each for each, is_gone in zip(some, purged, strict=True) if not is_gone]
        if self._records.verdict_clock.now() >= remains.removed + self._timing.removal_patience:
            for each in running:
                await engine.terminate(each)
        return not running

    async def _run_hooks(self, remains: Remains) -> datetime | None:
        """When to run them again; None once they are done, or were tried long enough."""
        hooked, now = remains.hooked, self._clock.now()
        if hooked is None:
            return None
        action = self._actions.get(hooked.action)
        if action is None:
            # During a rolling deployment this may be an old instance.
            known_by = remains.removed + self._timing.unknown_action_patience
            return now + self._timing.unknown_action_wait if now < known_by else None
        try:
            async with self._clock.timeout(self._timing.removal_hook_within):
                return await self._call_hooks(action, hooked, remains)
        except Exception as error:
            line = about(_log, remains.locator, "removal_hook_failed")
            # What pydantic says of a value, in its trace too, repeats the value.
            is_misfit = isinstance(error, ValidationError)
            what = problems(error) if is_misfit else repr(error)
            line.warning("A removal hook of %s failed: %s", action.where, what, exc_info=not is_misfit)
            is_over = now >= remains.removed + self._timing.removal_hook_patience
            return None if is_over else now + self._timing.removal_hook_wait

    async def _call_hooks(self, action: Action, hooked: RemovedOperation, remains: Remains) -> datetime | None:
        context = RemovalContext(
            owner=hooked.owner,
            base_url=self._services.settings.own_url,
            api_version=hooked.api_version,
            services=self._services,
            operation_id=remains.locator.id,
            run_id=remains.run_id,
            created=hooked.created,
        )
        input: BaseModel | None = None
        if action.input_model is not None:
            content = await self._records.load_payload(hooked.input)
            if content is None:
                # Payloads go after the hooks are done: this removal was cut in two between them and its row.
                return None
            input = action.read_input(content or b"{}", hooked.input_version)
        found = [await hook(context, input) for hook in action.removal_hooks]
        return max((each for each in found if each is not None and each > self._clock.now()), default=None)
