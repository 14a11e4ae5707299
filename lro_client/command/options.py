"""Options that several commands share, and what becomes of their texts."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from lro_client.command.settings import credential_options, environment
from lro_client.errors import UnsafeUrl
from lro_client.model import FinalState, Profile
from lro_client.pipelines import VERSION
from lro_client.urls import origin

_KEYS = frozenset({
    "authorization", "cookie", "proxy-authorization", "x-functions-key", "api-key", "ocp-apim-subscription-key",
})  # fmt: skip


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


Data = Annotated[
    str | None,
    typer.Option("--data", "-d", metavar="JSON|@FILE|-", help="The body: JSON, a file, or standard input (- or @-)."),
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


def _print_version(asked: bool) -> None:
    if asked:
        print(f"lro {VERSION}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
ApiVersion = Annotated[str | None, typer.Option("--api-version", help="Added to URLs that have none.")]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to wait and what to print. `timeout` is for all that the command does."""

    output: OutputOption = Output.TEXT
    timeout: Timeout = None
    interval: Interval = None
    save_token: SaveToken = None
    cancel_on_interrupt: CancelOnInterrupt = False


@dataclass(frozen=True, slots=True)
class Access:
    """As whom to ask, and who may see the credential."""

    identity: Identity = False
    scope: Scope = None
    allow_origin: AllowOrigin = None

    def options(self, url: str | None, default_scope: str | None = None) -> dict[str, Any]:
        """The options of a client whose home is `url`.

        Raises:
            typer.BadParameter: that or an allowed origin is no URL; or the credential, see `credential_options`.
        """
        allowed = tuple(self.allow_origin or ())
        try:
            for found in (*([] if url is None else [url]), *allowed):
                origin(found)
        except UnsafeUrl as error:
            raise typer.BadParameter(error.message) from None
        found = credential_options(environment(), identity=self.identity, scope=self.scope, default_scope=default_scope)
        return {"allowed_origins": allowed, **found}


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its dataclass parameters as options of its own: typer reads flat signatures."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        if name in groups:
            kinds = get_type_hints(groups[name], include_extras=True)
            parameters += [
                Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=kinds[field.name])
                for field in fields(groups[name])
            ]
        else:
            parameters.append(parameter.replace(annotation=hints[name]))

    @wraps(command)
    def called(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    vars(called)["__signature__"] = Signature(parameters)
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def body_of(data: str | None) -> bytes | None:
    """The bytes of `-d`: `@file`, `-` or `@-` for standard input, or the text itself, which must be JSON.

    Raises:
        typer.BadParameter: there is no such file, or it is not JSON.
    """
    if data is None:
        return None
    try:
        if data in ("-", "@-"):
            return sys.stdin.buffer.read()
        if data.startswith("@"):
            return Path(data[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"-d {data}: {error.strerror}") from None
    try:
        json.loads(data)
        return data.encode()
    except (ValueError, RecursionError) as error:
        # An argument that is not UTF-8 is a ValueError too: it has surrogates for its odd bytes.
        raise typer.BadParameter(f"-d is not JSON: {error}") from None


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
