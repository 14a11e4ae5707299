"""`make new` and `make upgrade`, by make itself: an app without the sample works, and takes a newer version.

Nothing is installed here: the environment of this run serves the new app too.
"""

import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
VENV = Path(sys.prefix)
INSTALLED = [f"VENV={VENV}", "NO_INSTALL=1", f"PYTHON={sys.executable}"]
YOURS = ("actions/greetings.py", "README.md", "requirements.txt", "host.json", "Makefile")

pytestmark = pytest.mark.skipif(shutil.which("make") is None or shutil.which("git") is None, reason="needs make, git")


def environment() -> dict[str, str]:
    """This process's, without what a make around the tests hands down."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def make(folder: Path, *arguments: str, code: int = 0) -> str:
    """What `make` prints there."""
    line = ["make", "--no-print-directory", *INSTALLED, *arguments]
    done = subprocess.run(line, cwd=folder, env=environment(), capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app made from this tree."""
    folder = tmp_path_factory.mktemp("apps") / "my-app"
    make(ROOT, "new", f"APP={folder}")
    return folder


def test_its_tests_pass(app: Path) -> None:
    """Its own tests and the smoke test, with well under a minute of work."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = make(app, "test")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
    assert re.search(r"\b6 passed", said), said
    assert "test_greetings.py" in said
    assert "test_smoke.py" in said


def test_it_is_clean(app: Path) -> None:
    """Ruff and pyright, strict, have nothing to say of what a new app begins with."""
    make(app, "check")


IMPORT = """
import function_app, shared, sys
print(sorted(each.get_function_name() for each in function_app.app.get_functions()), shared.__file__)
"""


def test_what_is_deployed_stands_alone(app: Path, tmp_path: Path) -> None:
    """The package has what Azure needs, the files of the page too, and imports without the rest."""
    shutil.rmtree(app / "shared" / "endpoints" / "docs_page" / "swagger-ui", ignore_errors=True)
    make(app, "package")
    with zipfile.ZipFile(app / ".build" / "app.zip") as package:
        package.extractall(tmp_path)
    assert (tmp_path / "shared" / "endpoints" / "docs_page" / "swagger-ui" / "LICENSE").exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        ".funcignore", "actions", "blueprints", "function_app.py", "host.json", "requirements-framework.txt",
        "requirements.txt", "shared",
    }  # fmt: skip
    place = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code = [sys.executable, "-I", "-B", "-c", place + IMPORT]
    said = subprocess.run(code, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=True).stdout
    assert "'greeting_send'" in said
    assert str(tmp_path / "shared") in said


def test_help_and_openapi(app: Path) -> None:
    """The targets are listed; the description is the app's own."""
    listed = re.findall(r"^([a-z]+) ", make(app, "help"), re.MULTILINE)
    assert {"run", "test", "check", "package", "format", "upgrade", "help"} <= set(listed)
    make(app, "openapi")
    document = json.loads((app / "openapi.json").read_text())
    assert document["info"]["title"] == "Greetings"
    assert "/greeting/{id}:send" in document["paths"]


@pytest.fixture
def running(app: Path, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """`make run` there: the URL, and what it has printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    line = ["make", "--no-print-directory", *INSTALLED, "run", f"PORT={port}", f"DATA_DIR={tmp_path / 'data'}"]
    with log.open("w") as out:
        process = subprocess.Popen(line, cwd=app, env=environment(), stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while "Ready on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", log.read_text()
    finally:
        # As Ctrl-C does: the whole group in the foreground gets it.
        subprocess.run(["kill", "-INT", "--", f"-{process.pid}"], check=False)
        process.wait(20)


def test_it_runs_the_example(app: Path, running: tuple[str, str]) -> None:
    """It gets Ready, the line that it suggests starts the example, and the app's own client waits for its result."""
    url, printed = running
    curl = re.search(r"^  (curl .*)$", printed, re.MULTILINE)
    assert curl is not None
    answer = subprocess.run(["bash", "-c", curl[1]], capture_output=True, text=True, check=True).stdout
    assert answer.startswith("HTTP/1.1 202")
    monitor = re.search(r"^Operation-Location: (\S+)", answer, re.MULTILINE)
    assert monitor is not None
    client = [sys.executable, "-m", "lro_client.command.main"]
    waited = subprocess.run(
        [*client, "wait", monitor[1]], cwd=app, capture_output=True, text=True, timeout=200, check=True
    )
    assert json.loads(waited.stdout) == {"message": "Hello, world!"}
    page = httpx.get(f"{url}/docs")
    assert page.status_code == 200
    assert httpx.get(f"{url}/docs/swagger-ui.css").status_code == 200


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """This tree as a later version has it: a file of the framework changed, one new, one gone."""
    checkout = tmp_path / "newer"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for path in tracked.split("\0"):
        if path and (ROOT / path).is_file():
            (checkout / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, checkout / path)
    with (checkout / "shared" / "errors.py").open("a") as errors:
        errors.write('\nNEWER = "yes"\n')
    (checkout / "shared" / "newer.py").write_text('"""New."""\n')
    (checkout / "docs" / "external.md").unlink()
    for arguments in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *arguments], cwd=checkout, check=True, capture_output=True)
    return checkout


def test_upgrade(tmp_path: Path, newer: Path) -> None:
    """The newer framework is there and works; the user's files are byte for byte what they were."""
    app = tmp_path / "my-app"
    make(ROOT, "new", f"APP={app}")
    (app / "actions" / "mine.py").write_text('"""Mine."""\n')
    with (app / "README.md").open("a") as readme:
        readme.write("\nMine.\n")
    before = {path: (app / path).read_bytes() for path in (*YOURS, "actions/mine.py")}

    said = make(app, "upgrade", f"FROM={newer}")
    assert "1 replaced, 1 added, 1 removed" in said
    assert {path: (app / path).read_bytes() for path in before} == before
    assert 'NEWER = "yes"' in (app / "shared" / "errors.py").read_text()
    assert (app / "shared" / "newer.py").exists()
    assert not (app / "docs" / "external.md").exists()
    assert "6 passed" in make(app, "test")

    (app / "shared" / "newer.py").write_text("changed here\n")
    refused = make(app, "upgrade", f"FROM={ROOT}", code=2)
    assert "changed here, so nothing was done: shared/newer.py" in refused
    make(app, "upgrade", f"FROM={ROOT}", "FORCE=1")
    assert not (app / "shared" / "newer.py").exists()
    assert (app / "docs" / "external.md").exists()


def test_upgrade_from_nowhere(app: Path) -> None:
    """Without a checkout it says how it is called."""
    assert "make upgrade FROM=../its-checkout" in make(app, "upgrade", code=2)
    assert "make upgrade FROM=../its-checkout" in make(app, "upgrade", f"FROM={app}", code=2)
