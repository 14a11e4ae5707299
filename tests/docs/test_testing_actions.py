"""docs/testing-actions.md: its blocks are an action and a file of tests, which pass."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.transcript import blocks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing-actions.md"
SETTINGS = ROOT / "scaffold" / "template" / "yours" / "pyproject.toml"


def text_of(language: str) -> str:
    return "\n".join(block.text for block in blocks(PAGE) if block.language == language)


def test_the_examples_pass(tmp_path: Path) -> None:
    """In an app with the settings of a new one, every test of the page passes, and nothing else was collected."""
    (tmp_path / "actions").mkdir()
    (tmp_path / "actions" / "__init__.py").touch()
    (tmp_path / "actions" / "parcels.py").write_text(text_of("python"))
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_parcels.py").write_text(text_of("python3"))
    shutil.copy(SETTINGS, tmp_path)
    (tmp_path / "shared").symlink_to(ROOT / "shared")
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:schemathesis", "-p", "no:cacheprovider"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{text_of('python3').count('async def test_')} passed" in done.stdout


def test_the_examples_are_clean() -> None:
    """Ruff has nothing to say of the tests that the page shows."""
    line = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(SETTINGS)]
    line += ["--stdin-filename", str(ROOT / "tests" / "test_parcels.py"), "-"]
    done = subprocess.run(line, input=text_of("python3"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
