"""The package alone: `pip install ./lro_client` into an environment that has nothing else, used from elsewhere."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import lro_client
from tests.client.hostile import SUCCEEDED, hostile
from tests.support.host import ROOT

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("client-installed")]

PACKAGE = ROOT / "lro_client"
USER = """# pyright: strict
from dataclasses import dataclass
from typing import Any, assert_type

from lro_client import (
    ArmClient,
    AsyncArmClient,
    AsyncDataPlaneClient,
    AsyncLroClient,
    AsyncODataClient,
    AsyncODataOperation,
    AsyncOperation,
    CallResult,
    DataPlaneClient,
    LroClient,
    ODataClient,
    ODataOperation,
    Operation,
    Snapshot,
    StoppedWaiting,
)


@dataclass
class Book:
    title: str


def show(snapshot: Snapshot) -> None:
    print(snapshot.percent, snapshot.message)


with DataPlaneClient("https://contoso.example") as client:
    operation: Operation[Book] = client.start("POST", "books:make", json={"n": 1}, result=Book)
    try:
        title: str = operation.wait(timeout=60, on_progress=show).title
    except StoppedWaiting as stopped:
        print(stopped.monitor_url, operation.token())
    made: Book = client.run("PUT", "books/1", json={}, result=Book)
    for snapshot in operation:
        print(snapshot.status.is_terminal)

with ODataClient("https://contoso.example/odata") as odata:
    called = odata.call_action("Make", {"n": 1}, result=Book)
    asked: CallResult[Book, ODataOperation[Book]] = odata.request("POST", "Make", result=Book)
    print(asked.is_async)
    print(called.operation.result.title if called.is_async else called.synchronous_result.title)


async def main() -> None:
    async with AsyncODataClient("https://contoso.example/odata") as odata:
        waited: Book = await odata.call_and_wait("Make", {"n": 1}, result=Book, timeout=10, on_progress=show)
        batch = CallResult[int, str]
        print(waited.title, batch)


def blocking(lro: LroClient, client: DataPlaneClient, arm: ArmClient, odata: ODataClient) -> None:
    for each in (lro, client, arm, odata):
        assert_type(each.start("POST", "x", result=Book).value, Book)
        assert_type(each.start("POST", "x").value, Any)
        assert_type(each.run("POST", "x", result=list[Book], timeout=1), list[Book])
        assert_type(each.run("POST", "x"), Any)
    assert_type(lro.start("POST", "x"), Operation[Any])
    assert_type(lro.start("POST", "x", result=None), Operation[Any])
    assert_type(client.start("POST", "x", result=Book), Operation[Book])
    assert_type(lro.open("https://contoso.example/1"), Operation[Any])
    assert_type(lro.resume("{}", result=Book), Operation[Book])
    assert_type(arm.create_or_replace("/a", {}, result=Book), Operation[Book])
    assert_type(arm.update("/a", {}), Operation[Any])
    assert_type(arm.action("/a", "go", result=dict[str, int]).wait(), dict[str, int])
    assert_type(arm.delete("/a"), Operation[None])
    assert_type(odata.open("https://contoso.example/1", result=Book), ODataOperation[Book])
    assert_type(odata.resume("{}"), ODataOperation[Any])
    assert_type(odata.call_action("Make", result=Book), CallResult[Book, ODataOperation[Book]])
    assert_type(odata.call_action("Make"), CallResult[Any, ODataOperation[Any]])
    assert_type(odata.call_and_wait("Make", result=str), str)
    assert_type(odata.call_and_wait("Make"), Any)


