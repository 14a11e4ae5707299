"""Declaring an ARM resource: what refuses to start, naming what does not fit."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import (
    ActionContext,
    ArmAsyncOperationHeader,
    ArmLroLocationHeader,
    ArmResource,
    ArmTrackedResource,
    File,
    Model,
    SyncActionContext,
)
from shared.actions.arm.lro_headers import RESOURCE
from shared.actions.registry import Registry
from shared.composition import Application
from shared.errors import DeclarationError
from tests.support.arm_parts import arm_api, code, path_of
from tests.support.arm_things import ALL, Thing, ThingProperties, Total


def resource(**changes: Any) -> ArmResource:
    values: dict[str, Any] = {
        "namespace": "Contoso.Some", "type": "things", "api_versions": ["2026-01-01"], "properties": ThingProperties,
    }  # fmt: skip
    values |= changes
    return ArmResource(values.pop("namespace"), values.pop("type"), **values)


async def same(context: ActionContext, thing: Thing) -> Thing:
    return thing


async def nothing(context: ActionContext, thing: Thing) -> None: ...


async def total(context: ActionContext, thing: Thing) -> Total:
    return Total(total=1)


def refused(call: Callable[[], object], *parts: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)


class Needy(Model):
    must: int


class Stateful(Model):
    provisioning_state: str = ""


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"namespace": "Contoso"}, "namespace"),
        ({"type": "Things"}, "type"),
        ({"type": "locations"}, "locations"),
        ({"api_versions": []}, "api_versions"),
        ({"api_versions": ["1.0"]}, "api_versions"),
        ({"properties": Needy}, "'must'"),
        ({"properties": Stateful}, "provisioningState"),
    ],
)
def test_resources_that_are_refused(changes: dict[str, Any], part: str) -> None:
    """Names, versions, and properties that are required or the provider's."""
    refused(lambda: resource(**changes), part)


FINAL: list[tuple[str, Any, Any, tuple[str, ...]]] = [
    ("create_or_replace", ArmLroLocationHeader(final_result=None), same, ("final_result=None", "RESOURCE")),
    ("create_or_update", ArmAsyncOperationHeader(final_result=Total), same, ("final_result=Total", "RESOURCE")),
    ("update", ArmLroLocationHeader(final_result=Total), same, ("final_result=Total", "RESOURCE")),
    ("delete", ArmLroLocationHeader(final_result=RESOURCE), nothing, ("final_result=RESOURCE", "returns None")),
    ("action", ArmAsyncOperationHeader(final_result=RESOURCE), total, ("final_result=RESOURCE", "Total")),
    ("action", ArmAsyncOperationHeader(final_result=None), total, ("final_result=None", "Total")),
    ("action", ArmAsyncOperationHeader(final_result=File), total, ("final_result=FileResult", "Total")),
    ("action", ArmAsyncOperationHeader(final_result=Total), nothing, ("final_result=Total", "returns None")),
]


@pytest.mark.parametrize(("verb", "headers", "handler", "parts"), FINAL)
def test_final_result_that_does_not_match(verb: str, headers: Any, handler: Any, parts: tuple[str, ...]) -> None:
    """The final result is what the operation returns; anything else is refused, naming both."""
    arguments = ("do",) if verb == "action" else ()
    declare = getattr(resource(), verb)(*arguments, lro_headers=headers)
    refused(lambda: declare(handler), f"{handler.__module__}.{handler.__qualname__}", *parts)


def test_a_link_needs_location() -> None:
    """A result that only `Location` leads to is refused where that is not sent, and where there is none."""
    declare = resource().action("do", lro_headers=ArmAsyncOperationHeader(), result="link")
    refused(lambda: declare(total), "leaves the result to `Location`", "lro_headers=ArmCombinedLroHeaders()")
    refused(lambda: resource().action("do", result="link")(nothing), "the handler returns nothing")
    for verb in ("create_or_replace", "create_or_update", "update", "delete"):
        refused(lambda verb=verb: getattr(resource(), verb)(result="link")(same), "unexpected keyword", "'result'")


