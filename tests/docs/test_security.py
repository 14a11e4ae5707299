"""SECURITY.md, the licence and the version: each promise names a test that is there."""

import re
import tomllib
from pathlib import Path

import lro_client.pipelines
from shared.model.operation import SCHEMA_VERSION
from tests.docs.test_features import missing, quoted

ROOT = Path(__file__).parents[2]


def test_every_promise_has_its_proof() -> None:
    """Each row of the table of threats names tests, and all of them exist."""
    part = (ROOT / "SECURITY.md").read_text(encoding="utf-8").split("## Threats, promises and their proofs\n")[1]
    rows = [line.strip("|").split("|") for line in part.split("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    for threat, promise, proof in rows:
        assert promise.strip(), threat
        tests = quoted(proof)
        assert all(re.fullmatch(r"tests/(\w+/)+test_\w+\.py::test_\w+", each) for each in tests), threat
        assert tests, threat
        assert [each for each in tests if missing(each)] == []


def test_one_version_number() -> None:
    """The package, and the client's word for itself, are one version."""
    project = tomllib.loads((ROOT / "lro_client" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == lro_client.pipelines.VERSION
    assert lro_client.pipelines.USER_AGENT.endswith(f"/{project['version']}")


def test_one_licence() -> None:
    """MIT, by the repository and by the client's package."""
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")
    project = tomllib.loads((ROOT / "lro_client" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "MIT"


def test_the_upgrading_page_knows_the_schema() -> None:
    """docs/upgrading.md gives the number of the record format."""
    page = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    assert f"the *schema*; today it is {SCHEMA_VERSION}." in page
