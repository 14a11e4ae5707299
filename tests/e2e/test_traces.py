"""A trace goes from the HTTP start to the handler, and goes on in another process after `kill -9`."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.host import TEST_APP, LocalHost
from tests.support.lro import begin, ended, running
from tests.support.scenarios import SHORT_LEASES, connected
from tests.support.span_file import spans_in

pytestmark = pytest.mark.timeout(300)

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def tree(spans: list[dict[str, Any]], trace_id: str = TRACE) -> list[tuple[str, str]]:
    """The spans of a trace, each with its parent's name, without calls of the store."""
    mine = [each for each in spans if each["context"]["trace_id"] == f"0x{trace_id}"]
    names = {each["context"]["span_id"]: each["name"] for each in mine} | {f"0x{CALLER}": "caller"}
    found = [(each["name"], names.get(each["parent_id"], "")) for each in mine]
    return sorted(each for each in found if " trial:" in each[0])


def test_a_trace_outlives_the_process(tmp_path: Path) -> None:
    """One from the caller's request to the handler; a killed host's goes on with the next attempt of the next host."""
    file = tmp_path / "spans"
    environment = {**SHORT_LEASES, "TRIAL_SPANS": str(file)}
    header = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    host = LocalHost(tmp_path / "host", store="sqlite", app_root=TEST_APP, environment=environment)
    with host, connected(host) as client:
        short = begin(client, "/trial/t1:nothing", **header)["id"]
        assert ended(client, short)["status"] == "Succeeded"
        host.interrupt()
        assert tree(spans_in(file)) == [
            ("attempt trial:nothing", "start trial:nothing"),
            ("handler trial:nothing", "attempt trial:nothing"),
            ("start trial:nothing", "caller"),
        ]
    file.unlink()
    with host, connected(host) as client:
        long = begin(client, "/trial/t2:wait", {"seconds": 3}, **header)["id"]
        running(client, long)
        host.kill()
    with host, connected(host) as client:
        assert ended(client, long)["attempt"] == 2
        host.interrupt()
    spans = spans_in(file)
    assert tree(spans) == [
        ("attempt trial:wait", "start trial:wait"),
        ("handler trial:wait", "attempt trial:wait"),
        ("start trial:wait", "caller"),
    ]
    (attempt,) = (each for each in spans if each["name"] == "attempt trial:wait")
    assert attempt["attributes"]["lro.attempt"] == 2
    assert attempt["attributes"]["lro.operation.id"] == long
