"""Puts the parts together, lazily: importing the app opens nothing and needs no setting."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from random import random
from socket import gethostname
from typing import TYPE_CHECKING, Any

from shared import parts
from shared.actions.declaration import Action
from shared.actions.isolation import check_supported
from shared.actions.registry import HOST_MARGIN, Registry
from shared.actions.routes import check_distinct
from shared.contracts.functions import BUILT_IN, FALLBACK, HOUSEKEEPING, OTHER_FUNCTIONS
from shared.errors import SettingsError, StorageAnswerLost, StorageUnavailable, StorageUnusable
from shared.model.timing import Clock, Timing
from shared.settings import ACTIVITY_PLACES, MOST_HANDLER_PROCESSES, OTHER_ACTIVITIES, Settings
from shared.system_clock import SystemClock

if TYPE_CHECKING:
    from shared.actions.arm.resource import ArmResource
    from shared.contracts.http import Request, Response
    from shared.model.operation import Operation
    from shared.storage.ports import Storage

_log = logging.getLogger(__name__)


class Application:
    """One function app: its declarations, and the services and endpoints over them, made when first used.

    What is made late raises SettingsError where a setting cannot be read, on every use: an app with a wrong setting
    starts, and says so on every request.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        settings: Settings | None = None,
        storage: "Storage | None" = None,
        host_json: Path | None = None,
        function_timeout: timedelta | None = None,
        clock: Clock | None = None,
        timing: Timing | None = None,
    ) -> None:
        """`settings` and `storage` are the process's own where they are not given; `host_json` is the host's file.

        Raises DeclarationError where the declarations do not fit together or into the host's time limit.
        """
        self.registry = registry
        self.endpoints = (*BUILT_IN, *registry.endpoints())
        self.function_timeout = function_timeout
        self.clock = clock or SystemClock()
        self.timing = timing or Timing()
        check_distinct((*OTHER_FUNCTIONS, *self.endpoints), fallback=FALLBACK)
        registry.check_timeouts(function_timeout, total_deadline=self.timing.total_deadline)
        check_supported(registry.runnable.values(), registry.package)
        self._settings = settings
        self._host_json = host_json
        self._storage = storage
        self._opened: Storage | None = None
        self._are_places_checked = False

    timers_at_start = (HOUSEKEEPING,)
    """For the local host, whose task hub forgets what it had: the first pass comes at once."""

    # What is underneath

    @cached_property
    def settings(self) -> Settings:
        return self._settings or Settings.read(os.environ, self._host_json)

    @property
    def settings_at_import(self) -> Settings:
        """For what the host reads while the app is imported: defaults where a setting cannot be read."""
        try:
            return self.settings
        except SettingsError:
            return Settings.read({})

    @property
    def storage(self) -> "Storage":
        if self._storage is not None:
            return self._storage
        if self._opened is None:
            # The SDKs log every request with its keys at INFO, several lines each.
            logging.getLogger("azure").setLevel(logging.WARNING)
            self._opened = parts.open_storage(self.settings, clock=self.clock)
        return self._opened

    async def open(self) -> None:
        """Open the store now, and refuse one that cannot be used. Raises SettingsError, StorageUnusable.

        Where there is time before the first request, what serves starts and polls is loaded in it.

        The log says where another site has the namespace. On a platform that calls no such hook, the first pass of
        housekeeping and the first look at the app's health say that.

        A store that cannot be reached may be back for the first request: until then requests say so.
        """
        self._check_activity_places()
        try:
            await self._use_storage()
            await self.site.conflict()
            parts.load("answer", "Request", "Admission", "Invocation", "Runner", "HandlerThreads", "Stopping")
            _ = self.data_plane
        except StorageUnusable:
            raise
        except (StorageUnavailable, StorageAnswerLost) as error:
            _log.warning("The store cannot be reached yet: %s", error, extra={"event": "storage_unavailable"})

    async def aclose(self) -> None:
        """Close what this application opened."""
        self.stop.remove()
        if "processes" in self.__dict__:
            await self.processes.aclose()
        if "pauses" in self.__dict__:
            self.pauses.close()
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    # Services

    @cached_property
    def records(self) -> "parts.OperationRecords":
        return parts.OperationRecords(
            self.storage,
            clock=self.clock,
            timing=self.timing,
            held_here=self.live.runs,
            lists_all=self.settings.trust_platform_auth,
        )

    @cached_property
    def site(self) -> "parts.Site":
        settings = self.settings
        name = parts.SiteName(settings.site_name, settings.slot_name, settings.task_hub)
        return parts.Site(self.storage, settings.namespace, name, clock=self.clock, timing=self.timing)

    @cached_property
    def recovery(self) -> "parts.Recovery":
        async def delegate(operation: "Operation") -> "Operation":
            return await self.delegations.again(operation)

        return parts.Recovery(
            self.records,
            self.runnable,
            self.site,
            clock=self.clock,
            timing=self.timing,
            randomness=random,
            delegate=delegate,
        )

    @cached_property
    def removals(self) -> "parts.Removals":
        return parts.Removals(
            self.records, self.site, self.runnable, self.services, clock=self.clock, timing=self.timing
        )

    @cached_property
    def live(self) -> "parts.LiveAttempts":
        return parts.LiveAttempts(clock=self.clock, timing=self.timing)

    @cached_property
    def stop(self) -> "parts.Stopping":
        return parts.Stopping(self.live)

    async def stopping(self) -> None:
        """Claim nothing more and let go of what runs: for a host that knows that it stops."""
        await self.stop.stopping()

    @cached_property
    def locks(self) -> "parts.Locks":
        return parts.Locks(self.storage, self.records, clock=self.clock, timing=self.timing)

    @cached_property
    def pauses(self) -> "parts.Pauses":
        return parts.Pauses(self.storage, self.settings.paused_actions, clock=self.clock, timing=self.timing)

    @cached_property
    def service(self) -> "parts.OperationService":
        return parts.OperationService(
            self.records,
            self.recovery,
            self.removals,
            self.live,
            self.locks,
            clock=self.clock,
            timing=self.timing,
            pacing=parts.Pacing(self.runnable, self.live.durations, clock=self.clock, timing=self.timing),
            pauses=self.pauses,
            # As of all who wait, they get half of the places (`Admission`).
            patient=self.settings.max_concurrent_requests // 2,
        )

    @cached_property
    def resources(self) -> "parts.Resources":
        return parts.Resources(self.storage, self.records, clock=self.clock, timing=self.timing)

    @cached_property
    def external(self) -> "parts.ExternalOperations":
        return parts.ExternalOperations(
            self.records,
            clock=self.clock,
            timing=self.timing,
            complete=self._complete,
            after_end=self._after_external_end,
            max_result_bytes=self.settings.max_result_bytes,
        )

    @cached_property
    def services(self) -> "parts.Services":
        """What the code of actions is given."""
        return parts.Services(
            settings=self.settings,
            storage=self.storage,
            clock=self.clock,
            locks=self.locks,
            resources=parts.ResourcesById(self.resources),
            external=self.external,
        )

    @cached_property
    def after_end(self) -> "parts.DeclaredAfterEnd":
        async def settle(operation: "Operation") -> None:
            await parts.roll_forward(self.resources, operation)

        return parts.DeclaredAfterEnd(self.runnable, self.services, settle)

    @cached_property
    def waiting_room(self) -> "parts.WaitingRoom":
        return parts.WaitingRoom(clock=self.clock, timing=self.timing)

    @cached_property
    def threads(self) -> "parts.HandlerThreads":
        return parts.HandlerThreads(
            self.settings.sync_handler_threads, self.waiting_room, clock=self.clock, timing=self.timing
        )

    @cached_property
    def processes(self) -> "parts.HandlerProcesses":
        return parts.HandlerProcesses(
            self._handler_processes,
            self.waiting_room,
            package=self.registry.package,
            services=self.services,
            clock=self.clock,
            timing=self.timing,
        )

    @property
    def _handler_processes(self) -> int:
        return self.settings.handler_processes or min(parts.usable_cores(), MOST_HANDLER_PROCESSES)

    def _check_activity_places(self) -> None:
        """Say so, once, where the host runs fewer activities at a time than the settings ask for."""
        if self._are_places_checked:
            return
        self._are_places_checked = True
        wanted = self._handler_processes + self.settings.sync_handler_threads + OTHER_ACTIVITIES
        places = self.settings.activity_places
        if places is not None and places < wanted:
            line = (
                "The host runs %d activities at a time, and the settings ask for %d: set AzureFunctionsJobHost__%s=%d"
            )
            _log.warning(line, places, wanted, ACTIVITY_PLACES, wanted, extra={"event": "few_activities"})

    @cached_property
    def runner(self) -> "parts.Runner":
        """Made on the first invocation that may run an attempt; from then on the app heeds the stop signal, and what
        `asyncio.to_thread` runs logs for the invocation that has called it."""
        self.stop.install()
        self._check_activity_places()
        asyncio.get_running_loop().set_default_executor(parts.InvocationThreads(thread_name_prefix="asyncio"))
        return parts.Runner(
            self.records,
            self.runnable,
            self.threads,
            self.processes,
            self.live,
            services=self.services,
            after_end=self.after_end,
            clock=self.clock,
            timing=self.timing,
            function_timeout=self.function_timeout,
            instance=_short_hash(self.settings.instance_id or f"{gethostname()}:{os.getpid()}"),
            randomness=random,
            pauses=self.pauses,
        )

    @cached_property
    def inline(self) -> "parts.InlineRuns":
        return parts.InlineRuns(self.service, self.runner, self.live, clock=self.clock, timing=self.timing)

    @cached_property
    def housekeeping(self) -> "parts.Housekeeping":
        return parts.Housekeeping(
            self.records,
            self.recovery,
            self.removals,
            self.site,
            clock=self.clock,
            timing=self.timing,
            randomness=random,
            after_end=self.after_end,
            sweeps={"locks": parts.LockSweep(self.locks, clock=self.clock), **self._declared_sweeps()},
        )

    def _declared_sweeps(self) -> dict[str, Callable[[], Awaitable[None]]]:
        context = parts.Context(owner="", base_url=self.settings.own_url, api_version="", services=self.services)
        return {name: partial(sweep, context) for name, sweep in self.registry.sweeps.items()}

    @cached_property
    def runnable(self) -> Mapping[str, Action]:
        """All that an operation can be of: what is declared, and the actions that profiles bring along."""
        actions = _Runnable(self.registry.runnable)
        if self.registry.odata is not None:
            actions.add_internal_action(parts.BATCH_ACTION, lambda: self.odata.batches.action)
        return actions

    # Endpoints

    @cached_property
    def admission(self) -> "parts.Admission":
        return parts.Admission(self.settings.max_concurrent_requests)

    @cached_property
    def data_plane(self) -> "parts.DataPlane":
        return parts.DataPlane(
            self.service, parts.OperationLists(self.storage), self.services, self.endpoints, self.registry.actions
        )

    @cached_property
    def pause_switch(self) -> "parts.PauseSwitch":
        return parts.PauseSwitch(self.pauses, self.settings, lambda: list(self.runnable))

    @cached_property
    def calls(self) -> "parts.Calls":
        return parts.Calls(self.services)

    @cached_property
    def updates(self) -> "parts.Updates":
        return parts.Updates(self.external, self.settings)

    @cached_property
    def arm(self) -> "parts.Arm":
        return parts.Arm(self.service, self.resources, self.delegations, self.services)

    @cached_property
    def delegations(self) -> "parts.Delegations":
        return parts.Delegations(self.external, self.registry.delegated, self.services)

    def arm_monitors(self, declared: "Sequence[ArmResource]") -> "parts.ArmMonitors":
        """Those of one namespace, whose resources are `declared`."""
        return parts.ArmMonitors(self.service, self.after_end, self.settings, declared)

    @cached_property
    def odata(self) -> "parts.OData":
        assert self.registry.odata is not None, "asked for where a service is declared"
        return parts.OData(
            declared=self.registry.odata,
            operations=self.service,
            inline=lambda: self.inline,
            after_end=self.after_end,
            services=self.services,
            longest_attempt=self.function_timeout - HOST_MARGIN if self.function_timeout else None,
            admission=self.admission,
        )

    @cached_property
    def description(self) -> "parts.Description":
        return parts.Description(self.registry, self.settings, parts.docs_files())

    @cached_property
    def operations_page(self) -> "parts.OperationsPage":
        return parts.OperationsPage()

    @cached_property
    def health(self) -> "parts.Health":
        checks = (self._use_storage, self._know_callers, self._have_namespace)
        return parts.Health(checks, self._paused, clock=self.clock, timing=self.timing)

    async def _paused(self) -> "Sequence[parts.Pause]":
        return await self.pauses.current()

    async def _use_storage(self) -> None:
        await parts.check_schema(self.storage.table("operations"))
        await self.storage.container("operations").info("health")

    async def _know_callers(self) -> None:
        parts.check_platform_auth(self.settings)

    async def _have_namespace(self) -> None:
        await self.site.check()

    @cached_property
    def unknown(self) -> "parts.Unknown":
        odata = None if self.registry.odata is None else self._answer_odata
        return parts.Unknown(self.endpoints, odata, self.settings_at_import.root_path)

    async def _answer_odata(self, request: "Request") -> "Response":
        return await self.odata.answer(request)

    async def _complete(self, operation: "Operation", result: Any) -> Any:
        """What is stored where another system reports `result`: of a PUT, the resource."""
        verb = self.registry.delegated.get(operation.action)
        if verb is None:
            return result
        input_json = await self.records.load_payload(operation.input)
        return await parts.completed(verb, input_json or b"{}", result)

    async def _after_external_end(self, operation: "Operation") -> None:
        self.live.completions.notify(operation)
        await self.after_end(operation)


def _short_hash(instance: str) -> str:
    """What monitors show of an instance: the same for the same one, and nothing of its name."""
    return sha256(instance.encode()).hexdigest()[:8]


class _Runnable(Mapping[str, Action]):
    """Actions by name; those of profiles are made when an operation of them is met."""

    def __init__(self, declared: Mapping[str, Action]) -> None:
        self._declared = declared
        self._internal: dict[str, Callable[[], Action]] = {}

    def add_internal_action(self, name: str, make: Callable[[], Action]) -> None:
        """Have operations of an action that is not declared but a part of a profile."""
        self._internal[name] = make

    def __getitem__(self, name: str) -> Action:
        if name in self._internal:
            return self._internal[name]()
        return self._declared[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._declared, *self._internal))

    def __len__(self) -> int:
        return len(self._declared) + len(self._internal)
