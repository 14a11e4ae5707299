"""Options that several commands share, and what becomes of their texts."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lro_client.command.following import Output
from lro_client.model import FinalState, Profile

_KEYS = frozenset({
    "authorization", "cookie", "proxy-authorization", "x-functions-key", "api-key", "ocp-apim-subscription-key",
})  # fmt: skip

Data = Annotated[
    str | None, typer.Option("--data", "-d", metavar="JSON|@FILE|-", help="The body: JSON, a file, or standard input.")
]
Header = Annotated[
    list[str] | None, typer.Option("--header", "-H", metavar="NAME:VALUE", help="A header of the start; no keys.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="json: one object on stdout, for scripts.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop waiting after this.")]
Interval = Annotated[
    float | None, typer.Option("--interval", min=0, metavar="SECONDS", help="Time between looks, at the least.")
]
SaveToken = Annotated[
    Path | None, typer.Option("--save-token", metavar="FILE", help="Write a token for `lro resume` here.")
]
CancelOnInterrupt = Annotated[
    bool, typer.Option("--cancel-on-interrupt", help="Ctrl-C cancels the operation, and does not only stop waiting.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end and print the result.")]
Identity = Annotated[bool, typer.Option("--identity", help="Sign in with azure-identity, where it is installed.")]
Scope = Annotated[
    str | None, typer.Option("--scope", metavar="SCOPE", help="What --identity asks a token for (or LRO_SCOPE).")
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", metavar="URL", help="Send the credential to this origin too."),
]
ProfileOption = Annotated[
    Profile, typer.Option("--profile", help="The service's contract, where its headers do not tell.")
]
FinalStateOption = Annotated[
    FinalState | None, typer.Option("--final-state-via", help="Where the service says that the result lies.")
]
ApiVersion = Annotated[str | None, typer.Option("--api-version", help="Added to URLs that have none.")]


def body_of(data: str | None) -> bytes | None:
    """The bytes of `-d`: `@file`, `-` for standard input, or the text itself, which must be JSON.

    Raises:
        typer.BadParameter: there is no such file, or it is not JSON.
    """
    if data is None:
        return None
    try:
        if data == "-":
            return sys.stdin.buffer.read()
        if data.startswith("@"):
            return Path(data[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"-d {data}: {error.strerror}") from None
    try:
        json.loads(data)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"-d is not JSON: {error}") from None
    return data.encode()


def json_of(data: str | None) -> Any:
    """The value of `-d`, where the command needs to know it.

    Raises:
        typer.BadParameter: it is not JSON.
    """
    found = body_of(data)
    try:
        return None if found is None else json.loads(found)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"-d is not JSON: {error}") from None


def headers_of(given: list[str] | None, *, has_body: bool) -> dict[str, str]:
    """The headers of `-H`; a body is JSON unless they say otherwise.

    Raises:
        typer.BadParameter: one has no colon, or holds a key: arguments are seen by every process.
    """
    headers: dict[str, str] = {}
    for text in given or []:
        name, colon, value = text.partition(":")
        name = name.strip()
        if not colon or not name or "\n" in text or "\r" in text:
            raise typer.BadParameter(f"-H {name!r} is not NAME:VALUE")
        if name.lower() in _KEYS:
            raise typer.BadParameter(f"-H {name} would show a key to everybody: set LRO_KEY or LRO_TOKEN instead")
        headers[name] = value.strip()
    if has_body and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/json"
    return headers
