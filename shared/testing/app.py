"""An app in memory, which runs one attempt at a time or several."""

from collections.abc import Callable, Mapping
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from shared.actions.context import RemovalContext, RequestContext, Services
from shared.actions.declaration import Action
from shared.actions.patterns import Accepted
from shared.actions.registry import Registry
from shared.composition import Application
from shared.model.ids import new_id, new_run_id
from shared.model.operation import Operation, Payload, Progress, Status
from shared.settings import Settings
from shared.storage.ports import Storage
from shared.testing.clock import FakeClock
from shared.testing.run import Run
from shared.testing.targets import Handler, target_of

API_VERSION = "2026-01-01"
"""What contexts say unless the test says otherwise."""


class FakeApp:
    """What an app offers to its actions, over a store that is thrown away. An async context manager."""

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        storage: Storage | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        """`settings` by their names in docs/configuration.md; a `storage` that is given is not closed."""
        self.clock = clock or FakeClock()
        self._folder = TemporaryDirectory(prefix="fake-app-", ignore_cleanup_errors=True)
        local = {"OPERATIONS_STORE": "sqlite", "DATA_DIR": self._folder.name, "WEBSITE_HOSTNAME": "localhost:7071"}
        self._application = Application(
            Registry(), settings=Settings.read({**local, **(settings or {})}), storage=storage, clock=self.clock
        )
        self._runs: list[Run] = []

    @property
    def settings(self) -> Settings:
        return self._application.settings

    @property
    def storage(self) -> Storage:
        return self._application.storage

    @property
    def services(self) -> Services:
        """What contexts are made of."""
        return self._application.services

    def request_context(self, *, owner: str = "", api_version: str = API_VERSION) -> RequestContext:
        """A context for reads, calls and hooks, which are called as the functions they are."""
        return RequestContext(
            owner=owner, base_url=self.settings.own_url, api_version=api_version, services=self.services
        )

    def removal_context(self, run: Run) -> RemovalContext:
        """A context for removal hooks, which are called as the functions they are, after the operation of `run`."""
        return RemovalContext(
            owner=run.owner,
            base_url=self.settings.own_url,
            api_version=API_VERSION,
            services=self.services,
            operation_id=run.operation_id,
            run_id=run.run_id,
            created=run.created,
        )

    async def check(self, handler: Handler, *inputs: Any, owner: str = "") -> None:
        """Ask the action's preconditions. Raises what they raise: RequestError where one refuses."""
        target = target_of(handler)
        await target.action.check_preconditions(self.request_context(owner=owner), target.input_of(inputs))

    async def accepted(self, handler: Handler, *inputs: Any, owner: str = "") -> Accepted:
        """The first answer to a PUT of a resource, as its `accepted` hook makes it."""
        target = target_of(handler)
        if target.action.accept_hook is None:
            raise TypeError(f"{target.action.where} has no `accepted` hook")
        return await target.action.accept(self.request_context(owner=owner), target.input_of(inputs))

    def run(
        self,
        handler: Handler,
        *inputs: Any,
        owner: str = "",
        retry_of: Run | None = None,
        on_progress: Callable[[Run, Progress], object] | None = None,
    ) -> Run:
        """Begin an attempt. `inputs` are models or dicts: one for an action, a resource and a request for an ARM verb.

        `retry_of` makes it the next attempt of an operation, or its next slice, with its ids, its last checkpoint and
        its steps. `on_progress(run, progress)` is called in
        the midst of every report: it may cancel the run or move the clock. Raises ValidationError for an input that
        does not fit, TypeError for another number of inputs.
        """
        target = target_of(handler)
        arguments = target.arguments(inputs)
        if retry_of is not None and not retry_of.done():
            raise RuntimeError("the run before has not ended: await it first")
        run = Run(
            target,
            arguments,
            self._operation(target.action, owner, retry_of),
            services=self.services,
            records=self._application.records,
            threads=self._application.threads,
            on_progress=on_progress,
            follows=retry_of,
        )
        self._runs.append(run)
        return run

    def _operation(self, action: Action, owner: str, retry_of: Run | None) -> Operation:
        """The operation of a run, as it is while its attempt runs."""
        now = self.clock.now()
        return Operation(
            id=retry_of.operation_id if retry_of else new_id(),
            owner=owner,
            run_id=retry_of.run_id if retry_of else new_run_id(),
            action=action.name,
            method=action.method,
            path=action.route,
            api_version=API_VERSION,
            fingerprint="",
            input=Payload("application/json", 0, "", text=""),
            created=now,
            changed=now,
            deadline=now + action.timeout,
            keep=action.keep,
            retry_after=action.retry_after,
            status=Status.RUNNING,
            attempt=_number_after(retry_of),
            fence=1,
            started=now,
            attempt_deadline=now + action.timeout,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for run in self._runs:
                await run.aclose()
            await self._application.aclose()
        finally:
            self._folder.cleanup()


def _number_after(run: Run | None) -> int:
    """Of the next attempt, or of the next slice of the same one."""
    return 1 if run is None else run.attempt + (run.continues is None)
