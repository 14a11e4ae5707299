"""`python -m local_host.package`: make a zip of what is deployed, the files of the page at /docs included.

It holds what lies in the app's folder less what `.funcignore` names, as Core Tools take it. With a remote build that is
all; else pip puts the packages into `.python_packages/lib/site-packages` first (docs/packaging.md).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from local_host import docs_page
from local_host.errors import HostError, PackageError
from shared.endpoints.docs_files import UI_FOLDER

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / ".build" / "app.zip"


def deployed_files(root: Path) -> list[str]:
    """Paths of the files in `root` that `.funcignore` leaves, which is in git's syntax. Raises PackageError.

    The folder need not be under version control: git is asked through an empty repository of its own.
    """
    with tempfile.TemporaryDirectory() as repository:
        listing = ["ls-files", "-z", "--others", "--exclude-from=.funcignore"]
        _git(root, "init", "--quiet", "--bare", repository)
        return sorted(filter(None, _git(root, f"--git-dir={repository}", "--work-tree=.", *listing).split("\0")))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (git with arguments of ours, no shell)
            ["git", *arguments],  # noqa: S607 (the user's own)
            cwd=root, capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise PackageError("git is not installed, which reads .funcignore: install it") from None
    if done.returncode:
        raise PackageError(f"git does not read .funcignore: {done.stderr.strip()}")
    return done.stdout


def write(root: Path, output: Path) -> int:
    """Write the zip as a whole, or not at all; returns the number of its files. Raises PackageError."""
    files = deployed_files(root)
    new = output.with_suffix(".new")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for path in files:
                archive.write(root / path, path)
        new.replace(output)
    except OSError as error:
        raise PackageError(f"{output} cannot be written: {error.strerror or error}") from error
    return len(files)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the page's files and write the zip; returns the exit code: 0, or 1 for an error."""
    parser = argparse.ArgumentParser(prog="python -m local_host.package", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the zip (default: .build/app.zip)")
    flags = parser.parse_args(arguments)
    try:
        docs_page.fetch(UI_FOLDER, docs_page.REQUIREMENTS, os.environ)
        count = write(ROOT, flags.output)
    except HostError as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    print(f"{flags.output}: {count} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
