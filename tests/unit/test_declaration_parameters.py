"""Every parameter of every declaration: a wrong value refuses to start, in one line that shows the right form."""

import inspect
import typing
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from shared import actions
from shared.actions import (
    ActionContext,
    ArmAsyncOperationHeader,
    ArmCombinedLroHeaders,
    ArmLroLocationHeader,
    ArmResource,
    ArmTrackedResource,
    Context,
    Delegation,
    Model,
    ODataService,
    RequestContext,
    Retry,
    Stored,
    action,
    call,
    delegate_put,
    read,
    sweep,
)
from shared.actions.odata.service import EntitySet
from shared.actions.parameters import Rule, checked
from shared.errors import DeclarationError

HERE = "tests.unit.test_declaration_parameters"


class Input(Model):
    id: str = ""


class Properties(Model):
    note: str | None = None


Thing = ArmTrackedResource[Properties]


class Nothing:
    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        yield []

    async def get(self, key: str) -> Stored | None: ...


async def work(context: ActionContext, request: Input) -> None: ...
async def look(context: RequestContext, request: Input) -> Input: ...  # type: ignore[empty-body]
async def put(context: ActionContext, thing: Thing) -> Thing: ...  # type: ignore[empty-body]
async def tidy(context: Context) -> None: ...
async def act(context: ActionContext, thing: Thing) -> None: ...
async def order(work: Delegation, thing: Thing) -> None: ...


def resource(**changes: Any) -> ArmResource:
    right: dict[str, Any] = {
        "namespace": "Contoso.A", "type": "things", "api_versions": ["2026-01-01"], "properties": Properties,
    }  # fmt: skip
    return ArmResource(**{**right, **changes})


def entity_set(**changes: Any) -> EntitySet:
    right: dict[str, Any] = {"name": "Things", "model": Input, "key": "id", "source": Nothing}
    return ODataService("Numbers").entity_set(**{**right, **changes})


def writable(**changes: Any) -> EntitySet:
    right: dict[str, Any] = {"name": "Things", "model": Input, "key": "id", "source": Nothing}
    return ODataService("Numbers").writable_entity_set(**{**right, **changes})


def deletable(**changes: Any) -> EntitySet:
    right: dict[str, Any] = {"name": "Things", "model": Input, "key": "id", "source": Nothing}
    return ODataService("Numbers").deletable_entity_set(**{**right, **changes})


def declares(make: Callable[..., Any], function: Any, /, **right: Any) -> Callable[..., Any]:
    """How a decorator is used, on a declaration of its own each time."""
    return lambda **changes: make()(**{**right, **changes})(function)


SURFACE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "action": (action, declares(lambda: action, work, name="a", post="a")),
    "read": (read, declares(lambda: read, look, name="a", get="a")),
    "call": (call, declares(lambda: call, look, name="a", post="a")),
    "sweep": (sweep, declares(lambda: sweep, tidy, name="a")),
    "delegate_put": (delegate_put, declares(lambda: delegate_put, order, resource=resource())),
    "Retry": (Retry, Retry),
    "ArmAsyncOperationHeader": (ArmAsyncOperationHeader, ArmAsyncOperationHeader),
    "ArmLroLocationHeader": (ArmLroLocationHeader, ArmLroLocationHeader),
    "ArmCombinedLroHeaders": (ArmCombinedLroHeaders, ArmCombinedLroHeaders),
    "ArmResource": (ArmResource, resource),
    "ArmResource.create_or_replace": (
        ArmResource.create_or_replace, declares(lambda: resource().create_or_replace, put),
    ),
    "ArmResource.create_or_update": (ArmResource.create_or_update, declares(lambda: resource().create_or_update, put)),
    "ArmResource.update": (ArmResource.update, declares(lambda: resource().update, put)),
    "ArmResource.delete": (ArmResource.delete, declares(lambda: resource().delete, act)),
    "ArmResource.action": (ArmResource.action, declares(lambda: resource().action, act, name="do")),
    "ODataService": (ODataService, lambda **changes: ODataService(**{"namespace": "Numbers", **changes})),
    "ODataService.entity_set": (ODataService.entity_set, entity_set),
    "ODataService.writable_entity_set": (ODataService.writable_entity_set, writable),
    "ODataService.deletable_entity_set": (ODataService.deletable_entity_set, deletable),
    "ODataService.action": (ODataService.action, declares(lambda: ODataService("Numbers").action, work, name="Do")),
    "ODataService.function": (
        ODataService.function, declares(lambda: ODataService("Numbers").function, look, name="F"),
    ),
    "EntitySet.action": (EntitySet.action, declares(lambda: entity_set().action, work, name="Do")),
    "EntitySet.collection_action": (
        EntitySet.collection_action, declares(lambda: entity_set().collection_action, work, name="Do"),
    ),
    "EntitySet.function": (EntitySet.function, declares(lambda: entity_set().function, look, name="F")),
    "EntitySet.collection_function": (
        EntitySet.collection_function, declares(lambda: entity_set().collection_function, look, name="F"),
    ),
}  # fmt: skip
"""What is declared with: how its parameters are read, and how it is used with right values but those that change."""

