"""The package alone: its wheel, in an environment that has nothing but what it declares, used from elsewhere."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lro_client
from lro_client.pipelines import VERSION
from tests.client.hostile import SUCCEEDED, hostile
from tests.support.host import ROOT
from tests.support.wheel import PACKAGE, build, check

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("client-installed")]

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
    assert_type(client.start("POST", "x", result=Book).retry(), Operation[Book])
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
    assert_type(await lro.open("https://contoso.example/1", result=Book).retry(), AsyncOperation[Book])
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
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def declared(name: str = "lro-client") -> dict[str, Distribution]:
    """What a distribution needs, extras apart, as it is in this environment: by name."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            need = Requirement(text)
            if need.name.lower() not in found and (need.marker is None or need.marker.evaluate({"extra": ""})):
                found[need.name.lower()] = distribution(need.name)
                waiting.append(need.name)
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, in an environment that has what it declares and nothing else: links to the files that are here."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    for each in declared().values():
        for file in each.files or ():
            target = packages / file
            if ".." not in file.parts and file.suffix != ".pyc" and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(each.locate_file(file))
    line = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "--disable-pip-version-check"]
    line += ["--quiet", "install", "--no-index", "--no-deps", "--no-compile", str(wheel)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(line, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Installed(home)


def test_a_package_index_takes_it(wheel: Path) -> None:
    """Name, version, licence and description are as a package index wants them, and those of the repository; the sdist
    builds the same wheel, since the wheel is built of it."""
    metadata = check(wheel)
    assert str(metadata.version) == VERSION
    assert metadata.license_expression == "MIT"
    assert set(metadata.provides_extra or ()) == {"aio", "identity"}
    assert (PACKAGE / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    (sdist,) = wheel.parent.glob("*.tar.gz")
    assert sdist.name == f"lro_client-{VERSION}.tar.gz"


def test_a_fault_of_the_metadata_is_found(wheel: Path, tmp_path: Path) -> None:
    """The check can fail: of a version that is none, and of a link that leads nowhere."""
    for old, new in ((b"Requires-Python: >=3.11", b"Requires-Python: soon"), (b"# lro-client", b"[x](../docs/x.md)")):
        harmed = tmp_path / wheel.name
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(harmed, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                target.writestr(name, content.replace(old, new) if name.endswith("/METADATA") else content)
        with pytest.raises((ExceptionGroup, AssertionError)):
            check(harmed)


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
    awaited = USER.replace("timeout=60, on_progress=show", "timeout=60, on_progress=later").replace(
        "\n\nwith DataPlaneClient", "\n\nasync def later(snapshot: Snapshot) -> None: ...\n\n\nwith DataPlaneClient", 1
    )
    mistyped = USER.replace("title: str = operation", "title: int = operation")
    texts = {"right.py": USER, "mistyped.py": mistyped, "awaited.py": awaited}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    line = [sys.executable, "-m", "pyright", "--pythonpath", str(installed.python), "--outputjson", *texts]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(texts)
    found = [(Path(part["file"]).name, part["rule"]) for part in report["generalDiagnostics"]]
    assert sorted(found) == [("awaited.py", "reportArgumentType"), ("mistyped.py", "reportAssignmentType")]


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
