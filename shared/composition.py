"""Puts the parts together, lazily: importing the app opens nothing and needs no setting."""

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from shared.actions.arm_external import completed
from shared.actions.declaration import Action
from shared.actions.execution import HandlerThreads
from shared.actions.registry import HOST_MARGIN, Registry
from shared.actions.routes import Endpoint, check_distinct
from shared.engine.durable import ACTIVITY, ORCHESTRATOR
from shared.errors import SettingsError
from shared.operations.attempt import LiveAttempts
from shared.operations.external import ExternalOperations
from shared.operations.holds import Holds
from shared.operations.housekeeping import Housekeeping
from shared.operations.inline import InlineRuns
from shared.operations.journal import Journal
from shared.operations.model import Operation
from shared.operations.records import OperationRecords
from shared.operations.runner import Runner
from shared.operations.service import OperationService
from shared.resources.operations import roll_forward
from shared.resources.service import Resources
from shared.settings import Settings
from shared.storage.ports import Storage

FALLBACK = "zz_unknown_route"
"""The function that takes what no other does; the host tries functions in the order of their names."""

BUILT_IN = (
    Endpoint("health", ("GET",), "health", "blueprints.discovery"),
    Endpoint("openapi", ("GET",), "openapi.json", "blueprints.description"),
    Endpoint("docs", ("GET",), "docs", "blueprints.description"),
    Endpoint("docs_file", ("GET",), "docs/{file}", "blueprints.description"),
    Endpoint("status", ("GET",), "status/{operation_id}", "blueprints.status"),
    Endpoint("status_cancel", ("POST",), "status/{operation_id}:cancel", "blueprints.status"),
    Endpoint("status_delete", ("DELETE",), "status/{operation_id}", "blueprints.status"),
    Endpoint("status_list", ("GET",), "status", "blueprints.status"),
    Endpoint("status_result", ("GET",), "status/{operation_id}/result", "blueprints.status"),
    Endpoint("status_update", ("POST",), "status/{operation_id}:update", "blueprints.external"),
)


OTHER_FUNCTIONS = (
    Endpoint("housekeeping", (), "", "blueprints.housekeeping"),
    Endpoint(ACTIVITY, (), "", "blueprints.dispatcher"),
    Endpoint(ORCHESTRATOR, (), "", "blueprints.orchestrator"),
)
"""What is not reached by HTTP takes names nevertheless."""


def now() -> datetime:
    return datetime.now(UTC)


@cache
def settings() -> Settings:
    """The process's settings. Raises SettingsError."""
    return Settings.read(os.environ)


@cache
def storage() -> Storage:
    """The process's storage: what actions use, too. Raises SettingsError."""
    # The SDKs log every request with its keys at INFO, several lines each.
    logging.getLogger("azure").setLevel(logging.WARNING)
    from shared.storage.factory import open_storage  # noqa: PLC0415 - the adapters import SDKs

    return open_storage(settings())


_process_application: list["Application"] = []
"""The one over the process's own settings and storage, once `function_app` has made it."""


def operations() -> ExternalOperations:
    """Operations that are driven from elsewhere, for code of the app to create and update. Raises SettingsError."""
    if _process_application:
        return _process_application[0].external
    return ExternalOperations(OperationRecords(storage()), clock=now)


async def aclose() -> None:
    """Close what this process opened."""
    if storage.cache_info().currsize:
        await storage().aclose()
        storage.cache_clear()