NO_DECLARATIONS = {
    *("ID_PATTERN", "RESOURCE", "is_valid_id", "read_only", "read_only_names", "validation_error", "wording"),
    *("Accepted", "Content", "Model", "ArmTrackedResource", "SystemData", "Progress", "Delegation"),
    *(
        "Action",
        "ActionContext",
        "Attempt",
        "AttemptContext",
        "Context",
        "ContinueLater",
        "RemovalContext",
        "SENSITIVE",
        "SyncActionContext",
        "RequestContext",
        "ResourceTable",
        "ResourceView",
        "File",
        "ResultFile",
        "SyncResultFile",
        "Duration",
        "Policies",
        "PollingPolicies",
    ),
    *("EntitySource", "EntityStore", "EntityChange", "Create", "Update", "Remove", "Stored"),
    *("SearchAnd", "SearchExpression", "SearchNot", "SearchOr", "SearchText", "SearchableSource"),
    *(
        "ActionCanceled",
        "ActionFailed",
        "ChangeRefused",
        "DeclarationError",
        "ErrorBody",
        "ErrorDetail",
        "RequestError",
    ),
    *("Running", "Succeeded", "Failed", "Canceled", "CreatedOperation"),
}
"""Values, models, contexts, types and errors of the public surface."""

NO_DECORATORS = {"endpoints", "find", "declare_action", "declare_function"}
"""Methods that other modules of `shared` call."""


def parameters(declared: Callable[..., Any]) -> set[str]:
    """The names a declaration takes, those of its policies among them."""
    found: set[str] = set()
    for parameter in inspect.signature(declared).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found |= set(typing.get_type_hints(typing.get_args(parameter.annotation)[0]))
        else:
            found.add(parameter.name)
    return found - {"self"}


NUMBERS = (True, "3", 0, -1, 1.5, None)
DURATIONS = (5, True, "5 minutes", "0s", "-1m", "", timedelta(0), None)
TEXTS = (5, True, b"a", "", None)
WRONG: dict[str, tuple[tuple[Any, ...], str]] = {
    "name": (TEXTS, "write name="),
    "post": ((5, True, b"a", ""), 'write post="book/{id}"'),
    "put": ((5, True, ""), 'write put="book/{id}"'),
    "delete": ((5, True, ""), 'write delete="book/{id}"'),
    "get": (TEXTS, 'write get="book/{id}"'),
    "exclusive": ((5, True, ""), 'write exclusive="book/{id}"'),
    "timeout": (DURATIONS, 'write timeout="5m" or timeout="1h30m"'),
    "keep": (DURATIONS, 'write keep="5m" or'),
    "deadline": (DURATIONS, 'write deadline="5m" or'),
    "expected_duration": (DURATIONS, 'write expected_duration="5m" or'),
    "grace": (DURATIONS, 'write grace="5m" or'),
    "isolation": ((5, True, "", "Process", "loop", None), 'write isolation="thread" or isolation="process"'),
    "delay": (DURATIONS, 'write delay="5m" or'),
    "max_delay": (DURATIONS, 'write max_delay="5m" or'),
    "retry": (
        (True, False, "3", 0, -1, 1.5, None, timedelta(1), Retry),
        "write retry=3 or retry=Retry(max_attempts=3)",
    ),
    "max_lost": (NUMBERS, "write max_lost=5"),
    "at_most_once": ((1, "yes", None), "write at_most_once=True"),
    "retry_after": (NUMBERS[:-1], "write retry_after=10"),
    "max_attempts": (NUMBERS, "write max_attempts=3"),
    "input_version": (NUMBERS, "write input_version=2"),
    "result": (("monitor", "", True, 5, ["link"]), 'write result="link"'),
    "backoff": ((True, "2", 0.5, -1, float("nan"), float("inf"), 1e9, None), "write backoff=2.0"),
    "lro_headers": (("both", 5, ArmAsyncOperationHeader), "lro_headers=ArmLroLocationHeader(retry_after=10)"),
    "final_result": ((5, "Result", Input()), "write final_result=RESOURCE or final_result=MigrationResult"),
    "also_lock": (("other", lambda thing: [thing], 5), "write also_lock=lambda"),
    "namespace": ((*TEXTS, "a-b"), "write namespace="),
    "type": ((*TEXTS, "Things", "locations"), 'write type="shelves"'),
    "api_versions": (("2026-01-01", [], [5], ["1.0"], 5, None), 'write api_versions=["2026-01-01"]'),
    "properties": ((5, "Properties", dict, Properties()), "properties="),
    "name_pattern": ((5, "", "[", None), "write name_pattern="),
    "locations": (("westeurope", [], [5], 5), 'write locations=["westeurope"]'),
    "resource": ((5, "things", ArmResource, None), "write resource=ArmResource("),
    "undoable": ((1, "yes", None), "write undoable=True"),
    "searchable": ((1, "yes", None), "write searchable=True"),
    "model": ((5, "Book", dict, Input()), "write model=Book"),
    "key": (TEXTS, 'write key="id"'),
    "source": ((5, Nothing(), lambda context, key: key), "write source=lambda context: "),
}
"""By parameter: values that are refused wherever it is taken, and a part of the right form."""

