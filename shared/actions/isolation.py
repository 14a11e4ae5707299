"""Where a handler may run."""

import os
from collections.abc import Iterable

from shared.actions.declaration import Action
from shared.errors import DeclarationError


def check_supported(actions: Iterable[Action], package: str, *, system: str = os.name) -> None:
    """Raise DeclarationError for an action that is to run in a process, where there is not what it takes.

    `package` is that which declares the actions.
    """
    for action in actions:
        if action.in_process and not package:
            raise DeclarationError(
                f'{action.where}: isolation="process" needs the package that declares the actions; make the registry '
                "by discover(package)"
            )
        if action.in_process and system != "posix":
            raise DeclarationError(
                f'{action.where}: isolation="process" needs Linux, or macOS for development; declare '
                'isolation="thread" on this system, or run the app in a container or under WSL'
            )
