"""What `wait`, `status` and `cancel` are told to look at, and the client for it: a monitor's URL, a resume token, or a
file that holds one."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from lro_client.client import LroClient
from lro_client.command.options import Access, text_of
from lro_client.command.running import Exit, Run, guarded
from lro_client.command.settings import located, service
from lro_client.errors import TamperedToken, UnknownTokenVersion
from lro_client.model import Profile
from lro_client.operation import Operation
from lro_client.urls import is_absolute

C = TypeVar("C", bound=LroClient)
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
        try:
            run.operation = client.resume(self.token) if self.token is not None else client.open(self.url or "")
        except (TamperedToken, UnknownTokenVersion) as error:
            where = f"The token is from {self.file}. " if self.file else ""
            error.add_note(f"{where}No operation depends on a token: `lro list BASE` finds it, `lro wait URL` goes on.")
            raise
        run.token_file = self.file
        return run.operation


def found_in(target: str) -> Found:
    """What the argument means: a token begins with a brace, a URL with http or https; all else is the name of a file
    with one of the two in it, or where there is no such file, a path below LRO_ENDPOINT.

    Raises:
        typer.BadParameter: there is neither, or the file cannot be read.
    """
    if target.lstrip().startswith("{"):
        return Found(token=target)
    if is_absolute(target.strip()):
        return Found(url=target.strip())
    # Not with Path: that raises where a name is too long for a file.
    if not os.path.exists(target):
        if service() is not None:
            return Found(url=located(target))
        shown = target[:200]
        advice = f"of an id write the monitor's URL, such as https://host/status/{shown}; " if _is_id(shown) else ""
        raise typer.BadParameter(
            f"no http or https URL, no resume token, and no file: {shown!r}; {advice}for a path, set LRO_ENDPOINT"
        )
    file = Path(target)
    held = token_in(file)
    return Found(url=held) if is_absolute(held) else Found(token=held, file=file)


def _is_id(target: str) -> bool:
    """Whether it may be what `lro list` shows of an operation: no path, and no name of a file."""
    return re.fullmatch(r"[\w-]+", target) is not None


def token_in(file: Path) -> str:
    """The token that a file holds.

    Raises:
        typer.BadParameter: it cannot be read.
    """
    try:
        return text_of(file.read_bytes()).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise typer.BadParameter(f"{file} cannot be read: {reason}") from None


def on_target(
    run: Run,
    work: Callable[[Operation[Any]], Exit],
    found: Found,
    access: Access,
    *,
    profile: Profile = Profile.AUTO,
    endpoint: str | None = None,
) -> NoReturn:
    """`with_target`, for work that needs the operation alone."""
    with_target(run, lambda _, operation: work(operation), found, access, profile=profile, endpoint=endpoint)


def with_target(
    run: Run,
    work: Callable[[LroClient, Operation[Any]], Exit],
    found: Found,
    access: Access,
    *,
    profile: Profile = Profile.AUTO,
    endpoint: str | None = None,
) -> NoReturn:
    """Do the work with the operation of what was found, and its client. A token of any other origin than that of
    `endpoint`, or of LRO_ENDPOINT, is refused.

    Raises:
        typer.Exit: always, with the exit code.
        typer.BadParameter: see `Access.options`.
    """
    home = found.url or endpoint or service()
    options: dict[str, Any] = {"profile": profile} | ({} if found.url else {"endpoint": home})
    with_client(LroClient, run, lambda client: work(client, found.opened(run, client)), access.options(home) | options)


def with_client(kind: type[C], run: Run, work: Callable[[C], Exit], options: dict[str, Any]) -> NoReturn:
    """Do the work with a client of its own. `options` are those of `Access.options`, whose URL's origin the credential
    belongs to, and what else the client takes.

    Raises:
        typer.Exit: always, with the exit code.
    """

    def opened() -> Exit:
        with kind(**options, clock=run.clock) as client:
            return work(client)

    raise typer.Exit(guarded(run, opened))
