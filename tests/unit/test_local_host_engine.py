"""What `--engine` and `--processes` mean, and the two calls that the Durable extension makes."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from local_host.cli import settle
from local_host.durable.binding import durable_client
from local_host.engine.calls import EngineCalls
from local_host.engine.child_settings import engine_environment, translated
from local_host.engine.extension import ExtensionEngine
from local_host.engine.program import EngineProgram, find_program
from local_host.errors import EngineError, HostError
from local_host.functions import functions_of
from local_host.host_settings import parse_host_settings
from local_host.invocation import Invoker
from local_host.settings_file import LocalSettings
from tests.unit.test_local_host_settings import flags

ROOT = Path(__file__).parents[2]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "durable-host"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def settled(**changes: Any) -> Any:
    environment = changes.pop("environment", {})
    return settle(flags(store="azurite", **changes), environment, LocalSettings(), 0)


def test_an_engine_is_a_program_its_folder_or_a_url(program: Path) -> None:
    """A path of the program or its folder; a URL gets its last slash; none by default; ENGINE where no flag says so."""
    assert settled(engine=str(program)).engine == program.resolve()
    assert settled(engine=str(program.parent)).engine == program.resolve()
    assert settled(engine="http://127.0.0.1:1/durabletask", port=7071).engine == "http://127.0.0.1:1/durabletask/"
    assert settled().engine is None
    assert settled(environment={"ENGINE": str(program), "PROCESSES": "3"}).processes == 3


def test_the_engine_by_its_name(program: Path, tmp_path: Path) -> None:
    """`durable-host`: the one that DURABLE_HOST names, else the one that make has unpacked."""
    assert find_program("durable-host", tmp_path, {"DURABLE_HOST": str(program)}, said="x") == program.resolve()
    unpacked = tmp_path / "app" / ".build" / "durable-host"
    unpacked.mkdir(parents=True)
    moved = program.rename(unpacked / "durable-host")
    assert find_program("durable-host", tmp_path / "app", {}, said="x") == moved.resolve()
    with pytest.raises(EngineError, match=r"^ENGINE durable-host: .* run `make durable-host`, or set DURABLE_HOST"):
        find_program("durable-host", tmp_path, {}, said="ENGINE durable-host")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"engine": "/nowhere/durable-host"}, "--engine /nowhere/durable-host: .* is not a program"),
        ({"engine": "ftp://x/"}, "--engine ftp://x/ is neither a program's path nor an http:// URL"),
        ({"engine": "http://127.0.0.1:1/", "port": 0}, "--engine .* name that one by --port"),
        ({"engine": "http://127.0.0.1:1/", "processes": "2"}, "--processes needs the path of a program"),
        ({"processes": "2"}, "--processes needs --engine: the engine in memory serves one process"),
        ({"processes": "0"}, "--processes must be a whole number"),
        ({"processes": "many"}, "--processes must be a whole number"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], sentence: str) -> None:
    """A sentence that names the option."""
    with pytest.raises(HostError, match=sentence):
        settled(**changes)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"ENGINE": "/nowhere/durable-host"}, "^ENGINE /nowhere/durable-host: .* is not a program"),
        ({"ENGINE": "ftp://x/"}, "^ENGINE ftp://x/ is neither a program's path nor an http:// URL"),
        ({"PROCESSES": "2"}, "^PROCESSES needs --engine"),
        ({"PROCESSES": "many"}, "^PROCESSES must be a whole number"),
    ],
)
def test_what_a_variable_says_is_refused_by_its_name(environment: dict[str, str], sentence: str) -> None:
    """Who has set a variable is not told of an option that he has not written."""
    with pytest.raises(HostError, match=sentence):
        settle(flags(), {"STORE": "azurite", **environment}, LocalSettings(), 0)


def test_an_engine_needs_a_storage_account(program: Path) -> None:
    """On SQLite there is no place for a task hub."""
    with pytest.raises(EngineError, match=r"--engine .* add --store azurite"):
        settle(flags(engine=str(program), store="sqlite"), {}, LocalSettings(), 0)


def test_settings_get_the_name_that_the_program_reads() -> None:
    """Whatever their case; all others go on as they are."""
    given = {
        "AzureFunctionsJobHost__extensions__durableTask__storageProvider__type": "x",
        "AZUREFUNCTIONSJOBHOST__EXTENSIONS__DURABLETASK__hubName": "y",
        "AzureFunctionsJobHost__extensions__http__routePrefix": "z",
    }
    assert translated(given) == {
        "AzureWebJobs__extensions__DurableTask__storageProvider__type": "x",
        "AzureWebJobs__extensions__DurableTask__hubName": "y",
    }
    environment = engine_environment(given, host_json="/app/host.json", url="http://127.0.0.1:7071")
    assert environment.items() >= given.items()
    assert (environment["PY_HOST"], environment["HOST_JSON"]) == ("http://127.0.0.1:7071", "/app/host.json")
    assert "HOST_JSON" not in engine_environment({}, host_json=None, url="x")


def test_the_binding_names_the_engines_endpoint() -> None:
    """The SDK's client calls the engine; what URLs begin with is this host."""
    binding = json.loads(durable_client("http://127.0.0.1:7071", "Hub", "http://127.0.0.1:17071/durabletask/"))
    assert binding["rpcBaseUrl"] == "http://127.0.0.1:17071/durabletask/"
    assert binding["taskHubName"] == "Hub"
    assert binding["baseUrl"].startswith("http://127.0.0.1:7071/")
    assert {"creationUrls", "managementUrls"} <= binding.keys()


