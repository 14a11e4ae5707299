"""Declaring actions and reads: decorators that check a function and turn it into a value.

Nothing is registered here: `shared.actions.registry.discover` collects the values from the modules under `actions/`.
"""

import inspect
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, Unpack

from pydantic import BaseModel, TypeAdapter

from shared.actions import patterns, routes
from shared.actions.attempt_context import ActionContext
from shared.actions.context import Context, RemovalContext, RequestContext
from shared.actions.hooks import Hook, hook
from shared.actions.input_models import check_texts
from shared.actions.parameters import RESOURCE_TEMPLATE, ROUTE, Rule, decorator, matches
from shared.actions.patterns import Accepted, Pattern
from shared.actions.policies import (
    DEFAULT_GRACE,
    DEFAULT_MAX_LOST,
    NO_RETRY,
    POLLING_RULES,
    Duration,
    Isolation,
    PollingPolicies,
    Retry,
    duration,
    isolation_of,
    lost_limit,
    retry_policy,
)
from shared.actions.sensitive import has_secrets
from shared.actions.signatures import Signature, read_signature
from shared.errors import DeclarationError
from shared.model.operation import LINK, Operation, Status

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[:._-][A-Za-z0-9]+)*")


NAME = Rule(
    "a name of letters and digits with single ':', '-', '.' or '_' between, 100 characters at most",
    ('"book:upload-finish"',),
    lambda value: matches(value, _NAME) and len(value) <= 100,
)


VERSION = Rule(
    "a whole number from 1 to 1000",
    ("2",),
    lambda value: isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000,
)

RESULT_FORM = Rule("a way to hand out the result", ('"link"',), lambda value: value == LINK)

InputUpgrade = Callable[[int, dict[str, Any]], dict[str, Any]]


