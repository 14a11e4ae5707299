"""`azure/resource-manager/operation-templates`: an ARM resource, and a report that a GET waits for."""

from actions._gates import pass_through

from shared.actions import ActionContext, ArmResource, ArmTrackedResource, Model, action


class OrderProperties(Model):
    product_id: str | None = None
    amount: int | None = None


Order = ArmTrackedResource[OrderProperties]

orders = ArmResource(
    "Azure.ResourceManager.OperationTemplates",
    "orders",
    api_versions=["2023-12-01-preview"],
    properties=OrderProperties,
)


@orders.create_or_replace()
async def put_order(context: ActionContext, order: Order) -> Order:
    await pass_through(context.operation_id)
    return order


@orders.delete()
async def delete_order(context: ActionContext, order: Order) -> None:
    await pass_through(context.operation_id)


class CostReportProperties(Model):
    download_url: str
    provisioning_state: str = "Succeeded"


class CostReport(Model):
    name: str
    properties: CostReportProperties


@action("cost-report:make", put="cost-reports/{operation_id}")
async def make_report(context: ActionContext) -> CostReport:
    await pass_through(context.operation_id)
    url = f"https://storage.blob.core.windows.net/reports/{context.operation_id}.csv"
    return CostReport(name=context.operation_id, properties=CostReportProperties(download_url=url))
