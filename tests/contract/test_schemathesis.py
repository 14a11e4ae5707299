"""schemathesis asks the running app what its description allows and what it does not, and compares the answers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.host import ROOT, LocalHost

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "status_is_listed",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
CONFIG = Path(__file__).parent / "schemathesis" / "schemathesis.toml"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """The sample. The local host asks for no keys, so the description must not say that it does."""
    with LocalHost(tmp_path_factory.mktemp("st"), environment={"HTTP_AUTH_LEVEL": "anonymous"}) as running:
        yield running


def schemathesis(location: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`st run`, deterministic: the same requests each time."""
    line = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", location, *arguments]
    line += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--generation-deterministic", "--warnings", "off"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.contract.schemathesis.hooks",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.timeout(450)
@pytest.mark.parametrize("version", ["3.1", "3.0"])
def test_the_app_does_as_it_says(host: LocalHost, version: str, tmp_path: Path) -> None:
    """No 5xx, no status, content type or header that is not declared, no body that does not fit, over every operation.

    3.1 with fuzzing and with links from answers to further requests; 3.0 with the boundary cases of every schema.
    """
    phases = "examples,coverage,fuzzing,stateful" if version == "3.1" else "examples,coverage"
    done = schemathesis(
        f"{host.url}/openapi.json?version={version}", "--phases", phases, "--max-examples", "20", folder=tmp_path
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    count = len(httpx.get(f"{host.url}/openapi.json").json()["paths"])
    assert count > 20
    assert f"{version}." in done.stdout
    assert "A request failed unexpectedly" not in host.log


def test_it_can_fail(host: LocalHost, tmp_path: Path) -> None:
    """A status that is not declared, and a header that is declared and never sent, are found."""
    document = httpx.get(f"{host.url}/openapi.json").json()
    del document["paths"]["/status/{operation_id}"]["get"]["responses"]["404"]
    headers = document["paths"]["/status"]["get"]["responses"]["200"]["headers"]
    headers["X-Nothing"] = {"required": True, "schema": {"type": "string"}}
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    line = ["--url", host.url, "--phases", "coverage", "--include-path-regex", "^/status(/{operation_id})?$"]
    done = schemathesis("wrong.json", *line, folder=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "404 is not among" in done.stdout
    assert "Undocumented" in done.stdout
    assert "X-Nothing" in done.stdout
