"""The command line: `python -m scaffold new PATH` and `python -m scaffold upgrade PATH`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scaffold.checkout import Checkout
from scaffold.errors import ScaffoldError
from scaffold.making import make
from scaffold.upgrading import Plan, plan

_DESCRIPTION = "Makes an app of your own from this checkout, or takes this version of the framework into one."
_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 where nothing was done, with one line that says why."""
    flags = _parser().parse_args(arguments)
    try:
        if not flags.app:
            raise ScaffoldError(_MISSING[flags.command])
        app = Path(flags.app).expanduser().resolve()
        checkout = Checkout.at()
        if flags.command == "new":
            _new(checkout, app)
        else:
            _upgrade(checkout, app, force=flags.force)
    except ScaffoldError as error:
        print(f"{flags.command}: {error}", file=sys.stderr)
        return 1
    return 0


_MISSING = {
    "new": "say where the app is to be: make new APP=../my-app",
    "upgrade": "say which app takes this version: python -m scaffold upgrade ../my-app",
}


def _new(checkout: Checkout, app: Path) -> None:
    make(checkout, app)
    print(f"Made {app}. Go there, and call `make run` and `make test`; its README.md says how to go on.")


def _upgrade(checkout: Checkout, app: Path, *, force: bool) -> None:
    steps = plan(checkout, app)
    if steps.changed_here and not force:
        files = ", ".join(steps.changed_here)
        raise ScaffoldError(
            f"changed here, so nothing was done: {files}; "
            "move your changes to files of your own, or give them up with FORCE=1 (--force)"
        )
    steps.apply()
    _report(steps)


def _report(steps: Plan) -> None:
    counts = (len(steps.replaced), len(steps.added), len(steps.removed))
    if not any(counts) and not steps.look_at:
        print("This is the framework of that checkout already: nothing was changed.")
        return
    print("Files of the framework: {} replaced, {} added, {} removed.".format(*counts))
    changes = [(mark, path) for mark, paths in _marked(steps) for path in paths]
    for mark, path in changes[:_SHOWN]:
        print(f"  {mark} {path}")
    if len(changes) > _SHOWN:
        print(f"  and {len(changes) - _SHOWN} more")
    for path in steps.look_at:
        print(f"Yours, and begun differently by a new app of this version, so look at it: {path}")
    print("Now call `make test`.")


def _marked(steps: Plan) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("-", steps.removed), ("+", steps.added), ("*", steps.replaced))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scaffold", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="make an app in a folder that does not exist yet or is empty")
    new.add_argument("app", help="the folder, beside this checkout")
    upgrade = commands.add_parser("upgrade", help="replace the framework in an app by the version of this checkout")
    upgrade.add_argument("app", help="the app's folder")
    upgrade.add_argument("--force", action="store_true", help="also replace framework files that were changed there")
    return parser
