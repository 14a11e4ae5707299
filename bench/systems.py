"""The systems that are measured side by side: the app, Durable Functions' own pattern on the same host, and rivals."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import load
from tests.support.host import ROOT, LocalHost

APP = Path(__file__).parent / "app"
RIVALS = ROOT / ".build" / "rivals" / "bin" / "python"
RESTATE = ROOT / ".build" / "rivals" / "node_modules" / "@restatedev"
OURS, DURABLE = "this app, SQLite", "Durable Functions alone, in memory"
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class System:
    api: load.Api
    pids: Sequence[int]


class Missing(Exception):
    """Something that has to be installed first."""


@contextmanager
def running(folder: Path, *, rivals: bool) -> Generator[Mapping[str, System]]:
    """All of them, started; idle ones take next to nothing from the one that is measured. Raises Missing."""
    redis = _redis() if rivals else ""
    with ExitStack() as stack:
        host = stack.enter_context(LocalHost(folder / "ours", app_root=APP, environment=_RARELY))
        found = {OURS: System(load.ours(host.url), [host.pid]), DURABLE: System(load.durable(host.url), [host.pid])}
        if rivals:
            found["FastAPI + Celery + Redis"] = stack.enter_context(_celery(folder / "celery", redis))
            found["Restate"] = stack.enter_context(_restate(folder / "restate"))
            found["FastAPI + DBOS, SQLite"] = stack.enter_context(_dbos(folder / "dbos"))
        yield found


_RARELY = {"HOUSEKEEPING_SCHEDULE": "0 */10 * * * *"}


def _redis() -> str:
    """The program, once it is known that all rivals are there."""
    redis = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
    if redis is None:
        raise Missing("redis-server, of the Debian package redis-server (or REDIS_SERVER=/path/to/it)")
    if not (RIVALS.exists() and RESTATE.exists()):
        raise Missing("the rivals: `make bench RIVALS=1` installs them into .build/rivals")
    return redis


@contextmanager
def _celery(folder: Path, redis: str) -> Generator[System]:
    folder.mkdir(parents=True)
    broker, web = _free_port(), _free_port()
    settings = {"RIVAL_REDIS": f"redis://127.0.0.1:{broker}/0"}
    store = [redis, "--port", str(broker), "--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec"]
    worker = [str(RIVALS), "-m", "celery", "-A", "bench.rivals.celery_app", "worker", "-c", "2", "--without-mingle"]
    with ExitStack() as stack:
        started = [
            stack.enter_context(_process(folder, line, settings)) for line in (store, worker, _web("celery", web))
        ]
        _wait_for(web, started, folder)
        yield System(load.rival(f"http://127.0.0.1:{web}"), [each.pid for each in started])


@contextmanager
def _dbos(folder: Path) -> Generator[System]:
    folder.mkdir(parents=True)
    port = _free_port()
    with _process(folder, _web("dbos", port), {"RIVAL_FILE": str(folder / "dbos.sqlite")}) as web:
        _wait_for(port, [web], folder)
        yield System(load.rival(f"http://127.0.0.1:{port}"), [web.pid])


@contextmanager
def _restate(folder: Path) -> Generator[System]:
    """Its server with one node, as it is by default, and the service that it calls."""
    folder.mkdir(parents=True)
    node, ingress, admin, service = (_free_port() for _ in range(4))
    settings = {
        "RESTATE_BASE_DIR": str(folder),
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_DISABLE_TELEMETRY": "true",
    }
    (server,) = RESTATE.glob("restate-server-*/bin/restate-server")
    called = [str(RIVALS), "-m", "hypercorn", "bench.rivals.restate_app:api", "--bind", f"127.0.0.1:{service}"]
    with ExitStack() as stack:
        started = [stack.enter_context(_process(folder, line, settings)) for line in ([str(server)], called)]
        for port in (ingress, admin, service):
            _wait_for(port, started, folder)
        asyncio.run(load.deploy(f"http://127.0.0.1:{admin}", f"http://127.0.0.1:{service}"))
        yield System(load.restate(f"http://127.0.0.1:{ingress}"), [each.pid for each in started])


def _web(rival: str, port: int) -> list[str]:
    module = f"bench.rivals.{rival}_app:api"
    return [str(RIVALS), "-m", "uvicorn", module, "--port", str(port), "--no-access-log", "--log-level", "warning"]


@contextmanager
def _process(folder: Path, line: Sequence[str], settings: Mapping[str, str]) -> "Generator[subprocess.Popen[bytes]]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            line, cwd=ROOT, env={**kept, **settings, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, processes: "Sequence[subprocess.Popen[bytes]]", folder: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        assert all(each.poll() is None for each in processes), (folder / "log").read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("a rival did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
