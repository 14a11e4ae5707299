"""What `wait`, `status` and `cancel` are told to look at, and the client for it: a monitor's URL, a resume token, or a
file that holds one."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from lro_client.client import LroClient
from lro_client.command.options import Access
from lro_client.command.running import Exit, Run, guarded
from lro_client.command.settings import environment
from lro_client.model import Profile
from lro_client.operation import Operation

Target = Annotated[
    str,
    typer.Argument(
        metavar="URL|TOKEN|FILE", help="A monitor's URL, a resume token, or the file that --save-token has written."
    ),
]


@dataclass(frozen=True, slots=True)
class Found:
    """One of `url` and `token`, and the file that the token is from."""

    url: str | None = None
    token: str | None = None
    file: Path | None = None

    def opened(self, run: Run, client: LroClient) -> Operation[Any]:
        """The operation; the run knows it, and that `lro resume` goes on from the file.

        Raises:
            TokenError, UnsafeUrl: it cannot be used.
        """
        run.operation = client.resume(self.token) if self.token is not None else client.open(self.url or "")
        run.token_file = self.file
        return run.operation


def found_in(target: str) -> Found:
    """What the argument means: a token begins with a brace, a URL with http or https; all else is a file's name.

    Raises:
        typer.BadParameter: there is no such file, or it cannot be read.
    """
    if target.lstrip().startswith("{"):
        return Found(token=target)
    if target.lower().startswith(("http://", "https://")):
        return Found(url=target)
    # Not with Path: that raises where a name is too long for a file.
    if not os.path.exists(target):
        raise typer.BadParameter(f"no http or https URL, no resume token, and no file: {target[:200]!r}")
    file = Path(target)
    return Found(token=token_in(file), file=file)


def token_in(file: Path) -> str:
    """The token that a file holds.

    Raises:
        typer.BadParameter: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file}: {error}") from None


def on_target(
    run: Run,
    work: Callable[[LroClient], Exit],
    found: Found,
    access: Access,
    *,
    profile: Profile = Profile.AUTO,
    endpoint: str | None = None,
) -> NoReturn:
    """Do the work with a client for what was found. A token of any other origin than that of `endpoint`, or of
    LRO_ENDPOINT, is refused.

    Raises:
        typer.Exit: always, with the exit code.
        typer.BadParameter: see `Access.options`.
    """
    if found.url is not None:
        with_client(run, work, found.url, access, profile=profile)
    home = endpoint or environment().get("LRO_ENDPOINT") or None
    with_client(run, work, home, access, profile=profile, endpoint=home)


def with_client(
    run: Run, work: Callable[[LroClient], Exit], home: str | None, access: Access, **options: Any
) -> NoReturn:
    """Do the work with a client for one URL; the credential belongs to that URL's origin, or to the token's.

    Raises:
        typer.Exit: always, with the exit code.
        typer.BadParameter: see `Access.options`.
    """
    options |= access.options(home)

    def opened() -> Exit:
        with LroClient(**options) as client:
            return work(client)

    raise typer.Exit(guarded(run, opened))
