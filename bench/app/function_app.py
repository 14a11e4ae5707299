"""The app with an action that does nothing, and beside it the same on Durable Functions alone, as the rival."""

import gc

import azure.durable_functions as df
import azure.functions as func

import actions
import blueprints
from shared.actions.registry import discover
from shared.composition import Application

application = Application(discover(actions))

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
for blueprint in blueprints.build(application):
    app.register_functions(blueprint)


@app.route(route="empty", methods=["GET"])
async def empty(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("{}", mimetype="application/json")


# As function_app.py of the app itself.
gc.freeze()


@app.route(route="bare", methods=["POST"])
@app.durable_client_input(client_name="client")
async def bare_start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance = await client.start_new("bare_orchestrator", None, req.get_body().decode())
    return client.create_check_status_response(req, instance)


@app.orchestration_trigger(context_name="context")
def bare_orchestrator(context):
    yield context.call_activity("bare_activity", context.get_input())


@app.activity_trigger(input_name="work")
async def bare_activity(work: str):
    return None
