"""A checkout of the framework's repository: which files it has, and what an app takes from it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import ScaffoldError
from scaffold.rules import Kind, app_files

HERE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder that git knows."""

    root: Path
    tracked: tuple[str, ...]
    """Paths relative to the root, with `/`; without files that are deleted in the work tree."""
    commit: str
    """Empty where nothing is committed yet."""

    @classmethod
    def at(cls, root: Path = HERE) -> "Checkout":
        """Raises ScaffoldError where git is missing, or where this is a copy of the files without its `.git`."""
        if not (root / ".git").exists():
            raise ScaffoldError(f"{root} is no git checkout: clone the repository, and call this in the clone")
        listed = _git(root, "ls-files", "-z").split("\0")
        commit = _git(root, "rev-parse", "--quiet", "--verify", "HEAD", fails=True).strip()
        return cls(root, tuple(path for path in listed if path and (root / path).is_file()), commit)

    def files(self, kind: Kind) -> dict[str, Path]:
        """The files of `kind` that an app has: path in the app -> file. Raises ScaffoldError."""
        return {target: self.root / path for target, path in app_files(self.tracked, kind).items()}


def _git(root: Path, *arguments: str, fails: bool = False) -> str:
    """What git prints; where it `fails`, which it may, nothing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, encoding="utf-8", check=False
        )
    except FileNotFoundError:
        raise ScaffoldError("git is not installed, which knows the files of this checkout: install it") from None
    if done.returncode and not fails:
        raise ScaffoldError(f"git cannot read {root}: {done.stderr.strip().splitlines()[-1]}")
    return "" if done.returncode else done.stdout
