"""schemathesis asks the running app what its description allows and what it does not, and compares the answers."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from shared.contracts.openapi.examples import with_examples
from shared.operations.schema import check_schema
from tests.sample.described import Json
from tests.sample.record_examples import Recorded, record
from tests.support.host import ROOT, LocalHost
from tests.support.parts import services, sqlite

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "status_is_listed",
    "content_type_conformance",
    "response_headers_conformance",
    "headers_are_listed",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
REACHED = (
    "GET /book/moby-dick 200",
    "GET /docs/page.js 200",
    "GET /status/nobody-works-on-it/result 409",
    "GET /odata/Books('emma') 200",
    "PATCH /odata/Books('emma') 2",
    "POST /odata/Books('emma')/Library.Export 200",
    "GET /odata/Books('emma')/Library.Summary() 200",
    "POST /odata/$batch 200",
    "POST /odata/Books/Library.ProcessLargeFile 202",
)
"""Lines of the log, or how they begin, that have to come of it, so that not only errors are compared."""

UNFINISHED = "nobody-works-on-it"

CONFIG = Path(__file__).parent / "schemathesis" / "schemathesis.toml"


@dataclass(frozen=True)
class Used:
    """The sample after it has been used, and what was sent and answered then."""

    host: LocalHost
    found: Recorded

    def describe(self, version: str, file: Path) -> int:
        """Write what the app says of itself with the examples of this very run: their ids are those of things there.

        Returns how many operations there are.
        """
        document = httpx.get(f"{self.host.url}/openapi.json", params={"version": version}).json()
        for methods in document["paths"].values():
            for method, operation in methods.items():
                methods[method] = with_examples(operation, self.found.get(operation["operationId"], {}))
        _also_unfinished(document["paths"]["/status/{operation_id}/result"]["get"])
        file.write_text(json.dumps(document))
        return sum(len(methods) for methods in document["paths"].values())


def _also_unfinished(operation: Json) -> None:
    """Ask for the result of the operation that does not end as well as for one that is there."""
    [parameter] = [each for each in operation["parameters"] if each.get("name") == "operation_id"]
    ids = (parameter.pop("example"), UNFINISHED)
    parameter["examples"] = {name: {"value": name} for name in ids}


async def _leave_unfinished(folder: Path) -> None:
    """An operation that waits for another system, which never comes."""
    async with sqlite(folder) as storage:
        await check_schema(storage.table("operations"))
        await services(storage).external.create(kind="book:wait", owner="", operation_id=UNFINISHED)


@pytest.fixture
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    """The local host asks for no keys, so the description must not say that it does.

    Each run has a sample of its own: one before it may remove what the examples name. The namespace is the one in which
    `sqlite` leaves what does not end.
    """
    folder = tmp_path_factory.mktemp("st")
    asyncio.run(_leave_unfinished(folder / "data"))
    environment = {"HTTP_AUTH_LEVEL": "anonymous", "OPERATIONS_NAMESPACE": "testhubname"}
    with LocalHost(folder, environment=environment) as host:
        yield Used(host, record(host.url))


def schemathesis(location: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`st run`, deterministic: the same requests each time."""
    line = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", location, *arguments]
    line += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--generation-deterministic", "--warnings", "off"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.sample.contract.schemathesis.hooks",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.timeout(450)
@pytest.mark.parametrize("version", ["3.1", "3.0"])
def test_the_app_does_as_it_says(used: Used, version: str, tmp_path: Path) -> None:
    """No 5xx, no status, content type or header that is not declared, no body that does not fit, over every operation.

    3.1 with fuzzing and with links from answers to further requests; 3.0 with the boundary cases of every schema. A 501
    of OData is declared where it is possible. The examples of real runs reach what they name.
    """
    count = used.describe(version, tmp_path / "described.json")
    phases = "examples,coverage,fuzzing,stateful" if version == "3.1" else "examples,coverage"
    line = ["--url", used.host.url, "--phases", phases, "--max-examples", "10"]
    before = {each: used.host.log.count(each) for each in REACHED}
    done = schemathesis("described.json", *line, folder=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert count > 60
    assert f"{count} selected" in done.stdout
    assert f"{version}." in done.stdout
    assert "A request failed unexpectedly" not in used.host.log
    assert [each for each, times in before.items() if used.host.log.count(each) == times] == []


def test_it_can_fail(used: Used, tmp_path: Path) -> None:
    """A status and a header that are not declared, and a header that is declared and never sent, are found."""
    document = httpx.get(f"{used.host.url}/openapi.json").json()
    del document["paths"]["/status/{operation_id}"]["get"]["responses"]["404"]
    headers = document["paths"]["/status"]["get"]["responses"]["200"]["headers"]
    headers["X-Nothing"] = {"required": True, "schema": {"type": "string"}}
    del headers["x-ms-request-id"]
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    line = ["--url", used.host.url, "--phases", "coverage", "--include-path-regex", "^/status(/{operation_id})?$"]
    done = schemathesis("wrong.json", *line, folder=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "404 is not among" in done.stdout
    assert "Undocumented" in done.stdout
    assert "X-Nothing" in done.stdout
    assert "200 has headers that are not declared: x-ms-request-id" in done.stdout