async def on_a_loop(
    lro: AsyncLroClient, client: AsyncDataPlaneClient, arm: AsyncArmClient, odata: AsyncODataClient
) -> None:
    for each in (lro, client, arm, odata):
        assert_type((await each.start("POST", "x", result=Book)).value, Book)
        assert_type((await each.start("POST", "x")).value, Any)
        assert_type(await each.run("POST", "x", result=list[Book], timeout=1), list[Book])
        assert_type(await each.run("POST", "x"), Any)
    assert_type(await lro.start("POST", "x"), AsyncOperation[Any])
    assert_type(lro.open("https://contoso.example/1", result=Book), AsyncOperation[Book])
    assert_type(lro.resume("{}"), AsyncOperation[Any])
    assert_type(await arm.create_or_replace("/a", {}, result=Book), AsyncOperation[Book])
    assert_type(await arm.update("/a", {}), AsyncOperation[Any])
    assert_type(await (await arm.action("/a", "go", result=Book)).wait(), Book)
    assert_type(odata.open("https://contoso.example/1", result=Book), AsyncODataOperation[Book])
    assert_type(odata.resume("{}"), AsyncODataOperation[Any])
    assert_type(await odata.request("POST", "Make", result=Book), CallResult[Book, AsyncODataOperation[Book]])
    assert_type(await odata.call_action("Make"), CallResult[Any, AsyncODataOperation[Any]])
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the package and what it depends on."""

    home: Path

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code with nothing of ours on the path."""
        line = [str(self.python), "-I", "-W", "error", "-c", code]
        return subprocess.run(line, cwd=self.home, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The folder is copied first, so that no neighbour can help."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "lro_client"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    home = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(home / "bin" / "python"),
        "--disable-pip-version-check",
        "--quiet",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [*pip, "install", "--no-compile", "-c", str(ROOT / "constraints.txt"), str(source)]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Installed(home)


def test_nothing_is_missing(installed: Installed) -> None:
    """Every module and the mark of typed packages is installed, and nothing else comes along."""
    done = installed.run("import lro_client, pathlib; print(pathlib.Path(lro_client.__file__).parent)")
    folder = Path(done.stdout.strip())
    assert installed.home in folder.parents
    ours = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if "build" not in path.parts}
    theirs = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".py", ".typed")}
    assert theirs == ours | {"py.typed"}


def test_every_name_without_the_app(installed: Installed) -> None:
    """All that is public can be imported with the declared dependencies alone, and none of it knows the app."""
    code = (
        "import sys, lro_client, lro_client.command.main\n"
        "for name in lro_client.__all__: getattr(lro_client, name)\n"
        "print([n for n in ('shared', 'actions', 'aiohttp', 'azure.functions') if n in sys.modules])"
    )
    done = installed.run(code)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_asyncio_is_an_extra(installed: Installed) -> None:
    """Without aiohttp the asynchronous client says what to install."""
    code = (
        "import asyncio, lro_client\n"
        "async def main():\n"
        "    async with lro_client.AsyncLroClient('http://127.0.0.1:1') as client:\n"
        "        await client.start('POST', 'x')\n"
        "asyncio.run(main())"
    )
    done = installed.run(code)
    assert done.returncode == 1
    assert "lro-client[aio]" in done.stderr.strip().splitlines()[-1]


def test_the_command(installed: Installed) -> None:
    """The command is there and works."""
    with hostile(poll=SUCCEEDED) as server:
        line = [str(installed.home / "bin" / "lro"), "start", "POST", f"{server.url}/start", "--wait", "-o", "json"]
        done = subprocess.run(line, cwd=installed.home, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"] == 7


def test_users_are_typed(installed: Installed, tmp_path: Path) -> None:
    """pyright in its strict mode finds nothing in a program that uses the installed package; and it does look. The type
    of a result is the one that was named, and Any where none was, from every client. A callback that would have to be
    awaited is refused, because nobody awaits it."""
    path = tmp_path / "user.py"
    found: list[list[str]] = []
    awaited = USER.replace("timeout=60, on_progress=show", "timeout=60, on_progress=later").replace(
        "\n\nwith DataPlaneClient", "\n\nasync def later(snapshot: Snapshot) -> None: ...\n\n\nwith DataPlaneClient", 1
    )
    for text in (USER, USER.replace("title: str = operation", "title: int = operation"), awaited):
        path.write_text(text)
        line = [sys.executable, "-m", "pyright", "--pythonpath", str(installed.python), "--outputjson", str(path)]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
        found.append([part["rule"] for part in json.loads(done.stdout)["generalDiagnostics"]])
    assert found == [[], ["reportAssignmentType"], ["reportArgumentType"]]


def test_public_names() -> None:
    """The public names are pinned: sorted, and every one of them is there."""
    assert lro_client.__all__ == sorted(lro_client.__all__)
    assert dir(lro_client) == lro_client.__all__
    assert all(hasattr(lro_client, name) for name in lro_client.__all__)
    with pytest.raises(AttributeError):
        _ = lro_client.NoSuchName


def test_make_leaves_the_command() -> None:
    """`make run` and `make test` install the command beside the app, and it is what lies here."""
    lro = ROOT / ".venv" / "bin" / "lro"
    if not (ROOT / ".venv" / ".local").exists():
        pytest.skip("the checks run in another environment than make's own")
    code = "import lro_client; print(lro_client.__file__)"
    done = subprocess.run([str(lro.with_name("python")), "-I", "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent == PACKAGE
    shown = subprocess.run([str(lro), "--help"], cwd="/", capture_output=True, text=True, check=True).stdout
    assert "Exit codes" in shown
