"""The operators' switch: which actions are paused, and pausing or resuming one or all of them."""

import logging
from collections.abc import Callable, Collection
from typing import Any

from pydantic import Field

from shared.actions.models import Model
from shared.contracts import bodies
from shared.contracts.caller import Caller, dataplane_caller
from shared.contracts.http import Request, Response, json_response
from shared.errors import RequestError
from shared.model.times import write_time
from shared.operations.pauses import EVERYTHING, Pause, Pauses
from shared.settings import Settings

_log = logging.getLogger(__name__)


class PauseBody(Model):
    """Which action; `*` for all of them."""

    action: str = Field(min_length=1, max_length=200)


class PauseSwitch:
    """`GET pauses`, `POST pauses:pause`, `POST pauses:resume`. There is no caller without a role here."""

    def __init__(self, pauses: Pauses, settings: Settings, actions: Callable[[], Collection[str]]) -> None:
        """`actions` gives the names of all that can be paused."""
        self._pauses = pauses
        self._settings = settings
        self._actions = actions

    async def list(self, request: Request) -> Response:
        """200 with all that is paused, for who may read or change the operations of all owners."""
        caller = dataplane_caller(request, self._settings)
        if not (caller.may_read_all or caller.may_change_all):
            raise _needs(self._settings.operator_read_role)
        return await self._answer()

    async def pause(self, request: Request) -> Response:
        """200 with all that is paused, and from now on the named action; 400 for one that is not in this app."""
        caller, action = self._switched(request)
        await self._pauses.pause(action, by=caller.owner)
        who = caller.owner
        _log.warning("Paused: %s (%s)", action, who, extra={"event": "action_paused", "operator": who})
        return await self._answer()

    async def resume(self, request: Request) -> Response:
        """200 with all that is still paused; what a setting pauses is."""
        caller, action = self._switched(request)
        await self._pauses.resume(action)
        who = caller.owner
        _log.warning("Resumed: %s (%s)", action, who, extra={"event": "action_resumed", "operator": who})
        return await self._answer()

    def _switched(self, request: Request) -> tuple[Caller, str]:
        caller = dataplane_caller(request, self._settings)
        if not caller.may_change_all:
            raise _needs(self._settings.operator_cancel_role)
        body = bodies.read_json_object(request, limit=self._settings.max_body_bytes)
        action = bodies.validated(PauseBody, body).action
        if action != EVERYTHING and action not in self._actions():
            known = ", ".join(sorted(self._actions()))
            raise RequestError(400, "UnknownAction", f"There is no action of that name; write * or one of: {known}.")
        return caller, action

    async def _answer(self) -> Response:
        return json_response(200, {"value": [_shown(each) for each in await self._pauses.current()]})


def _shown(pause: Pause) -> dict[str, Any]:
    shown = {"action": pause.action, "by": pause.by}
    return shown | ({"since": write_time(pause.since)} if pause.since else {})


def _needs(role: str) -> RequestError:
    return RequestError(403, "RoleRequired", f"This is for operators: ask for the role {role}.")
