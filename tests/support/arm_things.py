"""ARM resources for tests: one per header model, with every verb, and handlers that do what the resource says."""

import asyncio

from shared.actions import (
    ActionContext,
    ActionFailed,
    ArmAsyncOperationHeader,
    ArmCombinedLroHeaders,
    ArmLroLocationHeader,
    ArmResource,
    ArmTrackedResource,
    Model,
    SyncActionContext,
    read_only,
)
from shared.actions.arm.lro_headers import RESOURCE, LroHeaders

NAMESPACE = "Contoso.Things"
VERSION = "2026-01-01"
MODELS: dict[str, type[LroHeaders]] = {
    "asyncThings": ArmAsyncOperationHeader,
    "locationThings": ArmLroLocationHeader,
    "bothThings": ArmCombinedLroHeaders,
}


class Inner(Model):
    """A property that is an object."""

    one: int | None = None
    two: int | None = None


class ThingProperties(Model):
    """`mode` says how handlers end: "" well, "fail", "wait" until canceled."""

    mode: str | None = None
    note: str | None = None
    inner: Inner | None = None
    made: int | None = read_only()
    """How often a PUT or PATCH has succeeded."""


Thing = ArmTrackedResource[ThingProperties]


class Sum(Model):
    """What `add` is given."""

    a: int = 0
    b: int = 0
    mode: str = ""


class Size(Model):
    """What `dump` is given."""

    size: int = 0


class Dump(Model):
    """What `dump` returns."""

    text: str


class Total(Model):
    """What `add` returns."""

    total: int


async def behave(mode: str | None) -> None:
    if mode == "fail":
        raise ActionFailed("ThingFailed", "This thing fails.", status_code=409)
    if mode == "wait":
        await asyncio.sleep(30)


def declare(name: str, model: type[LroHeaders]) -> ArmResource:
    things = ArmResource(
        NAMESPACE,
        name,
        api_versions=[VERSION, "2026-02-02-preview"],
        properties=ThingProperties,
        name_pattern="[a-z0-9A-Z-]+",
    )

    async def put(context: ActionContext, thing: Thing) -> Thing:
        await behave(thing.properties.mode)
        thing.properties.made = (thing.properties.made or 0) + 1
        return thing

    async def patch(context: ActionContext, thing: Thing) -> Thing:
        return await put(context, thing)

    async def delete(context: ActionContext, thing: Thing) -> None:
        await behave(thing.properties.note)

    async def add(context: ActionContext, thing: Thing, request: Sum) -> Total:
        await behave(request.mode)
        return Total(total=request.a + request.b)

    def touch(context: SyncActionContext, thing: Thing) -> None:
        """A sync handler, in a thread."""

    async def reflect(context: ActionContext, thing: Thing) -> Thing:
        return thing

    async def dump(context: ActionContext, thing: Thing, request: Size) -> Dump:
        return Dump(text="x" * request.size)

    things.create_or_update(lro_headers=model(final_result=RESOURCE, retry_after=1))(put)
    things.update(lro_headers=model(final_result=Thing, retry_after=1))(patch)
    things.delete(lro_headers=model(final_result=None, retry_after=1))(delete)
    things.action("add", lro_headers=model(final_result=Total, retry_after=1))(add)
    things.action("touch", lro_headers=model(final_result=None, retry_after=1))(touch)
    things.action("reflect", lro_headers=model(retry_after=1))(reflect)
    things.action("dump", lro_headers=model(retry_after=1), result="link" if model.location else None)(dump)
    return things


async_things = declare("asyncThings", ArmAsyncOperationHeader)
location_things = declare("locationThings", ArmLroLocationHeader)
both_things = declare("bothThings", ArmCombinedLroHeaders)
ALL = (async_things, location_things, both_things)
