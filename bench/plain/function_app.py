"""Durable Functions' own pattern alone, under the names that the extension as a program calls."""

import gc

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="bare", methods=["POST"])
@app.durable_client_input(client_name="client")
async def bare_start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance = await client.start_new("longRunningActionOrchestrator", None, req.get_body().decode())
    return client.create_check_status_response(req, instance)


@app.route(route="bare/{id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def bare_status(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    status = await client.get_status(req.route_params["id"])
    name = status.runtime_status.name if status.runtime_status else "Pending"
    return func.HttpResponse(f'{{"runtimeStatus":"{name}"}}', mimetype="application/json")


@app.orchestration_trigger(context_name="context", orchestration="longRunningActionOrchestrator")
def plain_orchestrator(context):
    yield context.call_activity("longRunningActions", context.get_input())


@app.activity_trigger(input_name="work", activity="longRunningActions")
async def plain_activity(work: str):
    return None


gc.freeze()