@dataclass(kw_only=True, eq=False)
class Action:
    """A named kind of work: handler, models, route and policies. Calling it calls the handler."""

    name: str
    handler: Callable[..., Any]
    method: str
    route: str
    input_model: type[BaseModel] | None
    output: TypeAdapter[Any] | None
    """None where the handler returns nothing."""
    timeout: timedelta
    retry: Retry
    """Counts failed attempts."""
    keep: timedelta
    retry_after: int
    """Seconds that clients wait between polls, at least."""
    where: str
    """`module.function`, for messages."""
    has_fixed_pace: bool = False
    """Whether they wait just so long: it was declared."""
    expected_duration: timedelta | None = None
    """What an operation takes as a rule."""
    max_lost: int = DEFAULT_MAX_LOST
    """The lost attempt with this number ends the operation, whatever `retry` says."""
    deadline: timedelta | None = None
    """What the operation may take over all its attempts, waits included; None for `Timing.total_deadline`."""
    at_most_once: bool = False
    """Whether the handler must never run twice: it is neither tried again nor given back once it has begun."""
    isolation: Isolation = "thread"
    """Where a `def` handler runs."""
    grace: timedelta = DEFAULT_GRACE
    """What a handler in a process has to stop before the process is ended."""
    after_end: Callable[[Context, Operation], Awaitable[None]] | None = None
    """Runs after an operation's outcome was written, at least once or not at all: what it does must also be done by
    whoever reads what it would have changed."""
    preconditions: list[Hook] = field(default_factory=list[Hook])
    removal_hooks: list[Hook] = field(default_factory=list[Hook])
    pattern: Pattern = Pattern.ACTION
    exclusive: str | None = None
    """Template of the resource that one operation at a time may write; its parameters are the route's."""
    accept_hook: Hook | None = None
    returns_file: bool = False
    links_result: bool = False
    """Whether monitors name where the result lies, and do not carry it."""
    input_version: int = 1
    """Of the input model: stored with each operation."""
    input_upgrade: InputUpgrade | None = None

    @classmethod
    def declared(
        cls,
        name: str,
        signature: Signature,
        *,
        method: str,
        route: str,
        pattern: Pattern = Pattern.ACTION,
        exclusive: str | None = None,
        input_version: int = 1,
        result: Literal["link"] | None = None,
        **policies: Unpack[PollingPolicies],
    ) -> "Action":
        """The action that runs this function, in every profile; here are the defaults of what is left out."""
        where = signature.where
        isolation, grace = isolation_of(policies, where, is_async=inspect.iscoroutinefunction(signature.function))
        return cls(
            name=name,
            handler=signature.function,
            method=method,
            route=route,
            input_model=signature.input_model,
            output=signature.output,
            timeout=duration(policies.get("timeout", "5m"), what=f"timeout of {where}"),
            retry=retry_policy(policies.get("retry", NO_RETRY)),
            max_lost=lost_limit(policies, where),
            deadline=_duration_or_none(policies.get("deadline"), what=f"deadline of {where}"),
            at_most_once=policies.get("at_most_once", False),
            keep=duration(policies.get("keep", "24h"), what=f"keep of {where}"),
            retry_after=policies.get("retry_after", 1),
            where=where,
            has_fixed_pace="retry_after" in policies,
            expected_duration=_duration_or_none(
                policies.get("expected_duration"), what=f"expected_duration of {where}"
            ),
            pattern=pattern,
            exclusive=exclusive,
            returns_file=signature.returns_file,
            links_result=patterns.is_linked(result, pattern, signature),
            input_version=input_version,
            isolation=isolation,
            grace=grace,
        )

    @property
    def in_process(self) -> bool:
        return self.isolation == "process"

    @property
    def function_name(self) -> str:
        return function_name(self.name)

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.handler)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handler(*args, **kwargs)

    def precondition(self, check: Callable[..., Any]) -> Callable[..., Any]:
        """Run `check([context, ]input)` before the operation is created; it refuses by raising RequestError."""
        self.preconditions.append(hook(check, inputs=1))
        return check

    def accepted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Let `function([context, ]input) -> Accepted` make the first answer to a PUT of a resource.

        It runs after the preconditions, and again when the start is repeated: it reads what is stored and refuses
        nothing. Raises DeclarationError for another kind of start, and for a second hook.
        """
        if self.pattern is not Pattern.PUT_RESOURCE or self.accept_hook is not None:
            raise DeclarationError(f"{self.where}: `accepted` is for a PUT of a resource, and there is one of it")
        self.accept_hook = hook(function, inputs=1)
        return function

    def when_canceled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Run `function([context, ]run_id)` after an operation has ended as canceled.

        It removes what attempts may have left behind.

        An attempt may have died between its last write and its end, so the hook runs whether or not there is anything
        to remove; and before an OData client is told that its request was canceled. Where the operation is deleted
        first it does not run: what must go in any case, a hook of `removed` removes as well.
        """

        clean_up = hook(function, inputs=1, context=Context)

        async def after_end(context: Context, operation: Operation) -> None:
            if operation.status is Status.CANCELED:
                await clean_up(context, operation.run_id)

        self.after_end = after_end
        return function

    def removed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Run `function([context: RemovalContext, ][input])` once the record of an operation has gone.

        It removes what the operation has stored beside its result, however it has ended. It runs at least once, after
        a DELETE as after the expiry, and again until it returns. Where something may still arrive, by an upload URL
        for example, it returns the time (aware) from which to run again; else None.
        """
        self.removal_hooks.append(hook(function, inputs=1, context=RemovalContext))
        return function

    async def accept(self, context: Context, input: BaseModel | None) -> Accepted:
        """What the hook says. Raises TypeError where that is not an Accepted."""
        assert self.accept_hook is not None, "the registry refuses a PUT of a resource without the hook"
        result = await self.accept_hook(context, input)
        if not isinstance(result, Accepted):
            raise TypeError(f"the accepted hook of {self.where} returned {type(result).__name__}, not Accepted")
        return result

    def upgrade_input(self, function: InputUpgrade) -> InputUpgrade:
        """Let `function(version, input) -> input` make a stored input of an older version one of this version.

        `input` is the JSON object as it was stored, with the names on the wire; `version` is the declaration's at the
        start, from 1 up to the one below `input_version`. Raises DeclarationError without that, and for a second one.
        """
        if self.input_version == 1 or self.input_upgrade is not None:
            raise DeclarationError(
                f"{self.where}: upgrade_input is for input_version=2 and above, and there is one of it"
            )
        self.input_upgrade = function
        return function

    def read_input(self, content: bytes, version: int = 1) -> BaseModel | None:
        """What was stored of a start that was declared with `version`. Raises ValueError where it does not fit.

        Names are the aliases; unknown fields come from another version.
        """
        if self.input_model is None:
            return None
        if version < self.input_version and self.input_upgrade is not None:
            try:
                content = json.dumps(self.input_upgrade(version, json.loads(content))).encode()
            except Exception as error:
                # Its text may repeat a value.
                raise ValueError(f"upgrade_input raised {type(error).__name__} for version {version}") from None
        return self.input_model.model_validate_json(content)

    def shown_input(self, content: bytes, version: int = 1) -> bytes:
        """The same as JSON that may be shown: without what is sensitive. Raises ValueError."""
        if self.input_model is None or not has_secrets(self.input_model):
            return content
        input = self.read_input(content, version)
        return b"{}" if input is None else input.model_dump_json(by_alias=True).encode()

    def check_complete(self) -> None:
        """Raise DeclarationError for what only shows once the module was read."""
        if self.pattern is Pattern.PUT_RESOURCE and self.accept_hook is None:
            raise DeclarationError(
                f"{self.where}: a PUT of a resource answers with the resource; say what it is with @....accepted"
            )

    def endpoints(self) -> list[routes.Endpoint]:
        """The HTTP functions that follow from this declaration alone."""
        starter = routes.Endpoint(self.function_name, (self.method,), self.route, self.where)
        if self.pattern is Pattern.PUT_OPERATION:
            return [starter, *patterns.operation_endpoints(self.function_name, self.route, self.where)]
        return [starter]

    async def check_preconditions(self, context: Context, input: BaseModel | None) -> None:
        """Ask every precondition, in the order they are declared in. Raises what they raise."""
        for check in self.preconditions:
            await check(context, input)


@dataclass(kw_only=True, eq=False)
class Read:
    """A synchronous GET of a resource. Calling it calls the handler."""

    name: str
    handler: Callable[..., Awaitable[Any]]
    route: str
    input_model: type[BaseModel] | None
    output: TypeAdapter[Any]
    where: str

    @classmethod
    def declared(cls, name: str, signature: Signature, *, route: str) -> "Read":
        """The read that runs this function, in every profile. Raises DeclarationError where it returns nothing."""
        if signature.output is None:
            raise DeclarationError(f"{signature.where}: what answers at once returns something; annotate what")
        return cls(
            name=name,
            handler=signature.function,
            route=route,
            input_model=signature.input_model,
            output=signature.output,
            where=signature.where,
        )

    @property
    def function_name(self) -> str:
        return function_name(self.name)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.handler(*args, **kwargs)


def function_name(name: str) -> str:
    """The Azure Functions name that stands for an action's name: `book:upload-finish` is `book_upload_finish`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name)


