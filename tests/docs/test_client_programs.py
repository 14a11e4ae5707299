"""The programs that README and docs show for callers (blocks marked `py`) run against the app as they stand."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_documents import documents_with
from tests.docs.transcript import Block, blocks, fits
from tests.support.host import ROOT, LocalHost

HOST = "http://127.0.0.1:7071"
PACKAGE_README = ROOT / "lro_client" / "README.md"


def programs() -> list[tuple[Path, Block, str]]:
    """Each program with what it prints: the next `text` block, which several programs in a row may share."""
    found: list[tuple[Path, Block, str]] = []
    for document in [*documents_with("py"), PACKAGE_README]:
        all_blocks = blocks(document)
        for place, block in enumerate(all_blocks):
            if block.language == "py":
                shown = next(other for other in all_blocks[place:] if other.language == "text")
                found.append((document, block, shown.text))
    return found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    with LocalHost(tmp_path_factory.mktemp("programs")) as running:
        yield running


@pytest.mark.parametrize(("document", "block", "shown"), programs(), ids=lambda part: getattr(part, "name", ""))
def test_programs_print_what_is_shown(document: Path, block: Block, shown: str, app: LocalHost, tmp_path: Path) -> None:
    """A reader who copies it gets what the document shows, and no warning."""
    program = block.text.replace(HOST, app.url)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, f"{document.name}:{block.line}\n{done.stderr}"
    assert fits(shown, done.stdout), f"{document.name}:{block.line}\n{done.stdout}"


def test_there_are_programs() -> None:
    """The README shows the same task with this client, with azure-core and with requests."""
    readme = [
        block.text for document, block, _ in programs() if document.name == "README.md" and document.parent == ROOT
    ]
    assert [next(name for name in ("lro_client", "azure.core", "requests") if name in text) for text in readme] == [
        "lro_client",
        "azure.core",
        "requests",
    ]
