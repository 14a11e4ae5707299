"""Taking a newer version of the framework into an app: all is looked at first, then files are replaced.

An upgrade that breaks off is repeated: the manifest is written last, and a file that is already as the newer version
has it counts as unchanged.
"""

from dataclasses import dataclass
from pathlib import Path

from scaffold.checkout import Checkout
from scaffold.errors import ScaffoldError
from scaffold.making import copy
from scaffold.manifest import Manifest, digest
from scaffold.rules import Kind

_CACHE = "__pycache__"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upgrade does to an app. Paths are relative to it."""

    app: Path
    sources: dict[str, Path]
    """All that the newer version brings."""
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    removed: tuple[str, ...]
    changed_here: tuple[str, ...]
    """Files to replace or remove that are not as the framework brought them: an upgrade takes those changes away."""
    look_at: tuple[str, ...]
    """Files of the user's that a new app would begin with differently now."""
    manifest: Manifest

    def apply(self) -> None:
        """Raises ScaffoldError where a file cannot be written; the same upgrade can then be repeated."""
        try:
            for path in (*self.added, *self.replaced):
                copy(self.sources[path], self.app / path)
            for path in self.removed:
                (self.app / path).unlink(missing_ok=True)
                _remove_empty_folders(self.app, Path(path).parent)
            self.manifest.write(self.app)
        except OSError as error:
            problem = f"{error.filename}: {error.strerror or error}"
            raise ScaffoldError(f"the upgrade broke off at {problem}; mend that, and call it again") from None


def plan(checkout: Checkout, app: Path) -> Plan:
    """What taking the version of `checkout` would do to `app`. Changes nothing. Raises ScaffoldError."""
    old = Manifest.read(app)
    sources = checkout.files(Kind.FRAMEWORK)
    new = {path: digest(source) for path, source in sources.items()}
    yours = {path: digest(source) for path, source in checkout.files(Kind.YOURS).items()}
    here = {path: _digest_here(app, path) for path in {*old.framework, *new}}

    added = [path for path in new if here[path] is None]
    replaced = [path for path, value in new.items() if here[path] not in (None, value)]
    # What has become the user's in the newer version stays where it is.
    gone = [path for path in old.framework if path not in new and path not in yours]
    removed = [path for path in gone if here[path] is not None]
    return Plan(
        app=app,
        sources=sources,
        added=tuple(added),
        replaced=tuple(replaced),
        removed=tuple(sorted(removed)),
        changed_here=tuple(sorted(path for path in (*replaced, *removed) if here[path] != old.framework.get(path))),
        look_at=tuple(path for path, value in yours.items() if old.yours.get(path) != value),
        manifest=Manifest(checkout.commit, new, yours),
    )


def _digest_here(app: Path, path: str) -> str | None:
    """The digest of the app's file; None where there is none. Raises ScaffoldError where there cannot be one."""
    target = app / path
    folder = next((each for each in target.parents if each == app or each.exists()), app)
    if not folder.is_dir():
        raise ScaffoldError(f"{folder} is a file where the framework has a folder: move it away")
    if target.is_dir():
        raise ScaffoldError(f"{target} is a folder where the framework has a file: move it away")
    return digest(target) if target.exists() else None


def _remove_empty_folders(app: Path, folder: Path) -> None:
    """Remove a folder that holds nothing but compiled files, and then those above it of which that is true."""
    while folder.parts:
        place = app / folder
        if not place.is_dir() or any(entry.name != _CACHE for entry in place.iterdir()):
            return
        for compiled in place.glob(f"{_CACHE}/*.pyc"):
            compiled.unlink()
        for each in (place / _CACHE, place):
            if each.is_dir():
                each.rmdir()
        folder = folder.parent