class Application:
    """One function app: its declarations, and the services over them, made when first used."""

    def __init__(
        self,
        registry: Registry,
        *,
        settings: Settings | None = None,
        storage: Storage | None = None,
        function_timeout: timedelta | None = None,
    ) -> None:
        """Raises DeclarationError where the declarations do not fit together or into the host's time limit."""
        self.registry = registry
        self.endpoints = (*BUILT_IN, *registry.endpoints())
        self.function_timeout = function_timeout
        check_distinct((*OTHER_FUNCTIONS, *self.endpoints), fallback=FALLBACK)
        registry.check_timeouts(function_timeout)
        self._settings = settings
        self._storage = storage
        self._more: list[Callable[[], Action]] = []
        for action in registry.resource_actions.values():
            action.after_end = self._roll_forward
        if settings is None and storage is None:
            _process_application[:] = [self]

    @cached_property
    def settings(self) -> Settings:
        return self._settings or settings()

    @cached_property
    def records(self) -> OperationRecords:
        return OperationRecords(self._storage or storage())

    @cached_property
    def live(self) -> LiveAttempts:
        return LiveAttempts()

    @cached_property
    def service(self) -> OperationService:
        return OperationService(self.records, self.live, self.holds, clock=now)

    @cached_property
    def holds(self) -> Holds:
        return Holds(self._storage or storage(), self.records, clock=now)

    @cached_property
    def resources(self) -> Resources:
        return Resources(self._storage or storage(), self.records, clock=now)

    @cached_property
    def external(self) -> ExternalOperations:
        return ExternalOperations(self.records, clock=now, complete=self._complete, after_end=self._after_external_end)

    @cached_property
    def threads(self) -> HandlerThreads:
        return HandlerThreads(self.settings.sync_handler_threads)

    @cached_property
    def runner(self) -> Runner:
        return Runner(
            self.records,
            self.runnable,
            self.threads,
            self.live,
            clock=now,
            function_timeout=self.function_timeout,
        )

    def runs_also(self, make: Callable[[], Action]) -> None:
        """Have operations of an action that is not declared but a part of a profile; it is made once it is needed."""
        self._more.append(make)

    @cached_property
    def runnable(self) -> Mapping[str, Action]:
        """All that an operation can be of: what is declared, and what profiles have added."""
        more = [make() for make in self._more]
        return MappingProxyType({**self.registry.runnable, **{action.name: action for action in more}})

    @property
    def longest_attempt(self) -> timedelta | None:
        """What an attempt may take, so that the host does not cut it off; None where that is unbounded."""
        return self.function_timeout - HOST_MARGIN if self.function_timeout else None

    @cached_property
    def inline(self) -> InlineRuns:
        return InlineRuns(self.service, self.runner, self.live)

    @cached_property
    def housekeeping(self) -> Housekeeping:
        return Housekeeping(self.records, clock=now, before_removal=self._before_removal)

    async def _roll_forward(self, operation: Operation) -> None:
        await roll_forward(self.resources, operation)

    def journal(self, run: str) -> Journal:
        """What the attempts of this run have finished."""
        return Journal(self.records, (self._storage or storage()).table("journals"), run)

    async def _before_removal(self, operation: Operation) -> None:
        action = self.runnable.get(operation.action)
        follow = action.after_end if action and action.after_end else self._roll_forward
        await follow(operation)

    async def _complete(self, operation: Operation, result: Any) -> Any:
        """What is stored where another system reports `result`: of a PUT, the resource."""
        verb = self.registry.elsewhere.get(operation.action)
        if verb is None:
            return result
        input_json = await self.records.load_payload(operation.input)
        return await completed(verb, input_json or b"{}", result)

    async def _after_external_end(self, operation: Operation) -> None:
        self.live.endings.announce(operation)
        await self.after_end(operation)

    async def after_end(self, operation: Operation) -> None:
        """What a declaration wants done after an operation that none of our attempts has ended. May be done again."""
        action = self.runnable.get(operation.action)
        if action is not None and action.after_end is not None:
            await action.after_end(operation)

    @property
    def settings_at_import(self) -> Settings:
        """For what the host reads while the app is imported: defaults where a setting cannot be read.

        An app with a wrong setting starts and says so on every request, instead of showing no functions at all.
        """
        try:
            return self.settings
        except SettingsError:
            return Settings.read({})


def function_timeout(host_json: Path, environment: Mapping[str, str]) -> timedelta | None:
    """The host's functionTimeout: the app setting that overrides host.json, else host.json; None when unbounded."""
    text = environment.get("AzureFunctionsJobHost__functionTimeout", "").strip()
    if not text:
        text = json.loads(host_json.read_text(encoding="utf-8")).get("functionTimeout", "00:05:00")
    if text == "-1":
        return None
    match = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", str(text))
    if match is None:
        raise SettingsError(f"functionTimeout is {text!r}: write hh:mm:ss, or -1 for unbounded")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