TABLE = [
    pytest.param(name, parameter, value, id=f"{name}-{parameter}-{value!r:.20}")
    for name, (declared, _) in SURFACE.items()
    for parameter in sorted(parameters(declared))
    for value in WRONG[parameter][0]
]


def refusal(declare: Callable[..., Any], **changes: Any) -> str:
    with pytest.raises(DeclarationError) as caught:
        declare(**changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("name", "parameter", "value"), TABLE)
def test_wrong_values(name: str, parameter: str, value: Any) -> None:
    """The message names the module, the function where there is one, the parameter, the value, and the right form."""
    declared, declare = SURFACE[name]
    message = refusal(declare, **{parameter: value})
    where, _, rest = message.partition(": ")
    made_at_once = inspect.isclass(declared) or name.endswith("entity_set")
    assert where.startswith(f"{HERE}, line " if made_at_once else f"{HERE}.")
    assert rest.startswith(f"{parameter}=")
    assert WRONG[parameter][1] in rest


@pytest.mark.parametrize("name", SURFACE)
def test_right_values(name: str) -> None:
    """What the table changes is right before."""
    SURFACE[name][1]()


@pytest.mark.parametrize("name", SURFACE)
def test_unknown_names(name: str) -> None:
    """A parameter that does not exist is refused by a sentence that lists those that do."""
    declared, declare = SURFACE[name]
    message = refusal(declare, tiemout="5m")
    assert message.startswith(HERE)
    assert "'tiemout'" in message
    listed = message.rpartition("it takes ")[2].split(", ")
    assert set(listed) == parameters(declared)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        # Python 3.12 and newer say "keyword-only argument" here.
        (lambda: read("a")(look), "argument: 'get'; it takes name, get"),  # type: ignore[call-arg]
        (lambda: action()(work), "action: missing a required argument: 'name'"),  # type: ignore[call-arg]
        (ODataService, "ODataService: missing a required argument: 'namespace'"),  # type: ignore[call-arg]
        (lambda: action("a", "b")(work), "action: too many positional arguments"),  # type: ignore[misc]
        (lambda: ArmLroLocationHeader(after=5), "ArmLroLocationHeader: got an unexpected keyword"),  # type: ignore[call-arg]
    ],
)
def test_missing_and_more(declare: Callable[[], Any], said: str) -> None:
    """What is left out, and what is too much, is a sentence as well."""
    assert said in refusal(declare)


@pytest.mark.parametrize(
    "make", [action, resource().delete, resource().action, ODataService("Numbers").action, entity_set().function]
)
def test_without_parentheses(make: Callable[..., Any]) -> None:
    """A decorator put on a function without its parameters would declare nothing; it is refused."""
    message = refusal(lambda: make(work))
    assert message == f"{HERE}.work: write @{make.__name__}(...), with its parameters in parentheses"


def test_what_is_no_function() -> None:
    """A declaration on a class or a value is refused by name."""
    for value in (Nothing, Nothing(), 5):
        assert "a declaration is put on a function" in refusal(lambda value=value: action("a", post="a")(value))


@pytest.mark.parametrize(
    "put_on",
    [
        lambda value: action("a", post="a")(work).precondition(value),
        lambda value: action("a", post="a")(work).when_canceled(value),
        lambda value: action("a", post="a")(work).removed(value),
        lambda value: resource().delete()(act).precondition(value),
        lambda value: resource().delete()(act).removed(value),
        sweep("a"),
    ],
)
def test_hooks_that_are_no_functions(put_on: Callable[[Any], Any]) -> None:
    """A hook on a value is refused in one line, too."""
    assert "a hook is a function" in refusal(lambda: put_on(5))


def test_the_documented_example() -> None:
    """One line, as documented."""
    message = refusal(lambda: action("a", post="a", retry=True)(work))
    assert message == f"{HERE}.work: retry=True is not a retry policy; write retry=3 or retry=Retry(max_attempts=3)"


def test_long_values_are_cut() -> None:
    """A message stays readable, and on its line, whatever was written."""
    message = refusal(lambda: action("a", post="a", timeout="\n" * 500)(work))
    assert "..." in message
    assert len(message) < 300


def test_every_public_name_is_in_the_table() -> None:
    """A new export is declared with, and in the table, or it is named as something else; so is a new method."""
    methods = {
        f"{owner.__name__}.{name}"
        for owner in (ArmResource, ODataService, EntitySet)
        for name, value in vars(owner).items()
        if inspect.isfunction(value) and not name.startswith("_") and name not in NO_DECORATORS
    }
    assert set(actions.__all__) - NO_DECLARATIONS | methods == set(SURFACE)
    assert set(WRONG) == {each for declared, _ in SURFACE.values() for each in parameters(declared)}


def test_a_forgotten_rule_stops_the_import() -> None:
    """A parameter without a rule is an error of ours, raised where it is defined."""
    with pytest.raises(TypeError, match="extra"):

        @checked(name=Rule("a name", ('"a"',), lambda value: True))
        def declare(name: str, extra: str) -> None: ...
