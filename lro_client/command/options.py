"""Options that several commands share, and what becomes of their texts."""

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from lro_client.command.settings import credential_options, environment
from lro_client.errors import InvalidRequest, UnsafeUrl
from lro_client.messages import JSON_TYPE, is_json
from lro_client.model import FinalState, Profile
from lro_client.pipelines import VERSION
from lro_client.urls import origin

_KEYS = frozenset({
    "authorization", "cookie", "proxy-authorization", "x-functions-key", "api-key", "ocp-apim-subscription-key",
})  # fmt: skip
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_CHARSET = re.compile(r'\s*;\s*charset=(?!"?utf-8)[^;]*', re.IGNORECASE)
"""Of a JSON type; but what is sent is UTF-8."""
LOOK_SECONDS = 60.0
"""How long one look may take."""
EXAMPLE_OF_A_TIME = "2026-12-24T18:00:00+01:00"


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


def _number(seconds: float | None) -> float | None:
    # To compare with it is always false, so that it is in every range.
    if seconds is not None and math.isnan(seconds):
        raise typer.BadParameter("nan is no number of seconds")
    return seconds


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="json: one object on stdout, for scripts.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0, callback=_number, metavar="SECONDS", help="Stop waiting after this."),
]
Interval = Annotated[
    float | None,
    typer.Option("--interval", min=0, callback=_number, metavar="SECONDS", help="Time between looks, at the least."),
]
SaveToken = Annotated[
    Path | None, typer.Option("--save-token", metavar="FILE", help="Write a token for `lro resume` here.")
]
To = Annotated[
    Path | None,
    typer.Option("--to", metavar="PATH", help="Save the result there: a file as it is, into a folder by its name."),
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


def _print_version(requested: bool) -> None:
    if requested:
        print(f"lro {VERSION}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
ApiVersion = Annotated[
    str | None, typer.Option("--api-version", metavar="VERSION", help="Added to URLs that have none.")
]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to wait and what to print. `timeout` is for all that the command does."""

    output: OutputOption = Output.TEXT
    timeout: Timeout = None
    interval: Interval = None
    save_token: SaveToken = None
    to: To = None
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


def method_of(given: str) -> str:
    """The method that is meant, in any case.

    Raises:
        InvalidRequest: there is none of this name.
    """
    method = given.upper()
    if method not in METHODS:
        near = get_close_matches(method, METHODS, n=1)
        raise InvalidRequest(f"{given!r} is no method: {f'did you mean {near[0]}?' if near else ', '.join(METHODS)}")
    return method


def payload(data: str | None, header: list[str] | None) -> tuple[bytes | None, dict[str, str]]:
    """The body of `-d` and the headers of `-H`. A body is JSON, and goes out as UTF-8 without a byte order mark (RFC
    8259, section 8.1), unless the headers name another type: then it is sent as it is.

    Raises:
        typer.BadParameter: see `headers_of`; or there is no such file, or it is not the JSON that it should be.
    """
    headers = headers_of(header)
    if data is None:
        return None, headers
    name = next((name for name in headers if name.lower() == "content-type"), "Content-Type")
    content_type = headers.setdefault(name, JSON_TYPE)
    if not is_json(content_type):
        return _given(data), headers
    headers[name] = _CHARSET.sub("", content_type)
    return _json_text(data).encode(), headers


def json_of(data: str | None) -> Any:
    """The value of `-d`, where the command needs to know it.

    Raises:
        typer.BadParameter: there is no such file, or it is not JSON.
    """
    return None if data is None else json.loads(_json_text(data))


def text_of(raw: bytes) -> str:
    """JSON's text: UTF-8, or what editors and shells make of it, UTF-16 and UTF-32, with and without a byte order mark.

    Raises:
        UnicodeDecodeError: it is none of them.
    """
    return raw.decode(json.detect_encoding(raw))


def _given(data: str) -> bytes:
    """The bytes of `-d`: those of `@file`, of standard input for `-` and `@-`, or of the text itself.

    Raises:
        typer.BadParameter: there is no such file, or the text has bytes that are none.
    """
    try:
        if data in ("-", "@-"):
            return sys.stdin.buffer.read()
        return Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
    except OSError as error:
        raise typer.BadParameter(f"-d {data}: {error.strerror}") from None
    except ValueError as error:
        raise typer.BadParameter(f"-d cannot be read: {error}") from None


def _json_text(data: str) -> str:
    source = f"-d {data}" if data[:1] in ("-", "@") else "-d"
    raw = _given(data)
    try:
        text = text_of(raw)
    except UnicodeDecodeError as error:
        raise typer.BadParameter(
            f"{source} is not UTF-8 (at byte {error.start}): save it as UTF-8, or name what it is with "
            "-H 'Content-Type: ...' if it is not JSON"
        ) from None
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        # cmd.exe passes single quotes on, and it and PowerShell take double quotes away.
        taken = "{" in text and '"' not in text and source == "-d"
        hint = "; if the shell has taken its quotes, put it in a file: -d @FILE" if taken else ""
        raise typer.BadParameter(f"{source} is not JSON: {error if text.strip() else 'it is empty'}{hint}") from None
    return text


def headers_of(given: list[str] | None) -> dict[str, str]:
    """The headers of `-H`.

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
    return headers


def date_time(text: str | None) -> datetime | None:
    """The time that an option names.

    Raises:
        typer.BadParameter: it is none, or does not say in which zone.
    """
    try:
        due = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date-time; write one such as {EXAMPLE_OF_A_TIME}") from None
    if due is not None and due.tzinfo is None:
        raise typer.BadParameter(f"{text!r} names no zone: add Z or an offset, as in {EXAMPLE_OF_A_TIME}")
    return due
