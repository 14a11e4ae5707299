"""Presses: an ARM resource that another system sets up, which takes work orders and reports how it goes.

A sample to start from: replace it, together with `library/presses.py`, by your own. docs/external.md shows it at work.
"""

from library.presses import WorkOrder, WorkOrders
from shared.actions import ActionContext, ReadContext, RequestError, call
from shared.actions.arm import ArmResource
from shared.actions.arm_external import put_elsewhere
from shared.actions.arm_headers import ArmAsyncOperationHeader
from shared.actions.arm_models import ArmTrackedResource, read_only
from shared.actions.hand_over import HandOver
from shared.actions.models import Model
from shared.composition import operations, storage


class PressProperties(Model):
    """What a press is asked to be, and what the system that set it up has found."""

    model: str | None = None
    serial_number: str | None = read_only()
    sheets_per_hour: int | None = read_only()


Press = ArmTrackedResource[PressProperties]

presses = ArmResource("Contoso.Library", "presses", api_versions=["2026-01-01"], properties=PressProperties)


@put_elsewhere(presses, deadline="2h", lro_headers=ArmAsyncOperationHeader(retry_after=5))
async def set_up(work: HandOver, press: Press) -> None:
    """Order a press to be set up, by the system that takes the work orders."""
    order = WorkOrder(
        press=press.name,
        model=press.properties.model or "",
        operation_id=work.operation_id,
        update_url=work.update_url,
        secret=work.secret,
    )
    await WorkOrders(storage()).put(order, run=work.run, created=work.created)


@presses.delete()
async def scrap(context: ActionContext, press: Press) -> None:
    """Remove a press: nothing is kept of it beside the resource itself."""


@call("presses:take-work-order", post="presses:take-work-order")
async def take_work_order(context: ReadContext) -> WorkOrder | None:
    """Whoever may call this function sets presses up: give its key to that system, and no other."""
    return await WorkOrders(storage()).take(still_wanted=_is_open)


async def _is_open(order: WorkOrder) -> bool:
    try:
        operation = await operations().authorize(order.operation_id, order.secret)
    except RequestError:
        return False
    return not operation.status.is_terminal
