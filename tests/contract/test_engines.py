"""The engine port: the local host's task hub through the real SDK, and the tests' own engine.

The Durable extension's answers are in tests/engine.
"""

from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func
import pytest

from blueprints.durable import DurableEngine
from shared.engine.port import ORCHESTRATOR, Work
from tests.support.engine_contract import check_engine
from tests.support.host_for_tests import running
from tests.support.parts import RecordingEngine

pytestmark = pytest.mark.timeout(20)

WORK = Work.parse("0123456789abcdef!op@1")
RUN = "0123456789abcdef" * 2


async def test_tests_own_engine() -> None:
    """What the core is tested with keeps the port's promises, and keeps nothing of what was purged."""
    engine = RecordingEngine()
    await check_engine(engine, f"{RUN}.1", WORK)
    assert engine.kept == set()


async def test_local_hosts_task_hub() -> None:
    """The same promises by the SDK's client over the local host's task hub, which is empty after them."""
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.function_name(ORCHESTRATOR)
    @app.orchestration_trigger(context_name="context")
    def orchestrator(context):  # pyright: ignore
        yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))

    async with running(app) as host:
        await check_engine(DurableEngine(host.client), f"{RUN}.1", WORK)
        assert host.worker.hub.instances == {}
