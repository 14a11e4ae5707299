"""The files of the page at /docs: pip brings the pinned wheel, each file is checked, and nothing is half there."""

import os
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from local_host import docs_page
from local_host.docs_page import FILES, REQUIREMENTS, fetch
from local_host.errors import PackageError
from shared.contracts.openapi.docs_page import UI_FILES
from shared.endpoints.docs_files import UI_FOLDER

ROOT = Path(__file__).parents[2]
WHEEL = "drf_spectacular_sidecar-2026.10.1-py3-none-any.whl"


def offline(links: Path) -> dict[str, str]:
    """An environment in which pip finds nothing but what lies in that folder."""
    return {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links)}


def wheel(folder: Path, **contents: bytes) -> Path:
    """A wheel of that name with other files in it, and a requirements file that pins it; returns the latter."""
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        info = "drf_spectacular_sidecar-2026.10.1.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: drf-spectacular-sidecar\nVersion: 2026.10.1\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        for name, content in contents.items():
            archive.writestr(f"{docs_page._IN_WHEEL}{name}", content)
    pinned = folder / "pinned.txt"
    digest = sha256(path.read_bytes()).hexdigest()
    pinned.write_text(f"drf-spectacular-sidecar==2026.10.1 --hash=sha256:{digest}\n")
    return pinned


def test_what_make_has_fetched() -> None:
    """The four files are the pinned ones, with the licence's whole text and its notice; the page needs no other."""
    assert set(FILES) == {*UI_FILES, "LICENSE"}
    assert {path.name for path in UI_FOLDER.iterdir()} == {*FILES, "NOTICE"}, "run `make docs-page`"
    assert {name: sha256((UI_FOLDER / name).read_bytes()).hexdigest() for name in FILES} == FILES
    assert "Apache License" in (UI_FOLDER / "LICENSE").read_text()
    assert "END OF TERMS AND CONDITIONS" in (UI_FOLDER / "LICENSE").read_text()
    assert "Copyright 2020-2021 SmartBear Software Inc." in (UI_FOLDER / "NOTICE").read_text()


def test_git_ignores_them_and_a_deployment_does_not() -> None:
    """They are never committed, and always deployed."""
    names = [str((UI_FOLDER / name).relative_to(ROOT)) for name in (*FILES, "NOTICE")]
    ignored = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == names
    deployed = ["git", "-c", f"core.excludesFile={ROOT / '.funcignore'}", "ls-files", "--others"]
    command = [*deployed, f"--exclude-from={ROOT / '.funcignore'}", "--", str(UI_FOLDER.relative_to(ROOT))]
    assert sorted(subprocess.check_output(command, cwd=ROOT, text=True).split()) == sorted(names)


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    """Without an index, a folder that is as it should be stays; a damaged one is refused, and left as it was."""
    folder = tmp_path / "swagger-ui"
    folder.mkdir()
    for path in UI_FOLDER.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert fetch(folder, REQUIREMENTS, offline(tmp_path)) is False
    (folder / "swagger-ui.css").write_bytes(b"damaged")
    with pytest.raises(PackageError, match=r"requirements-docs-page.txt names.*ERROR: No matching distribution"):
        fetch(folder, REQUIREMENTS, offline(tmp_path))
    assert (folder / "swagger-ui.css").read_bytes() == b"damaged"


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    """pip compares the wheel's hash with the pinned one; nothing is written."""
    wheel(tmp_path)
    with pytest.raises(PackageError, match=r"DO NOT MATCH THE HASHES"):
        fetch(tmp_path / "swagger-ui", REQUIREMENTS, offline(tmp_path))
    assert not (tmp_path / "swagger-ui").exists()


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ({}, r"has no LICENSE: local_host/docs_page.py has to name"),
        ({"LICENSE": b"mine"}, r"LICENSE of drf_.* is not the pinned one: its SHA-256 is [0-9a-f]{64}, not cfc7749b"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, contents: dict[str, bytes], problem: str) -> None:
    """A newer wheel that is pinned, while FILES still names the older one's, is one error."""
    pinned = wheel(tmp_path, **contents)
    with pytest.raises(PackageError, match=problem):
        fetch(tmp_path / "swagger-ui", pinned, offline(tmp_path))
    assert not (tmp_path / "swagger-ui").exists()


def test_it_is_fetched_from_the_index(tmp_path: Path) -> None:
    """The real package, through the index that pip is set up with, into a folder that is replaced as a whole."""
    folder = tmp_path / "swagger-ui"
    folder.mkdir()
    (folder / "of-an-older-version.js").touch()
    assert fetch(folder, REQUIREMENTS, os.environ) is True
    assert {path.name for path in folder.iterdir()} == {*FILES, "NOTICE"}
    assert [path.name for path in tmp_path.iterdir()] == ["swagger-ui"]


@pytest.mark.parametrize("target", ["run", "test", "check", "unit", "e2e", "coverage"])
def test_tasks_fetch_them(target: str) -> None:
    """Whatever runs the app or its tests fetches them first, where they are missing."""
    command = [sys.executable, "tasks.py", "--dry-run", target, "NO_INSTALL=1", "DOCS_PAGE=.build/missing"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m local_host.docs_page\n" in printed


def test_the_command(tmp_path: Path) -> None:
    """Where all is there it does nothing and says nothing: make calls it before each run of the tests."""
    command = [sys.executable, "-m", "local_host.docs_page"]
    done = subprocess.run(command, cwd=ROOT, env=offline(tmp_path), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
