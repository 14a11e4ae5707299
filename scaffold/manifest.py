"""What an app has from the framework: a small JSON file in the app, written by `new` and `upgrade`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from scaffold.errors import ScaffoldError

NAME = ".framework.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """SHA-256 in hex by path, as the files were when the framework brought them."""

    commit: str
    """Of the framework's repository; empty where it had none."""
    framework: Mapping[str, str]
    yours: Mapping[str, str]
    """What a new app of that version would have begun with: it says when that has changed."""

    def write(self, app: Path) -> None:
        content = {
            "format": _FORMAT,
            "commit": self.commit,
            "framework": dict(sorted(self.framework.items())),
            "yours": dict(sorted(self.yours.items())),
        }
        (app / NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, app: Path) -> "Manifest":
        """Raises ScaffoldError where there is none, or none that can be read."""
        path = app / NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            raise ScaffoldError(
                f"{app} has no {NAME}: call this in an app that `make new` made, or restore that file"
            ) from None
        except ValueError:
            content = None
        match content:
            case {"format": 1, "commit": str(commit), "framework": dict(framework), "yours": dict(yours)} if _are_files(
                framework
            ) and _are_files(yours):
                return cls(commit, framework, yours)
            case _:
                raise ScaffoldError(f"{path} cannot be read: restore it from your version control")


def digest(path: Path) -> str:
    """SHA-256 of a file in hex."""
    return sha256(path.read_bytes()).hexdigest()


def _are_files(files: dict[Any, Any]) -> bool:
    """Whether these are paths inside an app and their digests: nothing else is ever compared or removed."""
    return all(isinstance(path, str) and isinstance(value, str) and _is_inside(path) for path, value in files.items())


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and path not in ("", ".")
