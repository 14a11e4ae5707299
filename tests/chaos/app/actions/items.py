"""Resources of the data plane, each held by one operation at a time, and operations that another system works on."""

from contextlib import suppress

import actions._steps as steps
from shared.actions import Accepted, ActionContext, Context, Model, RequestContext, RequestError, action, call, read
from shared.storage import Delete, StorageConflict, Upsert, write_once


class Item(Model):
    id: str
    text: str = ""


class ItemRef(Model):
    id: str


class Asked(Model):
    secret: str


async def _stored(context: Context, id: str) -> Item | None:
    row = await context.storage.table("items").read("items", id)
    return None if row is None else Item(id=id, text=str(row.values["text"]))


@action("item:put", put="items/{id}", exclusive="items/{id}", **steps.STORING)
async def put_item(context: ActionContext, request: Item) -> Item:
    await write_once(context.storage.table("items"), "items", [Upsert(request.id, {"text": request.text})])
    await steps.work(context, 0.3)
    return request


@put_item.accepted
async def item_to_be(context: RequestContext, request: Item) -> Accepted:
    return Accepted(created=await _stored(context, request.id) is None, resource=request)


@action("item:delete", delete="items/{id}", exclusive="items/{id}", **steps.STORING)
async def delete_item(context: ActionContext, request: ItemRef) -> None:
    with suppress(StorageConflict):  # it is gone already
        await context.storage.table("items").write("items", [Delete(request.id)])
    await steps.work(context, 0.3)


@read("item:get", get="items/{id}")
async def get_item(context: RequestContext, request: ItemRef) -> Item:
    item = await _stored(context, request.id)
    if item is None:
        raise RequestError(404, "ItemNotFound", "There is no such item.", target=request.id)
    return item


@call("external:ask", post="externals/{id}:ask")
async def ask(context: RequestContext, request: ItemRef) -> Asked:
    """The caller names the operation, and reports to it by the secret."""
    created = await context.external.create(
        kind="chaos:external", owner=context.owner, operation_id=request.id, deadline="60s"
    )
    return Asked(secret=created.secret)
