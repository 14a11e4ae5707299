"""Puts the parts together, lazily: importing the app opens nothing and needs no setting."""

import json
import logging
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path

from shared.actions.execution import HandlerThreads
from shared.actions.registry import Registry
from shared.actions.routes import Endpoint, check_distinct
from shared.engine.durable import ACTIVITY, ORCHESTRATOR
from shared.errors import SettingsError
from shared.operations.attempt import LiveAttempts
from shared.operations.housekeeping import Housekeeping
from shared.operations.records import OperationRecords
from shared.operations.runner import Runner
from shared.operations.service import OperationService
from shared.settings import Settings
from shared.storage.ports import Storage

FALLBACK = "zz_unknown_route"
"""The function that takes what no other does; the host tries functions in the order of their names."""

BUILT_IN = (
    Endpoint("health", ("GET",), "health", "blueprints.discovery"),
    Endpoint("status", ("GET",), "status/{operation_id}", "blueprints.status"),
    Endpoint("status_cancel", ("POST",), "status/{operation_id}:cancel", "blueprints.status"),
    Endpoint("status_delete", ("DELETE",), "status/{operation_id}", "blueprints.status"),
    Endpoint("status_list", ("GET",), "status", "blueprints.status"),
    Endpoint("status_result", ("GET",), "status/{operation_id}/result", "blueprints.status"),
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
        return OperationService(self.records, self.live, clock=now)

    @cached_property
    def threads(self) -> HandlerThreads:
        return HandlerThreads(self.settings.sync_handler_threads)

    @cached_property
    def runner(self) -> Runner:
        return Runner(
            self.records,
            self.registry.actions,
            self.threads,
            self.live,
            clock=now,
            function_timeout=self.function_timeout,
        )

    @cached_property
    def housekeeping(self) -> Housekeeping:
        return Housekeeping(self.records, clock=now)

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
