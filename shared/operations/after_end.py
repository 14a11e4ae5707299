"""What is done once an operation has ended."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from shared.actions.context import Context, Services
from shared.actions.declaration import Action
from shared.model.operation import Operation
from shared.operations.containment import contained
from shared.operations.log_lines import about

AfterEnd = Callable[[Operation], Awaitable[None]]
"""Done once an operation has ended, at least once or not at all. Doing it again changes nothing."""

_log = logging.getLogger(__name__)


class DeclaredAfterEnd:
    """The after-end of a whole app: what the action declares, and what the operation's profile demands."""

    def __init__(self, actions: Mapping[str, Action], services: Services, settle: AfterEnd) -> None:
        """`settle` does what the profile demands; it looks at the operation alone, whose action may be unknown here."""
        self._actions = actions
        self._services = services
        self._settle = settle

    async def __call__(self, operation: Operation) -> None:
        """Raises what it meets: whoever calls decides whether the end can do without."""
        action = self._actions.get(operation.action)
        if action is not None and action.after_end is not None:
            with contained():
                await action.after_end(context_of(operation, self._services), operation)
        await self._settle(operation)


def context_of(operation: Operation, services: Services) -> Context:
    """What code of the app is given that works for an operation, and neither in a request nor in an attempt."""
    return Context(
        owner=operation.owner,
        base_url=services.settings.own_url,
        api_version=operation.api_version,
        services=services,
    )


async def run_after_end(after_end: AfterEnd, operation: Operation) -> None:
    """Run `after_end`. The operation has ended all the same where it fails: its readers make up for it."""
    try:
        await after_end(operation)
    except Exception:
        line = about(_log, operation, "after_end_failed")
        line.warning("What follows an operation is left to its readers", exc_info=True)