_ROUTES = {"post": ROUTE, "put": ROUTE, "delete": ROUTE}


@decorator(
    name=NAME, **_ROUTES, exclusive=RESOURCE_TEMPLATE, input_version=VERSION, result=RESULT_FORM, **POLLING_RULES
)
def action(
    name: str,
    *,
    post: str | None = None,
    put: str | None = None,
    delete: str | None = None,
    exclusive: str | None = None,
    input_version: int = 1,
    result: Literal["link"] | None = None,
    **policies: Unpack[PollingPolicies],
) -> Callable[[Callable[..., Any]], Action]:
    """Declare a handler `(context, input) -> output` as the action `name`; `post`, `put` or `delete` is its route.

    `put` is the route of a resource, or of an operation where it ends in `/{operation_id}`. `exclusive` names the
    resource, such as `book/{id}`, on which one operation at a time may work; it has to be a part of the route.
    `timeout` is what one attempt may take (5 minutes), `retry` the number of attempts or a `Retry` (one attempt).
    `max_lost` is the number of lost attempts after which the operation is given up (5); with `at_most_once` the handler
    never runs twice, not even after a loss. `deadline` is what the operation may take in all (24 hours). `keep` is how
    long the record stays after the end (24 hours). Clients poll when the operation is likely to have ended, by its
    progress and by what `expected_duration` says, or else what earlier ones took; `retry_after` is a pace of polls in
    seconds that holds instead. With `isolation="process"` a `def` handler runs in a process of its own, which is ended
    `grace` after it was told to stop (5 seconds). `input_version` rises with each input model that stored inputs of the
    one before do not fit; `upgrade_input` takes them over. With `result="link"` monitors name the result's URL and
    never carry it. Model, output and route parameters are read from the annotations. Raises DeclarationError.
    """

    def declare(handler: Callable[..., Any]) -> Action:
        signature = read_signature(handler, ActionContext)
        where, names = signature.where, _names(signature.input_model)
        pattern, method, route = patterns.chosen(post=post, put=put, delete=delete, names=names, where=where)
        patterns.check_members(pattern, signature, input=names)
        check_texts(signature.input_model, routes.parameters(route, where), where)
        if exclusive is not None:
            patterns.check_exclusive(exclusive, route, where)
        return Action.declared(
            name,
            signature,
            method=method,
            route=route,
            pattern=pattern,
            exclusive=exclusive,
            input_version=input_version,
            result=result,
            **policies,
        )

    return declare


@decorator(name=NAME, get=ROUTE)
def read(name: str, *, get: str) -> Callable[[Callable[..., Awaitable[Any]]], Read]:
    """Declare an async function `(context, input) -> output` as the answer to `GET {get}`. Raises DeclarationError.

    Input fields come from the route and the query string, so that text has to be enough for them. It
    refuses by raising RequestError (404 for what is absent).
    """

    def declare(handler: Callable[..., Awaitable[Any]]) -> Read:
        declared = answered_at_once(name, get, handler)
        check_texts(declared.input_model, _names(declared.input_model), declared.where)
        return declared

    return declare


def _duration_or_none(value: Duration | None, *, what: str) -> timedelta | None:
    return None if value is None else duration(value, what=what)


def answered_at_once(name: str, route: str, handler: Callable[..., Awaitable[Any]]) -> Read:
    """What a read and a call have in common. Raises DeclarationError."""
    signature = read_signature(handler, RequestContext)
    _check_route(route, signature.input_model, signature.where)
    return Read.declared(name, signature, route=route)


def _check_route(route: str, input_model: type[BaseModel] | None, where: str) -> None:
    names = routes.parameters(route, where)
    check_texts(input_model, names, where)
    for name in names:
        if name not in _names(input_model):
            raise DeclarationError(f"{where}: the route has {{{name}}}, but the input model has no field {name!r}")


def _names(model: type[BaseModel] | None) -> set[str]:
    """The fields of a model, by their names and by their names on the wire."""
    return {
        name for field, info in (model.model_fields if model else {}).items() for name in (field, info.alias or field)
    }