def test_handlers_that_are_refused() -> None:
    """Signatures a verb cannot call, and outputs it cannot have."""

    async def no_resource(context: ActionContext) -> None: ...
    async def other(context: ActionContext, thing: ArmTrackedResource[Model]) -> None: ...
    async def more(context: ActionContext, thing: Thing, request: Total, extra: Total) -> None: ...
    async def plain(context: ActionContext, thing: Thing, request: int) -> None: ...
    async def silent(context: ActionContext, thing: Thing): ...
    async def late(context: ActionContext, thing: "Missing") -> None: ...  # noqa: F821  # pyright: ignore
    def yields(context: SyncActionContext, thing: Thing) -> None:  # pyright: ignore
        yield

    for handler, part in (
        (no_resource, "start with"), (other, "start with"), (more, "more than"), (plain, "pydantic"),
        (silent, "annotate"), (late, "cannot be read"), (yields, "yield"),
    ):  # fmt: skip
        refused(lambda handler=handler: resource().action("do")(handler), part)
    refused(lambda: resource().create_or_replace()(nothing), "returns the resource")
    refused(lambda: resource().delete()(same), "returns nothing")
    refused(lambda: resource().action("Do It")(nothing), "one word")
    refused(lambda: resource().action("do", lro_headers=ArmLroLocationHeader(retry_after=0))(nothing), "retry_after")
    refused(lambda: resource().action("do", timeout="soon")(nothing), "timeout")


def test_declared_twice() -> None:
    """One PUT per resource, whichever it is, one action of a name, one resource of a type; both parties are named."""
    things = resource()
    things.create_or_replace()(same)
    refused(lambda: things.create_or_update()(same), "PUT", "keep one")
    things.action("do")(nothing)
    refused(lambda: things.action("dO")(total), "nothing", "total")
    refused(lambda: Registry(resources=[things, resource(type="tHINGS")]), "things", "that type")
    refused(lambda: Application(Registry(resources=[things]), function_timeout=timedelta(minutes=5)), "functionTimeout")


def test_endpoints_fit_the_app() -> None:
    """Names and routes of all resources are checked like any other, and the monitors of a namespace appear once."""
    application = Application(Registry(resources=ALL))
    names = [endpoint.function_name for endpoint in application.endpoints]
    assert names.count("Contoso_Things_operationStatuses") == 1
    assert {"Contoso_Things_asyncThings_write", "Contoso_Things_asyncThings_add_action"} <= set(names)


async def test_handlers_are_called_like_functions(tmp_path: Path) -> None:
    """A declared verb is still its handler: tests and other code may call it."""
    verb = resource().action("do")(total)
    assert (await verb(None, None)).total == 1


async def test_results_that_are_not_the_resource(tmp_path: Path) -> None:
    """A handler that returns something else, or too much, ends its operation as Failed with a code of its own."""
    things = resource()

    @things.create_or_replace()
    async def put(context: ActionContext, thing: Thing) -> Thing:
        if thing.properties.note == "wrong":
            thing.properties.note = 5  # pyright: ignore
        if thing.properties.note == "large":
            thing.properties.note = "x" * 40_000
        if thing.properties.note == "other":
            return {"id": 1}  # pyright: ignore
        thing.id = "/elsewhere"
        return thing

    async with arm_api(tmp_path, things) as api:
        path = path_of("things", "t", namespace="Contoso.Some")
        url = path_of("").partition("/resourceGroups")[0] + "/providers/Contoso.Some/locations/westeurope"
        for note, expected in (
            ("wrong", (500, "InvalidResult")), ("other", (500, "InvalidResult")), ("large", (500, "ResourceTooLarge")),
        ):  # fmt: skip
            await api("PUT", path, {"location": "westeurope", "properties": {"note": note}})
            _, work = api.engine.started[-1]
            await api.drain()
            assert code(await api("GET", f"{url}/operationResults/{work.locator.id}")) == expected
        await api.put(path)
        assert (await api.shown(path))["id"] == path


def test_verbs_that_store_the_same_share_a_model() -> None:
    """A model is made for each resource and request, not for each verb: they are most of what a declaration costs."""
    things = resource()
    created, removed = things.create_or_replace()(same), things.delete()(nothing)
    counted = things.action("count")(total)
    assert created.action.input_model is removed.action.input_model is counted.action.input_model
