"""Making a new app."""

import shutil
from pathlib import Path

from scaffold.checkout import Checkout
from scaffold.errors import ScaffoldError
from scaffold.manifest import Manifest, digest
from scaffold.rules import Kind

APP_NAME = b"APP_NAME"
"""In files of the template that are the user's: the name of the app's folder."""


def make(checkout: Checkout, app: Path) -> Manifest:
    """Make an app in the folder `app`, which does not exist yet or is empty; what it has from the framework.

    Raises ScaffoldError, and then nothing was made. A copy that breaks off removes what it has made.
    """
    framework, yours = checkout.files(Kind.FRAMEWORK), checkout.files(Kind.YOURS)
    _check_folder(app, checkout.root)
    was_there = app.is_dir()
    try:
        for target, source in {**framework, **yours}.items():
            copy(source, app / target)
        for target, source in yours.items():
            text = source.read_bytes()
            if APP_NAME in text:
                (app / target).write_bytes(text.replace(APP_NAME, app.name.encode()))
        manifest = Manifest(
            checkout.commit,
            {target: digest(source) for target, source in framework.items()},
            {target: digest(source) for target, source in yours.items()},
        )
        manifest.write(app)
    except OSError as error:
        _remove(app, keep_folder=was_there)
        raise ScaffoldError(f"{app} could not be written: {error.strerror or error}") from None
    except BaseException:
        _remove(app, keep_folder=was_there)
        raise
    return manifest


def copy(source: Path, target: Path) -> None:
    """Copy a file with its mode; whoever reads the target meanwhile sees the old file or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.new~")
    shutil.copy(source, beside)
    beside.replace(target)


def _check_folder(app: Path, checkout: Path) -> None:
    if app.is_relative_to(checkout):
        raise ScaffoldError(f"{app} lies inside this checkout: name a folder beside it, such as ../my-app")
    if app.exists() and not app.is_dir():
        raise ScaffoldError(f"{app} is a file: name a folder that does not exist yet")
    try:
        if app.is_dir() and any(app.iterdir()):
            raise ScaffoldError(f"{app} is not empty: name a folder that does not exist yet, or an empty one")
    except OSError as error:
        raise ScaffoldError(f"{app} cannot be read: {error.strerror}") from None


def _remove(app: Path, *, keep_folder: bool) -> None:
    if not app.is_dir():
        return
    for path in app.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not keep_folder:
        app.rmdir()