# --- the program ------------------------------------------------------------------------------------------------------

READY = """#!/bin/sh
echo 'Warning x: before'
echo '{"rpc": "http://127.0.0.1:1/durabletask/"}'
"""


def test_a_program_that_gets_ready(tmp_path: Path) -> None:
    """Its URL is what it printed; a stop ends it, twice is harmless."""
    path = script(tmp_path, READY + "exec sleep 60\n")
    engine = EngineProgram(path)
    engine.start({"PATH": "/usr/bin:/bin"})
    assert engine.rpc_base_url() == "http://127.0.0.1:1/durabletask/"
    engine.stop()
    engine.stop()


def test_a_program_that_ends_by_itself_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """How it ended, once."""
    engine = EngineProgram(script(tmp_path, READY + "exit 3\n"))
    engine.start({"PATH": "/usr/bin:/bin"})
    engine.rpc_base_url()
    engine.join(10)
    assert [record.message.count("has ended with 3") for record in caplog.records] == [1]


def test_a_program_that_does_not_get_ready(tmp_path: Path) -> None:
    """Its own error is in the sentence, without the stack."""
    lines = "echo 'Error x: failed'\necho 'System.Exception: no storage'\necho '   at Some.Exceptions.Place()'\n"
    engine = EngineProgram(script(tmp_path, f"#!/bin/sh\n{lines}exit 1\n"))
    engine.start({"PATH": "/usr/bin:/bin"})
    with pytest.raises(EngineError, match=r"the engine .*did not get ready: System.Exception: no storage$"):
        engine.rpc_base_url()


def test_a_file_that_cannot_be_run(tmp_path: Path) -> None:
    """Refused in one sentence, too."""
    path = tmp_path / "durable-host"
    path.write_bytes(b"\x00")
    path.chmod(0o755)
    with pytest.raises(EngineError, match=r"the engine .* cannot be started"):
        EngineProgram(path).start({})


