"""A function app of every kind of function the local host serves."""

import asyncio
import json
import os

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
ticks: list[bool] = []


@app.route(route="hello/{name}", methods=["GET", "POST"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    """What arrived, as JSON."""
    seen = {
        "name": req.route_params["name"],
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


@app.route(route="broken")
async def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("a bug of the app")


@app.route(route="ticks", methods=["GET"])
async def seen_ticks(req: func.HttpRequest) -> str:
    return str(len(ticks))


@app.route(route="environment/{name}", methods=["GET"])
async def environment(req: func.HttpRequest) -> str:
    return os.environ.get(req.route_params["name"], "")


@app.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%", run_on_startup=True)
async def tick(timer: func.TimerRequest) -> None:
    ticks.append(timer.past_due)


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new(req.route_params["name"], None, req.get_body().decode() or None)
    return func.HttpResponse(instance_id, status_code=202)


@app.orchestration_trigger(context_name="context")
def greet(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("say", context.get_input()))


@app.activity_trigger(input_name="text")
async def say(text: str) -> str:
    await asyncio.sleep(0)
    return f"hello {text}"
