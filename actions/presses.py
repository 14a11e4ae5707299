"""Presses: an ARM resource that another system sets up, which takes work orders and reports how it goes.

A sample to start from: replace it, together with `library/presses.py`, by your own. docs/external.md shows it at work.
"""

from library.presses import WorkOrder, WorkOrders
from shared.actions import (
    ActionContext,
    ArmAsyncOperationHeader,
    ArmResource,
    ArmTrackedResource,
    Delegation,
    Model,
    RemovalContext,
    RequestContext,
    RequestError,
    call,
    delegate_put,
    read_only,
)


class PressProperties(Model):
    """What a press is to be, and what the system that set it up has found."""

    model: str | None = None
    serial_number: str | None = read_only()
    sheets_per_hour: int | None = read_only()


Press = ArmTrackedResource[PressProperties]

presses = ArmResource("Contoso.Library", "presses", api_versions=["2026-01-01"], properties=PressProperties)


@delegate_put(presses, deadline="2h", lro_headers=ArmAsyncOperationHeader(retry_after=5))
async def set_up(context: RequestContext, work: Delegation, press: Press) -> None:
    """Order a press to be set up, by the system that takes the work orders."""
    order = WorkOrder(
        press=press.name,
        model=press.properties.model or "",
        operation_id=work.operation_id,
        update_url=work.update_url,
        secret=work.secret,
    )
    await WorkOrders(context.storage).put(order, run_id=work.run_id, created=work.created)


@set_up.removed
async def withdraw(context: RemovalContext) -> None:
    """Remove an order that nobody has taken."""
    await WorkOrders(context.storage).remove(run_id=context.run_id, created=context.created)


@presses.delete()
async def scrap(context: ActionContext, press: Press) -> None:
    """Remove a press: nothing is kept of it beside the resource itself."""


@call("presses:take-work-order", post="presses:take-work-order")
async def take_work_order(context: RequestContext) -> WorkOrder | None:
    """Whoever may call this function sets presses up: give its key to that system, and no other."""

    async def is_open(order: WorkOrder) -> bool:
        try:
            operation = await context.external.authorize(order.operation_id, order.secret)
        except RequestError:
            return False
        return not operation.status.is_terminal

    return await WorkOrders(context.storage).take(is_open=is_open)