def script(folder: Path, text: str) -> Path:
    path = folder / "durable-host"
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_url_where_no_engine_answers() -> None:
    """Nothing there: one line that names the option, exit code 1."""
    line = [sys.executable, "-m", "local_host", "--app-root", str(ROOT / "tests" / "e2e" / "sample_app_for_host")]
    line += ["--store", "azurite", "--port", "39417", "--engine", "http://127.0.0.1:9/durabletask/"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TICK_SCHEDULE": "0 0 0 1 1 *"}
    storage = {"AzureWebJobsStorage": "UseDevelopmentStorage=false", "ENGINE": ""}
    done = subprocess.run(line, env=environment | storage, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("local_host: the engine at http://127.0.0.1:9/durabletask/: nothing answers there: ")
    assert len(done.stderr.splitlines()) == 1


async def test_a_url_where_something_else_answers() -> None:
    """A server that is not the extension is told apart from it."""
    server = TestServer(web.Application())
    async with server:
        url = str(server.make_url("/"))
        engine = ExtensionEngine([], parse_host_settings("{}", {}, cores=1), "http://127.0.0.1:1", url)
        with pytest.raises(
            EngineError, match=r"the engine at .*: what answers there \(404\) is not the Durable extension"
        ):
            await engine.binding()


# --- its calls --------------------------------------------------------------------------------------------------------


def app() -> df.DFApp:
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.function_name("passOn")
    @app.orchestration_trigger(context_name="context")
    def pass_on(context: Any) -> Any:
        return (yield context.call_activity("double", context.get_input()))

    @app.function_name("breaks")
    @app.orchestration_trigger(context_name="context")
    def breaks(context: Any) -> Any:
        yield context.call_activity("double", 1)
        raise ValueError("broken")

    @app.function_name("double")
    @app.activity_trigger(input_name="number")
    async def double(number: int):
        if number < 0:
            raise ValueError("it is negative")
        if number == 0:
            await asyncio.sleep(60)
        return [number, number]

    return app


@pytest.fixture
async def calls() -> AsyncIterator[ClientSession]:
    invoker = Invoker("{}", {})
    served = web.Application()
    served.add_routes(EngineCalls(functions_of(app()), invoker.call, timeout=timedelta(seconds=0.2)).routes())
    async with TestServer(served) as server, ClientSession(str(server.make_url("/"))) as session:
        yield session
    invoker.close()


def context_of(name: str, payload: object, *later: dict[str, Any]) -> str:
    """What the extension sends: seven digits of a second, as .NET writes them."""
    at = "2026-01-02T03:04:05.1234567Z"
    common = {"EventId": -1, "IsPlayed": False, "Timestamp": at}
    history = [
        {"EventType": 12, **common},
        {"EventType": 0, "Name": name, "Version": "", "Input": json.dumps(payload), **common},
        *({**common, **each} for each in later),
    ]
    given = {"input": json.dumps(payload), "instanceId": "i", "isReplaying": bool(later), "parentInstanceId": None}
    return json.dumps({"history": history, "upperSchemaVersion": 1, "upperSchemaVersionNew": 2, **given})


async def call(session: ClientSession, path: str, body: str) -> tuple[int, str]:
    async with session.post(f"/__host/{path}", data=body) as answer:
        return answer.status, await answer.text()


@pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type")
async def test_an_orchestrator_is_replayed(calls: ClientSession) -> None:
    """Its actions so far, then its output, as the function returned them; names ignore case."""
    status, text = await call(calls, "orchestrator/PASSON", context_of("passOn", 2))
    assert status == 200
    first = json.loads(text)
    assert (first["isDone"], first["actions"][0][0]["functionName"]) == (False, "double")
    done = {"EventType": 5, "TaskScheduledId": 0, "Result": "[2, 2]"}
    scheduled = {"EventType": 4, "EventId": 0, "Name": "double"}
    status, text = await call(calls, "orchestrator/passOn", context_of("passOn", 2, scheduled, done))
    assert (status, json.loads(text)["isDone"], json.loads(text)["output"]) == (200, True, [2, 2])


async def test_an_orchestrator_that_fails_hands_over_its_state(calls: ClientSession) -> None:
    """500 with the SDK's message, in which the extension finds the actions before the failure."""
    done = {"EventType": 5, "TaskScheduledId": 0, "Result": "1"}
    scheduled = {"EventType": 4, "EventId": 0, "Name": "double"}
    status, text = await call(calls, "orchestrator/breaks", context_of("breaks", None, scheduled, done))
    assert status == 500
    assert text.partition("\n")[0] == "Exception: broken"
    state = text.partition("\n\n$OutOfProcData$:")[2].partition("\nStack: ")[0]
    assert json.loads(state)["actions"][0][0]["functionName"] == "double"
    assert "\nStack: Traceback" in text


async def test_an_activity_is_run(calls: ClientSession) -> None:
    """JSON in, JSON out; what it raises is 500 with type, message and stack; a name nobody has is 404."""
    assert await call(calls, "activity/double", "21") == (200, "[21, 21]")
    status, text = await call(calls, "activity/double", "-1")
    assert (status, text.partition("\n")[0]) == (500, "ValueError: it is negative")
    assert "\nStack: Traceback" in text
    assert (await call(calls, "activity/nobody", "1"))[0] == 404
    assert (await call(calls, "activity/passOn", "1"))[0] == 404


async def test_what_runs_is_canceled_at_a_close_though_its_caller_is_gone() -> None:
    """An engine that stops drops its calls; the activity is told all the same, and the close waits for it."""
    began, told = asyncio.Event(), asyncio.Event()

    async def act(function: object, argument: object, /) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.set()

    handlers = EngineCalls(functions_of(app()), act, timeout=None)
    served = web.Application()
    served.add_routes(handlers.routes())
    async with TestServer(served) as server, ClientSession(str(server.make_url("/"))) as session:
        calling = asyncio.ensure_future(call(session, "activity/double", "1"))
        await began.wait()
        calling.cancel()
        await asyncio.wait([calling])
        assert not told.is_set()
        await handlers.close()
        assert told.is_set()


async def test_an_activity_over_the_time_limit(calls: ClientSession) -> None:
    """functionTimeout ends it as a failure that names the limit."""
    status, text = await call(calls, "activity/double", "0")
    assert (status, text.partition("\n")[0]) == (
        500,
        "TimeoutError: it ran longer than functionTimeout, 0:00:00.200000",
    )
