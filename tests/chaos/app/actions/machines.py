"""ARM resources: machines, which handlers of this app set up, and lathes, which another system does."""

from contextlib import suppress

import actions._steps as steps
from shared.actions import (
    ActionContext,
    ArmAsyncOperationHeader,
    ArmLroLocationHeader,
    ArmResource,
    ArmTrackedResource,
    Delegation,
    Model,
    RequestContext,
    call,
    delegate_put,
    read,
)
from shared.storage import Delete, StorageConflict, Upsert, row_pages, write_once

NAMESPACE, VERSION = "Contoso.Chaos", "2026-01-01"


class Properties(Model):
    note: str | None = None


class Tested(Model):
    note: str


class Order(Model):
    id: str
    url: str
    secret: str


class Orders(Model):
    value: list[Order]


class OrderRef(Model):
    id: str


Machine = ArmTrackedResource[Properties]
machines = ArmResource(NAMESPACE, "machines", api_versions=[VERSION], properties=Properties)
lathes = ArmResource(NAMESPACE, "lathes", api_versions=[VERSION], properties=Properties)


@machines.create_or_update(lro_headers=ArmAsyncOperationHeader(retry_after=1), **steps.OFTEN)
async def install(context: ActionContext, machine: Machine) -> Machine:
    await steps.work(context, 0.3)
    return machine


@machines.update(lro_headers=ArmLroLocationHeader(retry_after=1), **steps.OFTEN)
async def change(context: ActionContext, machine: Machine) -> Machine:
    await steps.work(context, 0.3)
    return machine


@machines.delete(lro_headers=ArmLroLocationHeader(retry_after=1), **steps.OFTEN)
async def scrap(context: ActionContext, machine: Machine) -> None:
    await steps.work(context, 0.3)


@machines.action("test", lro_headers=ArmAsyncOperationHeader(final_result=Tested, retry_after=1), **steps.OFTEN)
async def try_out(context: ActionContext, machine: Machine) -> Tested:
    await steps.work(context, 0.3)
    return Tested(note=machine.properties.note or "")


@delegate_put(lathes, deadline="10m", lro_headers=ArmAsyncOperationHeader(retry_after=1))
async def order(context: RequestContext, work: Delegation, lathe: Machine) -> None:
    """Keep the order for whoever sets lathes up; one operation has one order, however often it is delegated."""
    values = {"id": work.operation_id, "url": work.update_url, "secret": work.secret}
    await write_once(context.storage.table("orders"), "orders", [Upsert(work.operation_id, values)])


@lathes.delete(lro_headers=ArmAsyncOperationHeader(retry_after=1), **steps.OFTEN)
async def scrap_lathe(context: ActionContext, lathe: Machine) -> None:
    await steps.work(context, 0)


@read("orders:list", get="orders")
async def open_orders(context: RequestContext) -> Orders:
    rows = [row async for page in row_pages(context.storage.table("orders"), "orders") for row in page]
    return Orders(value=[Order.model_validate(row.values, by_name=True, extra="ignore") for row in rows])


@call("orders:done", post="orders/{id}:done")
async def order_is_done(context: RequestContext, request: OrderRef) -> OrderRef:
    with suppress(StorageConflict):  # that is known already
        await context.storage.table("orders").write("orders", [Delete(request.id)])
    return request
