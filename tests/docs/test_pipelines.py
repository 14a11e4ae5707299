"""Workflows, image and development container: what they name is there. None of them can be run here."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from local_host.package import deployed_files
from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TASKS = subprocess.run(
    [sys.executable, "tasks.py", "--names"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow(path: Path) -> None:
    """Each step runs an existing target, or an action of a fixed major version; nothing is a stored secret."""
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert {"name", "permissions", "jobs"} <= set(content)
    assert "secrets." not in text
    for job in content["jobs"].values():
        assert job["timeout-minutes"] <= 60
    for step in steps(path):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert target in TASKS


def test_checks_run_on_each_supported_python() -> None:
    """The matrix is the Pythons that the client's package and the template name, from the oldest on."""
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))
    pythons = content["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "lro_client" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={pythons[0]}"
    allowed = json.loads((ROOT / "infra" / "main.json").read_text(encoding="utf-8"))["parameters"]["pythonVersion"]
    assert pythons == allowed["allowedValues"]


def test_deployment_takes_the_package_and_builds_remotely() -> None:
    """The token comes from GitHub itself, the zip from `make package`, the packages from Azure."""
    path = ROOT / ".github" / "workflows" / "deploy.yml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"]["id-token"] == "write"
    (deploy,) = [step["with"] for step in steps(path) if "functions-action" in step.get("uses", "")]
    source = (ROOT / "local_host" / "package.py").read_text(encoding="utf-8")
    assert 'OUTPUT = ROOT / ".build" / "app.zip"' in source
    assert deploy["package"] == ".build/app.zip"
    assert deploy["remote-build"] is True
    for name in set(re.findall(r"vars\.(\w+)", path.read_text(encoding="utf-8"))):
        assert f"`{name}`" in PAGE, f"{name} is not in docs/deployment.md"


def test_publishing() -> None:
    """The wheel that is checked is what goes to the index: by an identity of the run, in a job that does nothing else,
    with actions pinned to commits."""
    path = ROOT / ".github" / "workflows" / "publish.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"}
    build, publish = content["jobs"]["build"], content["jobs"]["publish"]
    assert "permissions" not in build
    assert publish["permissions"] == {"id-token": "write"}
    assert (publish["needs"], publish["environment"]["name"]) == ("build", "pypi")
    assert [step["run"] for step in build["steps"] if "run" in step] == ["make wheel"]
    assert not any("run" in step or "checkout" in step["uses"] for step in publish["steps"])
    for line in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8")):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", line), line
    (kept,) = [step["with"] for step in build["steps"] if "upload-artifact" in step.get("uses", "")]
    (sent,) = [step["with"] for step in publish["steps"] if "pypi-publish" in step["uses"]]
    assert kept["path"] == ".build/wheel/"
    assert sent == {"packages-dir": "wheel/"}


def test_audit() -> None:
    """Pinned packages are looked up on each change and every week."""
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))
    assert [step["run"] for step in content["jobs"]["audit"]["steps"] if "run" in step] == ["make audit"]
    # YAML 1.1 reads the key `on` as true.
    assert {"push", "pull_request", "schedule"} <= set(content[True])


def test_the_image() -> None:
    """No base image by default, the documented one is the platform's, and the image has what a package has."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG BASE_IMAGE\nFROM \$\{BASE_IMAGE\}$", text, re.MULTILINE)
    assert re.search(r"BASE_IMAGE=mcr\.microsoft\.com/azure-functions/python:4-python3\.\d+", PAGE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    stays = {line.removeprefix("**/").rstrip("/") for line in ignored if line and line[0] not in "#!"}
    tops = {path.split("/")[0] for path in deployed_files(ROOT)}
    assert not tops & stays
    kept = {path.name for path in ROOT.iterdir()} - tops
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in {path.split("/")[0] for path in tracked.splitlines()} & kept:
        assert any(Path(name).match(pattern) for pattern in stays), f"{name} is in the image, but not in the package"


def test_the_development_container() -> None:
    """It prepares itself by a script that the shell reads and a target that is there, and shows the app's port."""
    content = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    script = ROOT / content["postCreateCommand"].removeprefix("bash ")
    subprocess.run(["bash", "-n", script], check=True)
    assert "make docs-page" in script.read_text(encoding="utf-8")
    assert content["forwardPorts"] == [int(*re.findall(r'"PORT": "(\d+)"', (ROOT / "tasks.py").read_text()))]


def test_the_gateways_policy() -> None:
    """It removes the headers that the app believes, gives the key by a named value, and rewrites no answer."""
    policy = ElementTree.parse(ROOT / "infra" / "apim" / "operations.xml").getroot()
    assert [part.tag for part in policy] == ["inbound", "backend", "outbound", "on-error"]
    removed = {e.attrib["name"] for e in policy.iter("set-header") if e.attrib["exists-action"] == "delete"}
    source = (ROOT / "shared" / "contracts" / "headers.py").read_text(encoding="utf-8")
    believed = {node.value for node in ast.walk(syntax_tree(source)) if isinstance(node, ast.Constant)}
    named = {name.lower() for name in believed if isinstance(name, str) and name.lower().startswith("x-ms-client-prin")}
    assert named
    assert named <= removed
    assert [e.findtext("value") for e in policy.iter("set-header") if "value" in {c.tag for c in e}] == ["{{app-key}}"]
    (outbound,) = policy.iter("outbound")
    assert [part.tag for part in outbound] == ["base"]
